/** The codec endpoint on a real socket: who gets plain text, and who does not. */
import { defaultPayloadConverter } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startCodecServer, type CodecServer } from '../../../app/codec-server/index.ts';
import { createCodecApp } from '../../../app/codec-server/app.ts';
import { keyAuth, parseApiKeys } from '../../../api/index.ts';
import { encryptionOf } from '../../../client/encryption.ts';
import type { Logger } from '../../../protocol/ports/backend.ts';

const KEYS = `k1:${'1a'.repeat(32)}`;
const UI = 'https://temporal.example';
const OPERATOR = 'operator-key-0123456789';
const API_KEYS = `shop:${OPERATOR}::role=operator;name=olga shop:caller-key-0123456789 shop:approver-key-012345:*:role=approver;name=ann`;
const log: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const [codec] = encryptionOf({ RUNS_ENCRYPTION_KEYS: KEYS })?.payloadCodecs ?? [];

const start = (more: { apiKeys?: string | null; keys?: string; host?: string } = {}): Promise<CodecServer> =>
  startCodecServer({
    dataConverter: more.keys === '' ? undefined : encryptionOf({ RUNS_ENCRYPTION_KEYS: more.keys ?? KEYS }),
    apiKeys: more.apiKeys === undefined ? API_KEYS : more.apiKeys,
    origins: [UI],
    host: more.host ?? '127.0.0.1',
    port: 0,
    publicUrl: null,
    log,
  });

let server: CodecServer;
beforeEach(async () => {
  server = await start();
});
afterEach(() => server.close());

const body = async (value: unknown): Promise<string> => {
  const payloads = (await codec?.encode([defaultPayloadConverter.toPayload(value)])) ?? [];
  return JSON.stringify({
    payloads: payloads.map(({ metadata, data }) => ({
      metadata: Object.fromEntries(
        Object.entries(metadata ?? {}).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]),
      ),
      data: Buffer.from(data ?? []).toString('base64'),
    })),
  });
};
const post = async (headers: Record<string, string>, text?: string, path = '/decode'): Promise<Response> =>
  fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: text ?? (await body('canary')),
  });
const plainOf = async (reply: Response): Promise<unknown> => {
  const { payloads } = (await reply.json()) as { payloads: { data: string }[] };
  return payloads.map(({ data }) => JSON.parse(Buffer.from(data, 'base64').toString()) as unknown);
};
const signIn = (key: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${server.url}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers,
    body: new URLSearchParams({ key }),
  });
const cookieOf = (reply: Response): string => (reply.headers.get('set-cookie') ?? '').split(';')[0] ?? '';

describe('a program', () => {
  test('with an operator’s key gets plain text, and encrypts what it sends', async () => {
    const authorization = `Bearer ${OPERATOR}`;
    expect(await plainOf(await post({ authorization }))).toEqual(['canary']);
    const plain = { payloads: [{ metadata: { encoding: 'anNvbi9wbGFpbg==' }, data: 'ImNhbmFyeSI=' }] };
    const text = await (await post({ authorization }, JSON.stringify(plain), '/encode')).text();
    expect(text).not.toContain('ImNhbmFyeSI=');
    expect(await plainOf(await post({ authorization }, text))).toEqual(['canary']);
  });

  test.each([
    ['no key', {}, 401],
    ['an unknown key', { authorization: 'Bearer nope-nope-nope-nope' }, 401],
    ['a caller’s key', { authorization: 'Bearer caller-key-0123456789' }, 403],
    ['an approver’s key', { authorization: 'Bearer approver-key-012345' }, 403],
    [
      'a page of another origin',
      { authorization: `Bearer ${OPERATOR}`, origin: 'https://evil.example' },
      403,
    ],
    ['a form’s content type', { authorization: `Bearer ${OPERATOR}`, 'content-type': 'text/plain' }, 400],
  ])('with %s gets nothing', async (_who, headers: Record<string, string>, status) => {
    const reply = await post(headers);
    expect(reply.status).toBe(status);
    expect(await reply.text()).not.toContain('Y2FuYXJ5');
    expect(reply.headers.get('access-control-allow-origin')).toBeNull();
  });

  test.each([
    '',
    '{',
    '[]',
    '{"payloads":{}}',
    '{"payloads":[{"data":"%"}]}',
    '{"payloads":[{"metadata":{"a":1}}]}',
  ])('that sends no payloads is refused: %j', async (text) => {
    expect((await post({ authorization: `Bearer ${OPERATOR}` }, text)).status).toBe(400);
  });

  test('learns which key is missing here', async () => {
    await server.close();
    server = await start({ keys: `k2:${'2b'.repeat(32)}` });
    const reply = await post({ authorization: `Bearer ${OPERATOR}` });
    expect(reply.status).toBe(422);
    expect(await reply.text()).toContain('key \\"k1\\"');
  });
});

