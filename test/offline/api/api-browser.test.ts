/** Requests of web pages: which are refused, which are answered, and with which headers. */
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApi, keyAuth, parseApiKeys, parseOrigins, serveApi } from '../../../api/index.ts';
import type { RequestLogEntry, ServedApi } from '../../../api/index.ts';
import { browserVerdict, type BrowserHeaders } from '../../../api/browser.ts';
import { RunsError } from '../../../protocol/errors.ts';
import { createSandboxEngine } from '../../../testing/index.ts';
import { call } from '../../support/http.ts';

const KEY = 'sk-browser-0123456789';
const APP = 'https://app.example';
const PLAIN: BrowserHeaders = {
  method: 'GET',
  host: '127.0.0.1:8787',
  origin: null,
  site: null,
  preflightFor: null,
};

describe('a request', () => {
  test.each<[string, Partial<BrowserHeaders>, string]>([
    ['of a program', {}, 'pass'],
    ['of a program that names its own origin', { origin: 'http://127.0.0.1:8787' }, 'pass'],
    ['typed into an address bar', { site: 'none' }, 'pass'],
    ['of a page of this server', { origin: 'http://127.0.0.1:8787', site: 'same-origin' }, 'pass'],
    ['of a page of this server behind TLS', { origin: 'https://127.0.0.1:8787' }, 'pass'],
    ['of another site', { origin: 'https://evil.example', site: 'cross-site' }, 'refused'],
    ['of another site, from an old browser', { origin: 'https://evil.example' }, 'refused'],
    ['of another site, by a link, an image or a form', { site: 'cross-site' }, 'refused'],
    ['of another port of this machine', { origin: 'http://127.0.0.1:3000', site: 'same-site' }, 'refused'],
    ['of a page without an origin of its own', { origin: 'null', site: 'cross-site' }, 'refused'],
    ['of a file, from an old browser', { origin: 'null' }, 'refused'],
    ['of an allowed page', { origin: APP, site: 'cross-site' }, 'allowed'],
    ['of a page below the allowed one', { origin: 'https://sub.app.example', site: 'cross-site' }, 'refused'],
    ['of an allowed host without TLS', { origin: 'http://app.example', site: 'cross-site' }, 'refused'],
    ['that asks for an allowed page', { method: 'OPTIONS', origin: APP, preflightFor: 'POST' }, 'preflight'],
    [
      'that asks for another page',
      { method: 'OPTIONS', origin: 'https://evil.example', preflightFor: 'POST', site: 'cross-site' },
      'refused',
    ],
    ['OPTIONS of an allowed page that asks for nothing', { method: 'OPTIONS', origin: APP }, 'allowed'],
  ])('%s', (_, headers, verdict) => {
    expect(browserVerdict({ ...PLAIN, ...headers }, new Set([APP]))).toBe(verdict);
  });
});

describe('the text of RUNS_CORS_ORIGINS', () => {
  test('names exact origins, by comma or white space', () => {
    expect(parseOrigins(` ${APP},http://localhost:3000 `)).toEqual([APP, 'http://localhost:3000']);
    expect(parseOrigins('')).toEqual([]);
  });

  test.each([
    '*',
    'https://*.example',
    'app.example',
    'https://app.example/',
    'https://app.example/x',
    'null',
  ])('%s is none', (text) => {
    expect(() => parseOrigins(text)).toThrow(RunsError);
  });

  test('is refused for a server without keys', () => {
    expect(() => createApi({ engine: createSandboxEngine(), corsOrigins: [APP] })).toThrow(/RUNS_API_KEYS/);
  });
});

