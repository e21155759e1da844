/** Attacks on the console's sign-in: forged requests, guessed keys, forged headers, and cookies in logs. */
import { describe, expect, test } from 'vitest';
import { createApi, keyAuth, parseApiKeys, type RequestLogEntry } from '../../../api/index.ts';
import { createSignInThrottle, networkOf } from '../../../api/sessions/sign-in-throttle.ts';
import { trustedProxy } from '../../../app/console/open-console.ts';
import { parsePeople } from '../../../app/console/people-file.ts';
import type { ConsoleSessionObject } from '../../../protocol/wire/console-session.ts';
import { createSandboxEngine } from '../../../testing/index.ts';
import {
  ALICE_KEY,
  Browser,
  KEYS,
  OLGA_KEY,
  openDoor,
  sessionStoreInMemory,
} from '../../support/console-door.ts';

const store = sessionStoreInMemory();

const write = (headers: Record<string, string>) => ({ method: 'POST', body: { model: 'm' }, headers });

describe('a request with changes', () => {
  test('needs the token of its own session', async () => {
    const door = openDoor(store);
    const [olga, other] = [new Browser(door), new Browser(door)];
    await olga.signIn({ key: OLGA_KEY });
    const { csrf_token: foreign } = await other.signIn({ key: OLGA_KEY });
    expect(await olga.outcome('/v1/assistants', write({}))).toBe('200');
    for (const token of ['', 'x', foreign, `${olga.csrfToken} `, olga.cookies.get('runs_session') ?? '']) {
      const headers = { 'x-csrf-token': token };
      // A header's value has no white space around it.
      if (token.trim() === olga.csrfToken) continue;
      expect(await olga.outcome('/v1/assistants', write(headers))).toBe('403 csrf_token_invalid');
      expect(await olga.outcome('/console/session', { method: 'DELETE', headers })).toBe(
        '403 csrf_token_invalid',
      );
      expect(await olga.outcome('/console/sessions', { method: 'DELETE', headers })).toBe(
        '403 csrf_token_invalid',
      );
    }
    expect(await olga.outcome('/console/session')).toBe('200');
  });

  test('of another origin’s page is refused, token or not', async () => {
    const olga = new Browser(openDoor(store));
    await olga.signIn({ key: OLGA_KEY });
    for (const origin of ['http://evil.test', 'null', 'http://runs.test.evil.test', 'http://runs.test:81'])
      expect(await olga.outcome('/v1/assistants', write({ origin }))).toBe('403 forbidden');
    for (const site of ['cross-site', 'same-site'])
      expect(await olga.outcome('/v1/assistants', write({ 'sec-fetch-site': site }))).toBe('403 forbidden');
  });

  test('of an origin that may use the API with a key does not use the cookie', async () => {
    const origin = 'https://app.example';
    const { options } = openDoor(store);
    const api = createApi({
      engine: createSandboxEngine(),
      auth: keyAuth(parseApiKeys(KEYS)),
      corsOrigins: [origin],
      console: options,
    });
    const olga = new Browser(api);
    await olga.signIn({ key: OLGA_KEY });
    expect(await olga.outcome('/v1/assistants', write({ origin }))).toBe('403 forbidden');
    expect(await olga.outcome('/v1/assistants', { headers: { origin } })).toBe('403 forbidden');
    const authorization = `Bearer ${OLGA_KEY}`;
    expect(await olga.outcome('/v1/assistants', { headers: { origin, authorization } })).toBe('200');
  });

  test('signs nobody in from a form of another site', async () => {
    const door = openDoor(store);
    const attempts = [
      { 'content-type': 'application/json', origin: 'http://evil.test' },
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/x-www-form-urlencoded' },
    ];
    for (const headers of attempts) {
      const browser = new Browser(door);
      const response = await browser.request('/console/session', {
        method: 'POST',
        body: { key: ALICE_KEY },
        headers,
      });
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(browser.cookies.size).toBe(0);
    }
  });
});

describe('guessed keys', () => {
  const guess = { method: 'POST', body: { key: 'a-guess-of-a-key-0000' } };

  test('of one address are refused after ten in a minute; of others they are not', async () => {
    let at = 0;
    const door = openDoor(store, { now: () => at });
    const browser = new Browser(door);
    for (let count = 0; count < 10; count += 1)
      expect(await browser.outcome('/console/session', { ...guess, peer: '192.0.2.1' })).toBe(
        '401 invalid_api_key',
      );
    const right = { method: 'POST', body: { key: ALICE_KEY } };
    const refused = await browser.request('/console/session', { ...right, peer: '192.0.2.1' });
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('60');
    expect(await browser.outcome('/console/session', { ...right, peer: '192.0.2.2' })).toBe('200');
    at += 60_000;
    expect(await browser.outcome('/console/session', { ...right, peer: '192.0.2.1' })).toBe('200');
  });

  test('of many addresses are refused after three hundred in a minute, and memory is bounded', () => {
    let at = 0;
    const throttle = createSignInThrottle(() => at);
    for (let count = 0; count < 300; count += 1) throttle.failed(`10.0.${count}.1`);
    expect(() => throttle.check('192.0.2.9')).toThrow('Try again in 60 s');
    at += 60_000;
    throttle.check('192.0.2.9');
  });

  test('right keys are never counted', async () => {
    const door = openDoor(store, { now: () => 0 });
    for (let count = 0; count < 20; count += 1)
      expect((await new Browser(door).signIn({ key: ALICE_KEY })).person.name).toBe('alice');
  });

  test('a network of IPv6 counts as one address', () => {
    expect(networkOf('2001:db8:1:2:aaaa::1')).toBe(networkOf('2001:db8:1:2:bbbb::2'));
    expect(networkOf('::ffff:192.0.2.1')).toBe('192.0.2.1');
  });
});

