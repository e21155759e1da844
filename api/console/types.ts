/** Shapes that the files of the console's server side share. Imported by them, the app and tests. */
import type { SessionStore } from '../../protocol/ports/session-store.ts';
import type { SignInWay } from '../../protocol/wire/console-session.ts';
import type { ApiKey } from '../keys.ts';
import type { SessionLimits } from '../sessions/session-rules.ts';
import type { Claims, People } from './people.ts';

/** What the browser keeps between the redirect to the identity provider and the way back. */
export interface OidcAttempt {
  state: string;
  nonce: string;
  verifier: string;
}

/** An OpenID provider. Both may throw `ApiError`. */
export interface OidcProvider {
  issuer: string;
  /** Where to send the browser. */
  begin(redirectUri: string): Promise<{ url: string; attempt: OidcAttempt }>;
  /** `url`: the redirect URI with what the provider added. */
  complete(url: URL, attempt: OidcAttempt): Promise<Claims>;
}

/** A proxy that has authenticated the person, and says so in a header. */
export interface TrustedProxy {
  userHeader: string;
  /** A list by commas; null = none. */
  groupsHeader: string | null;
  /** Addresses that may set the headers. */
  isTrusted(peer: string): boolean;
  /** What the proxy proves itself with, in `x-runs-proxy-secret`. */
  secret: string;
}

export interface ConsoleLinks {
  temporal_ui: string | null;
  namespace: string | null;
}

export interface ConsoleOptions {
  store: SessionStore;
  /** Of the server; empty without keys. */
  keys: readonly ApiKey[];
  people: People;
  /** Folder of the built front end. */
  folder: string;
  /** Where browsers reach the server, without a slash at the end; null = at the name that they ask for. */
  publicUrl: string | null;
  oidc: OidcProvider | null;
  proxy: TrustedProxy | null;
  limits?: SessionLimits;
  links?: ConsoleLinks;
  /** What the front end may offer. */
  features?: Readonly<Record<string, boolean>>;
  log: { info(fields: object, text: string): void };
  now?: () => number;
}

/** How people sign in here. */
export const signInMethods = (
  { keys, oidc, proxy }: Pick<ConsoleOptions, 'keys' | 'oidc' | 'proxy'>,
  open: boolean,
): SignInWay[] => {
  if (open) return ['name'];
  return [
    ...(keys.length > 0 ? (['key'] as const) : []),
    ...(oidc === null ? [] : (['oidc'] as const)),
    ...(proxy === null ? [] : (['header'] as const)),
  ];
};