/** Asks as a browser does before a request of another origin. */
const allowedOrigin = async (origin: string): Promise<string | null> => {
  const reply = await fetch(`${server.url}/decode`, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,x-namespace',
    },
  });
  return reply.headers.get('access-control-allow-origin');
};

describe('the Web UI', () => {
  test('gets plain text with the cookie of an operator who signed in, until the sign-out', async () => {
    const signed = await signIn(OPERATOR);
    expect(signed.status).toBe(303);
    expect(signed.headers.get('set-cookie')).toMatch(/HttpOnly/);
    expect(signed.headers.get('set-cookie')).toMatch(/SameSite=Strict/);
    const cookie = cookieOf(signed);
    const reply = await post({ cookie, origin: UI });
    expect(reply.headers.get('access-control-allow-origin')).toBe(UI);
    expect(reply.headers.get('access-control-allow-credentials')).toBe('true');
    expect(reply.headers.get('cache-control')).toBe('no-store');
    expect(await plainOf(reply)).toEqual(['canary']);
    expect(await (await fetch(server.url, { headers: { cookie } })).text()).toContain('olga');

    expect((await post({ cookie, origin: 'https://evil.example' })).status).toBe(403);
    await fetch(`${server.url}/sign-out`, { method: 'POST', headers: { cookie }, redirect: 'manual' });
    expect((await post({ cookie, origin: UI })).status).toBe(401);
  });

  test('may ask beforehand, other pages may not', async () => {
    expect(await allowedOrigin(UI)).toBe(UI);
    expect(await allowedOrigin('https://evil.example')).toBeNull();
  });
});

describe('signing in', () => {
  test('takes an operator’s key only, and not from a form of another site', async () => {
    expect((await signIn('nope-nope-nope-nope')).status).toBe(401);
    expect((await signIn('caller-key-0123456789')).status).toBe(401);
    const foreign = await signIn(OPERATOR, { origin: 'https://evil.example' });
    expect(foreign.status).toBe(403);
    expect(foreign.headers.get('set-cookie')).toBeNull();
  });

  test('is throttled after thirty failures in a minute, also with the right key', async () => {
    for (let count = 0; count < 30; count++) await signIn(`wrong-key-${count}-0123456789`);
    expect((await signIn(OPERATOR)).status).toBe(429);
  });

  test('shows no script, and lets no page frame it', async () => {
    const page = await fetch(server.url);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(await page.text()).not.toContain('<script');
  });
});

test('a session ends when it is unused for twelve hours, and after a day in any case', async () => {
  if (codec === undefined) throw new Error('no codec');
  let now = 0;
  const app = createCodecApp({
    codec,
    auth: keyAuth(parseApiKeys(API_KEYS)),
    origins: [UI],
    publicUrl: 'http://codec.test',
    log,
    now: () => now,
  });
  const signedIn = async (): Promise<string> =>
    cookieOf(await app.request('/sign-in', { method: 'POST', body: new URLSearchParams({ key: OPERATOR }) }));
  const isIn = async (cookie: string): Promise<boolean> =>
    (await (await app.request('/', { headers: { cookie } })).text()).includes('olga');
  const used = await signedIn();
  const idle = await signedIn();
  const hour = 3_600_000;
  for (let at = 1; at <= 23; at++) {
    now = at * hour;
    expect(await isIn(used)).toBe(true);
  }
  expect(await isIn(idle)).toBe(false);
  now = 25 * hour;
  expect(await isIn(used)).toBe(false);
});

describe('without keys', () => {
  test('it serves this machine, and allowed pages only', async () => {
    await server.close();
    server = await start({ apiKeys: null });
    expect(await plainOf(await post({ origin: UI }))).toEqual(['canary']);
    expect((await post({ origin: 'https://evil.example' })).status).toBe(403);
  });

  test('it listens on no other address', async () => {
    await expect(start({ apiKeys: null, host: '0.0.0.0' })).rejects.toThrow('Without API keys');
  });
});

test('without a codec there is nothing to serve', async () => {
  await expect(start({ keys: '' })).rejects.toThrow('nothing to decrypt with');
});
