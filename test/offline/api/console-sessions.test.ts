/** Sessions of the console over the real store: sign in, use, end; on two servers, after a restart, and by time. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSessions } from '../../../api/sessions/sessions.ts';
import { digestOf, SESSION_LIMITS } from '../../../api/sessions/session-rules.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { ConsoleSessionObject } from '../../../protocol/wire/console-session.ts';
import { framesOfText } from '../../support/http.ts';
import {
  ALICE_KEY,
  Browser,
  CALLER_KEY,
  KEYS,
  OLGA_KEY,
  openDoor,
  ORIGIN,
} from '../../support/console-door.ts';
import { storeOn } from '../../../store/index.ts';
import { migrate, readMigrations } from '../../../store/migrate.ts';
import { openPglite } from '../../../store/pglite.ts';
import { image, memoryStore } from '../../support/store.ts';

const HOUR = 3_600_000;
const START = 1_800_000_000_000;

let store: Store;
let at = START;
const now = (): number => at;
beforeAll(async () => {
  store = await memoryStore();
});
afterAll(() => store.close());
beforeEach(async () => {
  at = START;
  await store.endSessionsOf('acme', 'alice');
  await store.endSessionsOf('acme', 'olga');
});

const COOKIE = 'runs_session';

describe('a key', () => {
  test('is exchanged for a cookie that no script reads and no other site sends', async () => {
    const browser = new Browser(openDoor(store));
    const response = await browser.request('/console/session', { method: 'POST', body: { key: ALICE_KEY } });
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('set-cookie')).toMatch(
      /^runs_session=[\w-]{43}; Max-Age=604800; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({
      object: 'console.session',
      person: { name: 'alice', groups: [], verified: true },
      tenant: 'acme',
      roles: ['approver'],
      sign_in: { methods: ['key'] },
    });
    expect(text).not.toContain(browser.cookies.get(COOKIE));
    expect(text).not.toContain(ALICE_KEY);
  });

  test('signs in over https with a cookie of this host alone', async () => {
    const door = openDoor(store, { publicUrl: 'https://runs.example' });
    const response = await new Browser(door, 'https://runs.example').request('/console/session', {
      method: 'POST',
      body: { key: ALICE_KEY },
    });
    expect(response.headers.get('set-cookie')).toMatch(/^__Host-runs_session=.*; Secure;/);
  });

  test.each([
    ['that nobody knows', { key: 'nobody-knows-this-key-1' }, '401 invalid_api_key'],
    ['of a program', { key: CALLER_KEY }, '403 forbidden'],
    ['of no length', { key: '' }, '400 string_below_min_length'],
    ['that is a name', { name: 'alice' }, '400 sign_in_method'],
    ['beside a name', { key: ALICE_KEY, name: 'alice' }, '400 invalid_value'],
  ])('%s signs nobody in', async (_what, body, outcome) => {
    const browser = new Browser(openDoor(store));
    expect(await browser.outcome('/console/session', { method: 'POST', body })).toBe(outcome);
    expect(browser.cookies.size).toBe(0);
  });

  test('that is no key any more ends its sessions', async () => {
    const browser = new Browser(openDoor(store));
    await browser.signIn({ key: ALICE_KEY });
    const without = browser.at(openDoor(store, { apiKeys: KEYS.replace(/acme:key-of-alice\S+/, '') }));
    expect(await without.outcome('/v1/approvals')).toBe('401 session_ended');
    expect(await browser.outcome('/v1/approvals')).toBe('401 session_ended');
  });

  test('that has other rights now gives its sessions these rights', async () => {
    const browser = new Browser(openDoor(store));
    await browser.signIn({ key: OLGA_KEY });
    const apiKeys = KEYS.replace('role=operator|caller;name=olga', 'role=approver;name=olga');
    const later = browser.at(openDoor(store, { apiKeys }));
    expect(await later.outcome('/v1/assistants')).toBe('403 forbidden');
  });
});

describe('the name on a server without keys', () => {
  test('is stated once, signs, and is not verified', async () => {
    const browser = new Browser(openDoor(store, { apiKeys: null }));
    const unknown = await browser.request('/console/session');
    expect(unknown.status).toBe(401);
    expect(await unknown.json()).toMatchObject({
      error: { code: 'not_signed_in', sign_in: { methods: ['name'] } },
    });
    const session = await browser.signIn({ name: 'ada' });
    expect(session.person).toEqual({ name: 'ada', groups: [], verified: false });
    expect(session.roles).toContain('operator');
    expect(await browser.outcome('/v1/assistants')).toBe('200');
  });

  test.each(['', ' ada', 'a\u202eb', 'ada lovelace', 'x'.repeat(65)])('%j is refused', async (name) => {
    const browser = new Browser(openDoor(store, { apiKeys: null }));
    expect(await browser.outcome('/console/session', { method: 'POST', body: { name } })).toMatch(/^400 /);
  });

  test('counts for nothing where the server has keys now', async () => {
    const browser = new Browser(openDoor(store, { apiKeys: null }));
    await browser.signIn({ name: 'olga' });
    expect(await browser.at(openDoor(store)).outcome('/v1/assistants')).toBe('401 session_ended');
  });
});

describe('a session', () => {
  test('is the caller of /v1, and Authorization wins over it', async () => {
    const browser = new Browser(openDoor(store));
    await browser.signIn({ key: ALICE_KEY });
    expect(await browser.outcome('/v1/approvals')).toBe('200');
    expect(await browser.outcome('/v1/assistants')).toBe('403 forbidden');
    const headers = { authorization: `Bearer ${OLGA_KEY}` };
    expect(await browser.outcome('/v1/assistants', { headers })).toBe('200');
    expect(await browser.outcome('/v1/approvals', { headers: { authorization: 'Bearer wrong' } })).toBe(
      '401 invalid_api_key',
    );
  });

  test('holds on another server of the same database, and after a restart', async () => {
    const browser = new Browser(openDoor(store));
    await browser.signIn({ key: OLGA_KEY });
    expect(
      await browser.at(openDoor(store)).outcome('/v1/assistants', { method: 'POST', body: { model: 'm' } }),
    ).toBe('200');
  });

  test('ends at sign-out, on every server', async () => {
    const browser = new Browser(openDoor(store));
    await browser.signIn({ key: ALICE_KEY });
    const thief = browser.at(openDoor(store));
    expect(await browser.outcome('/console/session', { method: 'DELETE' })).toBe('200');
    expect(browser.cookies.size).toBe(0);
    expect(await thief.outcome('/v1/approvals')).toBe('401 session_ended');
    expect(thief.cookies.size).toBe(0);
  });

  test('ends with all others of the person at sign-out everywhere, and no one else’s does', async () => {
    const doors = [openDoor(store), openDoor(store)] as const;
    const browsers = [new Browser(doors[0]), new Browser(doors[0]), new Browser(doors[1])];
    for (const browser of browsers) await browser.signIn({ key: ALICE_KEY });
    const olga = new Browser(doors[1]);
    await olga.signIn({ key: OLGA_KEY });
    const [first] = browsers;
    const response = await first?.request('/console/sessions', { method: 'DELETE' });
    expect(await response?.json()).toEqual({ object: 'console.session.ended', ended: 3 });
    for (const browser of browsers)
      expect(await browser.outcome('/console/session')).toBe('401 not_signed_in');
    expect(await olga.outcome('/console/session')).toBe('200');
  });

  test('ends when it was not used for twelve hours, and not before', async () => {
    const browser = new Browser(openDoor(store, { now }));
    await browser.signIn({ key: ALICE_KEY });
    at += 12 * HOUR - 1;
    expect(await browser.outcome('/v1/approvals')).toBe('200');
    at += 12 * HOUR - 1;
    expect(await browser.outcome('/v1/approvals')).toBe('200');
    at += 12 * HOUR;
    expect(await browser.outcome('/v1/approvals')).toBe('401 session_ended');
    expect(await store.findSessions([...browser.cookies.values()].map(digestOf))).toEqual([]);
  });

  test('ends after a week in any case', async () => {
    const browser = new Browser(openDoor(store, { now }));
    const session = await browser.signIn({ key: ALICE_KEY });
    expect(session.expires_at).toBe((START + 168 * HOUR) / 1000);
    expect(session.idle_expires_at).toBe((START + 12 * HOUR) / 1000);
    for (let used = 0; used < 14; used += 1) {
      expect(await browser.outcome('/v1/approvals')).toBe('200');
      at += 12 * HOUR - 1;
    }
    at = START + 168 * HOUR;
    expect(await browser.outcome('/v1/approvals')).toBe('401 session_ended');
  });

  test('that a browser brought to a sign-in is not continued, and ends', async () => {
    const door = openDoor(store);
    const attacker = new Browser(door);
    await attacker.signIn({ key: OLGA_KEY });
    const planted = attacker.cookies.get(COOKIE) ?? '';
    const victim = new Browser(door);
    victim.cookies.set(COOKIE, planted);
    await victim.signIn({ key: ALICE_KEY });
    expect(victim.cookies.get(COOKIE)).not.toBe(planted);
    expect(await attacker.outcome('/console/session')).toBe('401 not_signed_in');
    const made = new Browser(door);
    made.cookies.set(COOKIE, 'A'.repeat(43));
    await made.signIn({ key: ALICE_KEY });
    expect(made.cookies.get(COOKIE)).not.toBe('A'.repeat(43));
  });

  test('that is unknown is refused, never served as somebody without a name', async () => {
    for (const apiKeys of [KEYS, null]) {
      const browser = new Browser(openDoor(store, { apiKeys }));
      for (const value of ['A'.repeat(43), '', 'x', '../../etc/passwd', '"; drop table sessions']) {
        browser.cookies.set(COOKIE, encodeURIComponent(value));
        expect(await browser.outcome('/v1/assistants')).toBe('401 session_ended');
      }
    }
  });

  test('leaves only a digest in the database, from which neither cookie nor token follows', async () => {
    const browser = new Browser(openDoor(store));
    const { csrf_token: token } = await browser.signIn({ key: ALICE_KEY });
    const cookie = browser.cookies.get(COOKIE) ?? '';
    const [row] = await store.findSessions([digestOf(cookie)]);
    const kept = JSON.stringify(row);
    expect(row?.name).toBe('alice');
    for (const secret of [cookie, token, ALICE_KEY]) expect(kept).not.toContain(secret);
    browser.cookies.set(COOKIE, row?.digest ?? '');
    expect(await browser.outcome('/v1/approvals')).toBe('401 session_ended');
  });
});

test('the oldest of more than fifty sessions of a person ends', async () => {
  const sessions = createSessions(store, { ...SESSION_LIMITS, most: 2 }, now);
  const person = { method: 'key', name: 'alice', tenant: 'acme', proof: 'p', groups: [] } as const;
  const tokens: string[] = [];
  for (let count = 0; count < 3; count += 1) {
    at += 1_000;
    tokens.push((await sessions.begin(person, null)).token);
  }
  const found = await Promise.all(tokens.map((token) => sessions.find(token)));
  expect(found.map((session) => session !== null)).toEqual([false, true, true]);
});

test('among 10,000 sessions each finds its own person, and ended ones are deleted by the next sign-in', async () => {
  const db = await openPglite({ memory: true, image: await image() });
  await migrate(db, await readMigrations());
  const many = storeOn(db);
  await db.query(
    `insert into sessions (digest, method, name, tenant, proof, groups, created_at, used_at, expires_at)
     select encode(sha256(('token-' || n)::bytea), 'hex'), 'oidc', 'person-' || n, 'acme', 'p', '["a"]', $1, $1, $2
     from generate_series(1, 10000) n`,
    [START, START + 168 * HOUR],
  );
  for (const n of [1, 5_000, 10_000])
    expect(await many.findSessions([digestOf(`token-${n}`)])).toMatchObject([
      { name: `person-${n}`, groups: ['a'] },
    ]);
  const plan = await db.query<{ 'QUERY PLAN': string }>(
    "explain select * from sessions where digest = any('{a,b}'::text[])",
  );
  expect(JSON.stringify(plan)).toMatch(/Index|Bitmap/);
  at = START + 12 * HOUR + 1;
  const person = { method: 'key', name: 'alice', tenant: 'acme', proof: 'p', groups: [] } as const;
  await createSessions(many, SESSION_LIMITS, now).begin(person, null);
  expect(await db.query('select count(*) as kept from sessions')).toEqual([{ kept: 1 }]);
  await many.close();
});

/** The frames of a stream that has ended. */
const rest = async (response: Response) => framesOfText(await response.text());

