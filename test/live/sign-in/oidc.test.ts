/** Sign-in at a real OpenID provider, on real sockets: who gets in, under which name, and what an attacker gets. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serveApi, type ServedApi } from '../../../api/index.ts';
import { openIdProvider } from '../../../app/console/oidc.ts';
import { parsePeople } from '../../../app/console/people-file.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { ConsoleSessionObject } from '../../../protocol/wire/console-session.ts';
import { freePort } from '../../../dev-server/ports.ts';
import { KEYS, openDoor } from '../../support/console-door.ts';
import { startOidcProvider } from '../../support/oidc/provider.mjs';
import { memoryStore } from '../../support/store.ts';

const PEOPLE = `
groups:
  support-leads: { tenant: acme, tools: [refund] }
  heads: { tenant: acme, tools: '*', roles: [approver, operator] }
people:
  ada: { groups: [heads], subject: [sub-of-ada] }
  grace: { groups: [support-leads], email: [Grace@example.com] }
`;
/** By account, which is the subject. */
const ACCOUNTS = {
  'sub-of-ada': { email: 'ada@example.com', email_verified: true },
  'sub-of-grace': { email: 'grace@example.com', email_verified: true },
  leader: {
    email: 'leader@example.com',
    email_verified: true,
    groups: ['support-leads', 'choir'],
    upn: 'leader',
  },
  unverified: { email: 'grace@example.com', email_verified: false, groups: ['support-leads'] },
  stranger: { email: 'stranger@example.com', email_verified: true, groups: ['choir'] },
  'of-ada': { email: 'of@example.com', email_verified: true, groups: ['support-leads'], upn: 'ada' },
  'of-a-key': { email: 'key@example.com', email_verified: true, groups: ['support-leads'], upn: 'olga' },
  odd: { email: 'odd@example.com', email_verified: true, groups: ['support-leads'], upn: 'a\u202eb' },
};

interface Place {
  url: string;
  served: ServedApi;
  issuer: string;
  warned: object[];
}

let store: Store;
const closing: (() => Promise<void>)[] = [];

const openPlace = async (
  settings: { claimsInIdToken?: boolean; clientId?: string; secret?: string | null; nameClaim?: string } = {},
): Promise<Place> => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const redirectUri = `${url}/console/oidc/callback`;
  const claimsInIdToken = settings.claimsInIdToken ?? true;
  const provider = await startOidcProvider({ redirectUri, people: ACCOUNTS, claimsInIdToken });
  closing.push(() => provider.close());
  const parsed = await parsePeople(PEOPLE);
  if ('problems' in parsed) throw new Error(parsed.problems.join());
  const warned: object[] = [];
  const log = { debug() {}, info() {}, error() {}, warn: (fields: object) => void warned.push(fields) };
  const oidc = openIdProvider(
    {
      issuer: provider.issuer,
      clientId: settings.clientId ?? 'runs',
      clientSecret: settings.secret === undefined ? 'secret-of-runs' : settings.secret,
      scopes: 'openid email profile',
      nameClaim: settings.nameClaim ?? 'email',
      groupsClaim: 'groups',
    },
    log,
  );
  const door = openDoor(store, { apiKeys: KEYS, oidc, people: parsed.value, publicUrl: url });
  const served = await serveApi(door, { port });
  closing.push(() => served.close());
  return { url, served, issuer: provider.issuer, warned };
};

let place: Place;
beforeAll(async () => {
  store = await memoryStore();
  place = await openPlace();
});
afterAll(async () => {
  for (const close of closing.toReversed()) await close();
  await store.close();
});

/** Follows redirects as a browser does, with cookies by host, and says who sits before it. */
class Person {
  readonly cookies = new Map<string, Map<string, string>>();
  readonly visited: string[] = [];
  readonly #account: string | null;

  constructor(account: string | null) {
    this.#account = account;
  }