/** `fetch` sets `Sec-Fetch-*` and `Host` itself. */
const send = (
  served: ServedApi,
  method: string,
  path: string,
  headers: Record<string, string>,
): Promise<{ status: number; headers: Record<string, unknown>; body: string }> =>
  new Promise((resolve, reject) => {
    const sent = httpRequest(`${served.url}${path}`, { method, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (piece: string) => (body += piece));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    sent.on('error', reject).end();
  });

describe('on a socket', () => {
  const seen: RequestLogEntry[] = [];
  const engine = createSandboxEngine();
  let open: ServedApi;
  let keyed: ServedApi;
  beforeAll(async () => {
    open = await serveApi(createApi({ engine, onRequest: (request) => seen.push(request) }));
    keyed = await serveApi(
      createApi({ engine, auth: keyAuth(parseApiKeys(`a:${KEY}`)), corsOrigins: [APP] }),
    );
  });
  afterAll(() => Promise.all([open.close(), keyed.close()]));

  test.each([
    ['an empty POST of another site', 'POST', { origin: 'https://evil.example' }],
    ['an empty POST without an origin', 'POST', { 'sec-fetch-site': 'cross-site' }],
    ['a form', 'POST', { origin: 'null', 'content-type': 'text/plain' }],
    ['a preflight', 'OPTIONS', { origin: 'https://evil.example', 'access-control-request-method': 'POST' }],
  ])('%s is refused, and creates nothing', async (_, method, headers) => {
    const before = seen.length;
    const answer = await send(open, method, '/threads', headers);
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([403, { error: { code: 'forbidden' } }]);
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
    expect(seen.slice(before)).toMatchObject([{ status: 403, route: null }]);
  });

  test('an allowed page may ask, and reads answers and refusals', async () => {
    const asked = 'authorization,content-type,openai-beta,x-stainless-lang';
    const preflight = await send(keyed, 'OPTIONS', '/threads', {
      origin: APP,
      'access-control-request-method': 'POST',
      'access-control-request-headers': asked,
    });
    expect([preflight.status, preflight.headers]).toMatchObject([
      204,
      {
        'access-control-allow-origin': APP,
        'access-control-allow-methods': 'GET, HEAD, POST, DELETE',
        'access-control-allow-headers': asked,
      },
    ]);
    expect(preflight.headers).not.toHaveProperty('access-control-allow-credentials');
    const page = { origin: APP, 'sec-fetch-site': 'cross-site' };
    const made = await send(keyed, 'POST', '/threads', { ...page, authorization: `Bearer ${KEY}` });
    const refused = await send(keyed, 'POST', '/threads', page);
    expect([made.status, refused.status]).toEqual([200, 401]);
    for (const { headers } of [made, refused])
      expect(headers).toMatchObject({
        'access-control-allow-origin': APP,
        'access-control-expose-headers': expect.stringContaining('x-request-id') as string,
        vary: 'origin',
      });
  });

  test('a key does not let in a page that is not allowed', async () => {
    const answer = await send(keyed, 'GET', '/assistants', {
      origin: 'https://evil.example',
      authorization: `Bearer ${KEY}`,
    });
    expect(answer.status).toBe(403);
  });

  test('headers that are no names are not named again', async () => {
    const preflight = await send(keyed, 'OPTIONS', '/threads', {
      origin: APP,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'a, *; x=1',
    });
    expect(preflight.headers['access-control-allow-headers']).toBe('');
  });
});

test.each(['gzip', 'br', 'deflate, gzip', 'x-unknown'])(
  'a body with Content-Encoding %s is a 415 that names it',
  async (encoding) => {
    const api = createApi({ engine: createSandboxEngine() });
    const answer = await call(api.fetch, 'POST', '/v1/threads', {}, { 'content-encoding': encoding });
    expect([answer.status, answer.body]).toEqual([
      415,
      {
        error: {
          message: `Unsupported Content-Encoding "${encoding}": send the body as it is, without compressing it and without this header.`,
          type: 'invalid_request_error',
          param: null,
          code: 'unsupported_content_encoding',
        },
      },
    ]);
    expect(
      (await call(api.fetch, 'POST', '/v1/threads', {}, { 'content-encoding': 'identity' })).status,
    ).toBe(200);
  },
);
