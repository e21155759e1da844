/**
 * Between people and sessions: what a sign-in proves, and whether a session's proof still holds.
 *
 * Rule: rights are read from the configuration at each request, never from the session. A key that was removed, a person without a
 * group, another issuer or another name in the proxy's header end a session.
 * Imports protocol and the edges of `api/`. Imported by `api/console/` and tests.
 */
import { hash } from 'node:crypto';
import { ApiError, apiErrors } from '../../protocol/errors.ts';
import type { SessionRecord } from '../../protocol/ports/session-store.ts';
import type { SignInWay } from '../../protocol/wire/console-session.ts';
import { openAuth, principalOfKey, requireRole, type Authenticator, type Principal } from '../auth.ts';
import { hashKey } from '../keys.ts';
import { sameSecret } from '../sessions/session-rules.ts';
import type { SignedIn } from '../sessions/sessions.ts';
import { groupsOf, nameOfClaims, nameOfHeader, NAME, principalOfPerson, type Claims } from './people.ts';
import { signInMethods, type ConsoleOptions } from './types.ts';

/** A person whom a proxy names in the headers of this request. */
interface Announced {
  name: string;
  groups: readonly string[];
}

export interface Identities {
  methods: readonly SignInWay[];
  /** Throws `ApiError` 401, or 403 for a key that neither approves nor operates. */
  byKey(key: string): SignedIn;
  byName(name: string): SignedIn;
  byClaims(claims: Claims): SignedIn;
  /** null = no proxy has named anybody. */
  byHeader(headers: Headers, peer: string | null): SignedIn | null;
  /** What the session's person may do; null = what proved the name does not hold any more. */
  principalOf(session: SessionRecord, headers: Headers, peer: string | null): Principal | null;
}

/** A stored digest must not serve as the digest of a key in RUNS_API_KEYS. */
const keyProof = (sha256: string): string => hash('sha256', `session of ${sha256}`, 'hex');

type IdentityOptions = Pick<ConsoleOptions, 'keys' | 'people' | 'oidc' | 'proxy'>;

export const PROXY_SECRET_HEADER = 'x-runs-proxy-secret';

/** The sender's name by the proxy, if the proxy has proved itself. Throws `ApiError` 403 for a name that can't sign. */
const announcedBy = (
  { proxy, people, keys }: IdentityOptions,
  headers: Headers,
  peer: string | null,
): Announced | null => {
  if (proxy === null || peer === null || !proxy.isTrusted(peer)) return null;
  const value = headers.get(proxy.userHeader);
  const secret = headers.get(PROXY_SECRET_HEADER);
  if (value === null || value === '' || secret === null || !sameSecret(secret, proxy.secret)) return null;
  const groups = proxy.groupsHeader === null ? '' : (headers.get(proxy.groupsHeader) ?? '');
  return {
    name: nameOfHeader(value, people, namesOf(keys)),
    groups: groups
      .split(',')
      .map((group) => group.trim())
      .filter((group) => group !== ''),
  };
};

const namesOf = (keys: ConsoleOptions['keys']): ReadonlySet<string> =>
  new Set(keys.map(({ name, tenant }) => name ?? tenant));

/** 403 → null: the person has lost what the session needs. */
const orNull = <T>(make: () => T): T | null => {
  try {
    return make();
  } catch (error) {
    if (error instanceof ApiError) return null;
    throw error;
  }
};

const claimsProof = (issuer: string, subject: string): string => `${issuer} ${subject}`;

export const createIdentities = (options: IdentityOptions, auth: Authenticator): Identities => {
  const { keys, people, oidc } = options;
  const methods = signInMethods(options, auth.open);
  const byProof = new Map(keys.map((key) => [keyProof(key.sha256), principalOfKey(key, people)]));

  const ofMethod: Record<
    SignInWay,
    (session: SessionRecord, headers: Headers, peer: string | null) => Principal | null
  > = {
    name: ({ name }) => ({
      ...openAuth().authenticate(new Headers()),
      name,
      groups: groupsOf(people, name),
    }),
    key: ({ proof }) => byProof.get(proof) ?? null,
    oidc: ({ name, proof, groups }) =>
      oidc !== null && proof.startsWith(claimsProof(oidc.issuer, ''))
        ? orNull(() => principalOfPerson(people, name, groups))
        : null,
    header: ({ name }, headers, peer) =>
      orNull(() => {
        const announced = announcedBy(options, headers, peer);
        return announced?.name === name ? principalOfPerson(people, name, announced.groups) : null;
      }),
  };

  return {
    methods,
    byKey(key) {
      const principal = auth.authenticate(new Headers({ 'api-key': key }));
      requireRole(principal, ['approver', 'operator'], 'Signing in to the console');
      const { tenant, name } = principal;
      return {
        method: 'key',
        name: name ?? tenant,
        tenant,
        proof: keyProof(hashKey(key)),
        groups: [],
      };
    },
    byName(name) {
      if (!NAME.test(name))
        throw apiErrors.invalid(
          'name',
          `Invalid 'name': expected 1 to 64 letters, digits, "_", ".", "@", "+" or "-".`,
          'invalid_value',
        );
      const { tenant } = openAuth().authenticate(new Headers());
      return { method: 'name', name, tenant, proof: '', groups: [] };
    },
    byClaims(claims) {
      const name = nameOfClaims(claims, people, namesOf(keys));
      const { tenant } = principalOfPerson(people, name, claims.groups);
      const { groups } = claims;
      return { method: 'oidc', name, tenant, proof: claimsProof(oidc?.issuer ?? '', claims.subject), groups };
    },
    byHeader(headers, peer) {
      const announced = announcedBy(options, headers, peer);
      if (announced === null) return null;
      const { name, groups } = announced;
      const { tenant } = principalOfPerson(people, name, groups);
      return { method: 'header', name, tenant, proof: '', groups };
    },
    principalOf: (session, headers, peer) =>
      methods.includes(session.method) ? ofMethod[session.method](session, headers, peer) : null,
  };
};