  async fetch(url: string, init: RequestInit = {}): Promise<Response> {
    const { origin } = new URL(url);
    const jar = this.cookies.get(origin) ?? new Map<string, string>();
    this.cookies.set(origin, jar);
    this.visited.push(url);
    const headers = new Headers(init.headers);
    if (jar.size > 0) headers.set('cookie', [...jar].map(([name, value]) => `${name}=${value}`).join('; '));
    if (this.#account !== null) headers.set('x-account', this.#account);
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const text of response.headers.getSetCookie()) {
      const [pair = ''] = text.split(';');
      const [name = '', ...value] = pair.split('=');
      if (/max-age=0|expires=Thu, 01 Jan 1970/i.test(text)) jar.delete(name);
      else jar.set(name, value.join('='));
    }
    return response;
  }

  /** The last response of a navigation. `stopAt`: a URL that is not visited. */
  async navigate(
    start: string,
    stopAt: (url: string) => boolean = () => false,
  ): Promise<{ url: string; response: Response }> {
    let url = start;
    for (let hops = 0; hops < 12; hops += 1) {
      const response = await this.fetch(url);
      const location = response.headers.get('location');
      if (location === null) return { url, response };
      url = new URL(location, url).href;
      if (stopAt(url)) return { url, response };
    }
    throw new Error('too many redirects');
  }
}

const session = async (person: Person, { url }: Place): Promise<ConsoleSessionObject | null> => {
  const response = await person.fetch(`${url}/console/session`);
  return response.status === 200 ? ((await response.json()) as ConsoleSessionObject) : null;
};

const signIn = async (at: Place, account: string | null, returnTo = '/console/approvals/appr_1?x=1') => {
  const person = new Person(account);
  const { url, response } = await person.navigate(
    `${at.url}/console/oidc/login?return_to=${encodeURIComponent(returnTo)}`,
    (next) => next.startsWith(`${at.url}/console/`) && !next.includes('/oidc/'),
  );
  return { person, url, response, session: await session(person, at) };
};

describe('gets in', () => {
  test.each([
    ['a person whom the file knows by subject', 'sub-of-ada', { name: 'ada', groups: ['heads'] }],
    ['a person whom the file knows by address', 'sub-of-grace', { name: 'grace', groups: ['support-leads'] }],
    [
      'a person with a group of the file',
      'leader',
      { name: 'leader@example.com', groups: ['support-leads', 'choir'] },
    ],
  ])('%s', async (_what, account, person) => {
    const entered = await signIn(place, account);
    expect(entered.session?.person).toEqual({ ...person, verified: true });
    expect(entered.session?.tenant).toBe('acme');
    expect(entered.url).toBe(`${place.url}/console/approvals/appr_1?x=1`);
  });

  test('with the roles and tools of the groups', async () => {
    const { person, session: own } = await signIn(place, 'sub-of-grace');
    expect(own?.roles).toEqual(['approver']);
    expect((await person.fetch(`${place.url}/v1/approvals`)).status).toBe(200);
    expect((await person.fetch(`${place.url}/v1/runs`)).status).toBe(403);
  });

  test('by claims that only the userinfo endpoint has, as a public client', async () => {
    const other = await openPlace({ claimsInIdToken: false, clientId: 'public', secret: null });
    const entered = await signIn(other, 'leader');
    expect(entered.session?.person.name).toBe('leader@example.com');
  });
});