const streamingRun = async (browser: Browser): Promise<Response> => {
  const post = async (path: string, body: unknown): Promise<{ id: string }> =>
    (await (await browser.request(path, { method: 'POST', body })).json()) as { id: string };
  const assistant = await post('/v1/assistants', {
    model: 'm',
    instructions: JSON.stringify({ script: ['hang'] }),
  });
  const thread = await post('/v1/threads', { messages: [{ role: 'user', content: 'x' }] });
  const run = await post(`/v1/threads/${thread.id}/runs`, {
    assistant_id: assistant.id,
    metadata: { script: 'hang' },
  });
  return browser.request(`/v1/threads/${thread.id}/runs/${run.id}/events`);
};

describe('an event stream', () => {
  test('ends when its session ends on another server', async () => {
    const browser = new Browser(openDoor(store));
    await browser.signIn({ key: OLGA_KEY });
    const response = await streamingRun(browser);
    expect(response.status).toBe(200);
    const frames = rest(response);
    const elsewhere = browser.at(openDoor(store));
    expect(await elsewhere.outcome('/console/sessions', { method: 'DELETE' })).toBe('200');
    expect((await frames).at(-1)).toMatchObject({
      event: 'error',
      data: { error: { code: 'session_ended' } },
    });
  });
});

test('reading the session of another origin’s page is refused', async () => {
  const browser = new Browser(openDoor(store));
  await browser.signIn({ key: ALICE_KEY });
  const hostile = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: 'http://evil.test' },
    { origin: 'null' },
    { origin: `${ORIGIN}.evil.test` },
    { origin: ORIGIN, 'sec-fetch-site': 'cross-site' },
  ];
  for (const headers of hostile) {
    expect(await browser.outcome('/console/session', { headers })).toBe('403 forbidden');
    expect(await browser.outcome('/v1/approvals', { headers })).toBe('403 forbidden');
  }
  expect(
    ((await (await browser.request('/console/session')).json()) as ConsoleSessionObject).person.name,
  ).toBe('alice');
});