const peopleOfFile = async () => {
  const parsed = await parsePeople(
    'groups: { leads: { tenant: acme, tools: [refund] } }\npeople: { grace: { groups: [leads], header: ["Grace H."] } }',
  );
  if ('problems' in parsed) throw new Error(parsed.problems.join());
  return parsed.value;
};

describe('a header of the proxy', () => {
  const SECRET = 'secret-of-the-proxy-01';
  const PROXY = '10.0.0.5';
  const door = async () =>
    openDoor(store, {
      people: await peopleOfFile(),
      proxy: trustedProxy({
        userHeader: 'x-user',
        groupsHeader: 'x-groups',
        addresses: ['10.0.0.0/24', 'fd00::/8'],
        secret: SECRET,
      }),
    });
  const signed = (user: string, more: Record<string, string> = {}) => ({
    peer: PROXY,
    headers: { 'x-user': user, 'x-runs-proxy-secret': SECRET, ...more },
  });

  test.each([
    ['by the name of the file', 'Grace H.', {}, { name: 'grace', groups: ['leads'] }],
    [
      'by the own name and a group',
      'ann',
      { 'x-groups': 'leads, choir' },
      { name: 'ann', groups: ['leads', 'choir'] },
    ],
  ])('signs a person in %s', async (_what, user, more, person) => {
    const browser = new Browser(await door());
    const response = await browser.request('/console/session', signed(user, more));
    expect(((await response.json()) as ConsoleSessionObject).person).toEqual({ ...person, verified: true });
    expect(await browser.outcome('/v1/approvals', signed(user, more))).toBe('200');
  });

  test.each([
    ['another address', { peer: '192.0.2.1' }],
    ['no known address', { peer: undefined }],
    ['a mapped foreign address', { peer: '::ffff:192.0.2.1' }],
    ['a wrong secret', { headers: { 'x-user': 'grace', 'x-runs-proxy-secret': 'secret-of-the-proxy-02' } }],
    ['no secret', { headers: { 'x-user': 'grace' } }],
    ['no name', { headers: { 'x-runs-proxy-secret': SECRET } }],
  ])('counts for nothing from or with %s', async (_what, more) => {
    const browser = new Browser(await door());
    const { peer, headers } = { ...signed('grace'), ...more };
    const visit = peer === undefined ? { headers } : { headers, peer };
    expect(await browser.outcome('/console/session', visit)).toBe('401 not_signed_in');
  });

  test.each([
    ['of a key', 'olga', { 'x-groups': 'leads' }],
    ['twice', 'grace, mallory', { 'x-groups': 'leads' }],
    ['without a group', 'nobody', {}],
  ])('with a name %s is refused', async (_what, user, more) => {
    const browser = new Browser(await door());
    expect(await browser.outcome('/console/session', signed(user, more))).toBe('403 sign_in_refused');
  });

  test('ends the session when it names somebody else, or nobody', async () => {
    const at = await door();
    for (const later of [
      signed('ann', { 'x-groups': 'leads' }),
      { peer: PROXY },
      { ...signed('grace'), peer: '192.0.2.1' },
    ]) {
      const browser = new Browser(at);
      expect((await browser.request('/console/session', signed('grace'))).status).toBe(200);
      expect(await browser.outcome('/v1/approvals', later)).toBe('401 session_ended');
      expect(await browser.outcome('/console/session', { peer: PROXY })).toBe('401 not_signed_in');
    }
  });

  test('of IPv6 is known by its network', async () => {
    const browser = new Browser(await door());
    expect((await browser.request('/console/session', { ...signed('grace'), peer: 'fd00::17' })).status).toBe(
      200,
    );
    expect(
      (await browser.request('/console/session', { ...signed('grace'), peer: '::ffff:10.0.0.9' })).status,
    ).toBe(200);
  });
});

test('neither cookie nor key nor token reaches the log', async () => {
  const lines: string[] = [];
  const seen: RequestLogEntry[] = [];
  const { options } = openDoor(store);
  const api = createApi({
    engine: createSandboxEngine(),
    auth: keyAuth(parseApiKeys(KEYS)),
    console: { ...options, log: { info: (fields, text) => void lines.push(JSON.stringify([fields, text])) } },
    onRequest: (entry) => void seen.push(entry),
  });
  const browser = new Browser(api);
  const { csrf_token: token } = await browser.signIn({ key: ALICE_KEY });
  const cookie = browser.cookies.get('runs_session') ?? '';
  await browser.outcome('/v1/approvals');
  await browser.request(`/console/approvals/${cookie}`);
  await browser.outcome(`/v1/nowhere/${cookie}`);
  await browser.outcome('/console/session', { method: 'POST', body: { key: 'wrong-key-0123456789' } });
  browser.csrfToken = token;
  await browser.outcome('/console/sessions', { method: 'DELETE' });
  const logged = lines.join('\n') + JSON.stringify(seen);
  expect(lines.length).toBeGreaterThan(1);
  expect(logged).toContain('"alice"');
  for (const secret of [cookie, token, ALICE_KEY, 'wrong-key-0123456789'])
    expect(logged).not.toContain(secret);
});

test('a person reads the own rights only, whatever the page asks for', async () => {
  const alice = new Browser(openDoor(store));
  await alice.signIn({ key: ALICE_KEY });
  expect(await alice.outcome('/v1/runs')).toBe('403 forbidden');
  expect(await alice.outcome('/metrics')).toBe('404 unknown_url');
});