describe('stays outside, and reads why', () => {
  test.each([
    ['whom no group knows', 'stranger', 403, 'no group of RUNS_PEOPLE'],
    ['whose address is not verified', 'unverified', 403, 'no name that can be trusted'],
    ['who says no', null, 401, 'access_denied'],
  ])('a person %s', async (_what, account, status, text) => {
    const { response, session: own } = await signIn(place, account);
    expect(own).toBeNull();
    expect(response.status).toBe(status);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await response.text()).toContain(text);
  });

  test.each([
    ['of somebody whom the file lists', 'of-ada', 'belongs to a person of RUNS_PEOPLE or to an API key'],
    ['of a key', 'of-a-key', 'belongs to a person of RUNS_PEOPLE or to an API key'],
    ['that can’t sign', 'odd', 'a name that signs has'],
  ])('a person who chose a name %s', async (_what, account, text) => {
    const other = await openPlace({ nameClaim: 'upn' });
    const { response, session: own } = await signIn(other, account);
    expect(own).toBeNull();
    expect(response.status).toBe(403);
    expect(await response.text()).toContain(text);
    expect((await signIn(other, 'leader')).session?.person.name).toBe('leader');
  });

  test('where the client’s secret is wrong, and the log says it without the secret', async () => {
    const other = await openPlace({ secret: 'wrong-secret-of-runs' });
    const { response } = await signIn(other, 'leader');
    expect(response.status).toBe(401);
    expect(await response.text()).toContain('invalid_client');
    expect(other.warned).toMatchObject([{ code: 'invalid_client' }]);
    expect(JSON.stringify(other.warned)).not.toContain('secret-of-runs');
  });
});

/** The way back that a person is about to take. */
const begun = async (account: string): Promise<{ person: Person; callback: string }> => {
  const person = new Person(account);
  const { url } = await person.navigate(`${place.url}/console/oidc/login`, (next) =>
    next.startsWith(`${place.url}/console/oidc/callback`),
  );
  return { person, callback: url };
};

describe('an attacker', () => {
  test('can’t use another browser’s way back, nor make a victim use the own', async () => {
    const { callback } = await begun('leader');
    const thief = new Person(null);
    expect((await thief.fetch(callback)).status).toBe(401);
    const victim = new Person('sub-of-ada');
    await victim.fetch(`${place.url}/console/oidc/login`);
    const response = await victim.fetch(callback);
    expect(response.status).toBe(401);
    expect(await session(victim, place)).toBeNull();
  });

  test('can’t use a way back twice', async () => {
    const { person, callback } = await begun('leader');
    expect((await person.fetch(callback)).status).toBe(302);
    expect((await person.fetch(callback)).status).toBe(401);
  });

  test.each([
    'https://evil.test/',
    '//evil.test/',
    '/\\evil.test',
    '/v1/threads',
    '/console/../v1/x',
    'javascript:alert(1)',
  ])('can’t send a person to %s', async (returnTo) => {
    expect((await signIn(place, 'leader', returnTo)).url).toBe(`${place.url}/console/`);
  });

  test('reads neither verifier nor session in an address', async () => {
    const { person } = await signIn(place, 'leader');
    const cookie = person.cookies.get(place.url)?.get('runs_session') ?? '';
    expect(cookie).toMatch(/^[\w-]{43}$/);
    const seen = person.visited.join('\n');
    expect(seen).not.toContain(cookie);
    expect(seen).toContain('code_challenge_method=S256');
    expect(seen).not.toContain('code_verifier');
  });
});

test('a session of another issuer’s server is none here', async () => {
  const { person } = await signIn(place, 'leader');
  const other = await openPlace();
  const cookies = person.cookies.get(place.url);
  if (cookies !== undefined) person.cookies.set(other.url, cookies);
  expect(await session(person, other)).toBeNull();
});

test('a provider that does not answer is told to the person, and asked again at the next sign-in', async () => {
  const oidc = openIdProvider(
    {
      issuer: `http://127.0.0.1:${await freePort()}`,
      clientId: 'runs',
      clientSecret: null,
      scopes: 'openid',
      nameClaim: 'email',
      groupsClaim: 'groups',
    },
    { debug() {}, info() {}, error() {}, warn() {} },
  );
  const door = openDoor(store, { oidc, publicUrl: 'http://runs.test' });
  for (let count = 0; count < 2; count += 1) {
    const response = await door.fetch(new Request('http://runs.test/console/oidc/login'));
    expect(response.status).toBe(503);
    expect(await response.text()).toContain('The discovery at the OpenID provider has failed');
  }
});
