/**
 * An OpenID provider: authorization code with PKCE, by the library openid-client.
 *
 * Rule: the library checks state, nonce, signature, issuer, audience and times. An e-mail address is trusted only when the
 * provider states that it has verified it. When the provider refuses a sign-in, the person reads the reason and the log has its cause; neither
 * has tokens or codes. Imported by `open-console.ts`.
 */
import * as oidc from 'openid-client';
import type { Claims, OidcProvider } from '../../api/index.ts';
import { ApiError, apiErrors } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/ports/backend.ts';
import type { OidcSettings } from '../../worker/console-settings.ts';

type ClaimSet = Readonly<Record<string, unknown>>;

/** A claim by its name, or by a path such as `realm_access.roles`. */
const claimAt = (claims: ClaimSet, name: string): unknown =>
  claims[name] ??
  name
    .split('.')
    .reduce<unknown>(
      (value, part) => (typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined),
      claims,
    );

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

/** Groups are a list of texts, or one text. */
const groupsFrom = (value: unknown): string[] =>
  [value].flat().filter((group): group is string => typeof group === 'string' && group !== '');

export const claimsFrom = (
  claims: ClaimSet,
  subject: string,
  { nameClaim, groupsClaim }: Pick<OidcSettings, 'nameClaim' | 'groupsClaim'>,
): Claims => {
  const email = claims['email_verified'] === true ? textOf(claims['email']) : null;
  return {
    subject,
    email,
    name: nameClaim === 'email' ? email : textOf(claimAt(claims, nameClaim)),
    groups: groupsFrom(claimAt(claims, groupsClaim)),
  };
};

const authenticationOf = (
  { clientSecret }: OidcSettings,
  metadata: Readonly<oidc.ServerMetadata>,
): oidc.ClientAuth => {
  if (clientSecret === null) return oidc.None();
  const methods = metadata.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
  return methods.includes('client_secret_basic')
    ? oidc.ClientSecretBasic(clientSecret)
    : oidc.ClientSecretPost(clientSecret);
};

const TIMEOUT_SECONDS = 10;

const discover = async (settings: OidcSettings): Promise<oidc.Configuration> => {
  const server = new URL(settings.issuer);
  const execute = server.protocol === 'http:' ? [oidc.allowInsecureRequests] : [];
  const found = await oidc.discovery(server, settings.clientId, undefined, oidc.None(), {
    timeout: TIMEOUT_SECONDS,
    execute,
  });
  const metadata = found.serverMetadata();
  const config = new oidc.Configuration(
    metadata,
    settings.clientId,
    settings.clientSecret ?? undefined,
    authenticationOf(settings, metadata),
  );
  config.timeout = TIMEOUT_SECONDS;
  for (const change of execute) change(config);
  return config;
};

/** The provider's word for it; of a refused client it stands in the challenge of the response. */
const errorCode = (error: unknown): string | null => {
  if (!(error instanceof Error)) return null;
  const [challenge] = [error.cause].flat();
  const challenged =
    typeof challenge === 'object' && challenge !== null
      ? claimAt({ challenge }, 'challenge.parameters.error')
      : null;
  return textOf(Reflect.get(error, 'error') ?? challenged ?? Reflect.get(error, 'code'));
};

/** Claims that the ID token lacks are asked for. */
const allClaims = async (
  config: oidc.Configuration,
  { nameClaim, groupsClaim }: OidcSettings,
  tokens: { access_token: string; claims(): oidc.IDToken | undefined },
): Promise<{ claims: ClaimSet; subject: string }> => {
  const token = tokens.claims();
  if (token === undefined) throw apiErrors.unauthorized('The OpenID provider sent no ID token.');
  const { sub } = token;
  const lacks = [nameClaim, groupsClaim].some((name) => claimAt(token, name) === undefined);
  if (!lacks || config.serverMetadata().userinfo_endpoint === undefined)
    return { claims: token, subject: sub };
  const more = await oidc.fetchUserInfo(config, tokens.access_token, sub);
  return { claims: { ...more, ...token }, subject: sub };
};

export const openIdProvider = (settings: OidcSettings, log: Logger): OidcProvider => {
  let found: Promise<oidc.Configuration> | null = null;
  const configuration = (): Promise<oidc.Configuration> => {
    const asked = (found ??= discover(settings));
    // The next sign-in asks again.
    asked.catch(() => {
      if (found === asked) found = null;
    });
    return asked;
  };
  /** `unavailable`: the provider does not answer. */
  const trying = async <T>(what: string, work: () => Promise<T>, status: 401 | 503): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ApiError) throw error;
      const code = errorCode(error);
      log.warn({ issuer: settings.issuer, code }, `sign-in at the OpenID provider: ${what} failed`);
      throw new ApiError(
        status,
        `${what} at the OpenID provider has failed${code === null ? '' : ` (${JSON.stringify(code)})`}. Sign in again; if it stays, the operator finds more in the server's log.`,
        { code: 'oidc_failed' },
      );
    }
  };
  return {
    issuer: settings.issuer,
    async begin(redirectUri) {
      const config = await trying('The discovery', configuration, 503);
      const attempt = {
        state: oidc.randomState(),
        nonce: oidc.randomNonce(),
        verifier: oidc.randomPKCECodeVerifier(),
      };
      const url = oidc.buildAuthorizationUrl(config, {
        redirect_uri: redirectUri,
        scope: settings.scopes,
        state: attempt.state,
        nonce: attempt.nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(attempt.verifier),
        code_challenge_method: 'S256',
      });
      return { url: url.href, attempt };
    },
    complete: (url, { state, nonce, verifier }) =>
      trying(
        'The sign-in',
        async () => {
          const config = await trying('The discovery', configuration, 503);
          const tokens = await oidc.authorizationCodeGrant(config, url, {
            expectedState: state,
            expectedNonce: nonce,
            pkceCodeVerifier: verifier,
            idTokenExpected: true,
          });
          const { claims, subject } = await allClaims(config, settings, tokens);
          return claimsFrom(claims, subject, settings);
        },
        401,
      ),
  };
};
