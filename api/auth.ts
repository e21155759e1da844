/**
 * Who is calling: API keys, each of one tenant, or nobody in particular on a server that only this machine reaches.
 *
 * Rule: keys are kept as SHA-256 digests and compared in constant time against all of them; a key is never echoed, not
 * even in part. Without keys the server is `open` and `serve.ts` binds it to loopback. Imports protocol and Node only.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import { apiErrors, RunsError } from '../protocol/errors.ts';

export interface ApiKey {
  tenant: string;
  /** Hex SHA-256 of the key. */
  sha256: string;
  /** Tools of the worker that this tenant's runs may use; `'*'` = all. */
  tools: readonly string[] | '*';
}

export interface Principal {
  tenant: string;
  /** Worker tools that its runs may use; null = all. */
  grantedTools: readonly string[] | null;
}

export interface Authenticator {
  /** True when it lets everybody in. */
  readonly open: boolean;
  /** Throws `ApiError` 401. */
  authenticate(headers: Headers): Principal;
}

export const DEFAULT_TENANT = 'default';

export const hashKey = (key: string): string => hash('sha256', key, 'hex');

const TENANT = /^[A-Za-z0-9_-]{1,64}$/;
const DIGEST = /^sha256\.([0-9a-f]{64})$/;
const SHORTEST_KEY = 16;

const problem = (index: number, what: string): RunsError =>
  new RunsError('config', `API key ${index + 1} ${what}. The form is tenant:key[:tool|tool].`);

/**
 * `tenant:key[:tool|tool…]`, several separated by commas or white space. A key may be given as `sha256.<64 hex digits>`
 * instead; tools default to none, `*` = all. Throws `RunsError` `config`, which never shows a key.
 */
export const parseApiKeys = (text: string): ApiKey[] => {
  const keys = text
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .map((entry, index): ApiKey => {
      const [tenant = '', key = '', tools = '', ...rest] = entry.split(':');
      if (rest.length > 0) throw problem(index, 'has too many colons');
      // Nothing of an entry is shown: what stands in the tenant's place may be a key.
      if (key === '') throw problem(index, 'has no tenant');
      if (!TENANT.test(tenant))
        throw problem(index, 'needs a tenant of 1 to 64 letters, digits, "_" or "-" before the first colon');
      const digest = DIGEST.exec(key)?.[1];
      if (digest === undefined && key.length < SHORTEST_KEY)
        throw problem(index, `is too short: use at least ${SHORTEST_KEY} characters after the first colon`);
      return {
        tenant,
        sha256: digest ?? hashKey(key),
        tools: tools === '*' ? '*' : tools.split('|').filter((name) => name !== ''),
      };
    });
  const digests = new Set(keys.map((key) => key.sha256));
  if (digests.size < keys.length)
    throw new RunsError('config', 'One API key is listed twice. Give every tenant a key of its own.');
  return keys;
};

const BEARER = /^Bearer +(\S+)$/i;

export const keyAuth = (keys: readonly ApiKey[]): Authenticator => {
  const known = keys.map((key) => ({
    principal: { tenant: key.tenant, grantedTools: key.tools === '*' ? null : key.tools } satisfies Principal,
    digest: Buffer.from(key.sha256, 'hex'),
  }));
  return {
    open: false,
    authenticate(headers) {
      const header = headers.get('authorization');
      // Azure's clients send the key in a header of its own.
      const sent = header === null ? headers.get('api-key') : (BEARER.exec(header)?.[1] ?? '');
      if (sent === null)
        throw apiErrors.unauthorized(
          "You didn't provide an API key. Send it in the Authorization header: 'Authorization: Bearer YOUR_KEY'.",
        );
      const digest = hash('sha256', sent, 'buffer');
      let principal: Principal | null = null;
      // All keys are compared, whichever fits: time tells nothing.
      for (const key of known) if (timingSafeEqual(key.digest, digest)) principal = key.principal;
      if (principal === null) throw apiErrors.unauthorized();
      return principal;
    },
  };
};

/** Everybody is tenant `default`. For servers that only this machine can reach. */
export const openAuth = (): Authenticator => {
  const principal: Principal = { tenant: DEFAULT_TENANT, grantedTools: null };
  return { open: true, authenticate: () => principal };
};
