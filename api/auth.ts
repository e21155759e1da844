/**
 * Authentication: API keys, each with a tenant and roles, or a single user on a server that only this machine reaches.
 *
 * Rule: keys are kept as SHA-256 digests, and all are compared in constant time; a key is never echoed, not even in
 * part. Without keys the server is `open`, and `serve.ts` binds it to loopback. Imports protocol and Node only.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import { KEY_ROLES, type Caller, type KeyRole } from '../protocol/ports/runs-service.ts';
import { apiErrors } from '../protocol/errors.ts';
import type { ApiKey } from './keys.ts';
import { parseId } from './validate.ts';

export interface Principal {
  tenant: string;
  /** The name that signs its decisions and answers; null = no key. */
  name: string | null;
  /** A key, or an identity provider, proves the name. */
  verified: boolean;
  /** Groups that the person belongs to. */
  groups: readonly string[];
  roles: readonly KeyRole[];
  /** Worker tools that its runs may use and that it may decide as an approver; null = all. */
  grantedTools: readonly string[] | null;
}

export interface Authenticator {
  /** True when no key is required. */
  readonly open: boolean;
  /** Throws `ApiError` 401. */
  authenticate(headers: Headers): Principal;
}

export const DEFAULT_TENANT = 'default';

const BEARER = /^Bearer +(\S+)$/i;

/** Groups of people by name, where a file lists them. */
export interface KnownPeople {
  people: ReadonlyMap<string, { groups: readonly string[] }>;
}

/** What the owner of a key may do. The key's own roles and tools count; groups are added by its name. */
export const principalOfKey = (key: ApiKey, known?: KnownPeople): Principal => {
  const name = key.name ?? key.tenant;
  return {
    tenant: key.tenant,
    name,
    verified: true,
    groups: known?.people.get(name)?.groups ?? [],
    roles: key.roles ?? ['caller'],
    grantedTools: key.tools === '*' ? null : key.tools,
  };
};

export const keyAuth = (keys: readonly ApiKey[], people?: KnownPeople): Authenticator => {
  const known = keys.map((key) => ({
    principal: principalOfKey(key, people),
    digest: Buffer.from(key.sha256, 'hex'),
  }));
  return {
    open: false,
    authenticate(headers) {
      const header = headers.get('authorization');
      // Azure's clients send the key in a header of their own.
      const sent = header === null ? headers.get('api-key') : (BEARER.exec(header)?.[1] ?? '');
      if (sent === null)
        throw apiErrors.unauthorized(
          "You didn't provide an API key. Send it in the Authorization header: 'Authorization: Bearer YOUR_KEY'.",
        );
      const digest = hash('sha256', sent, 'buffer');
      let principal: Principal | null = null;
      // All keys are compared, whichever matches, so that timing reveals nothing.
      for (const key of known) if (timingSafeEqual(key.digest, digest)) principal = key.principal;
      if (principal === null) throw apiErrors.unauthorized();
      return principal;
    },
  };
};

/** A single user, tenant `default`, with all roles. For servers that only this machine can reach. */
export const openAuth = (): Authenticator => {
  const principal: Principal = {
    tenant: DEFAULT_TENANT,
    name: null,
    verified: false,
    groups: [],
    roles: KEY_ROLES,
    grantedTools: null,
  };
  return { open: true, authenticate: () => principal };
};

const quoted = (roles: readonly KeyRole[], joint: 'or' | 'and'): string =>
  roles.map((role) => `"${role}"`).join(` ${joint} `);

/**
 * Throws `ApiError` 403 unless the caller has one of the roles; absent roles = all. `what`: the subject, such as
 * `Cancelling a run`.
 */
export const requireRole = (
  { roles = KEY_ROLES }: { roles?: readonly KeyRole[] },
  allowed: readonly KeyRole[],
  what: string,
): void => {
  if (roles.some((role) => allowed.includes(role))) return;
  throw apiErrors.forbidden(
    `${what} needs a key with the role ${quoted(allowed, 'or')}; this key has ${quoted(roles, 'and')}. Use a key with that role, or add the role to this key (RUNS_API_KEYS).`,
  );
};

/** Whose objects are read: an operator reads those of all tenants (null), or of one that it names; other keys their own. */
export const tenantAsked = (
  { tenant, roles = KEY_ROLES }: Pick<Caller, 'tenant' | 'roles'>,
  named: string | undefined,
  what: string,
): string | null => {
  if (named === undefined) return roles.includes('operator') ? null : tenant;
  const asked = parseId('tenant', named);
  if (asked !== tenant) requireRole({ roles }, ['operator'], what);
  return asked;
};
