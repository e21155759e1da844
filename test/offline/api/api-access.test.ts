/**
 * Who may call, how often, and from where: keys and tenants, rate limits, the loopback rule, going down in good order.
 */
import { connect } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createApi,
  createLimiter,
  hashKey,
  isLoopback,
  keyAuth,
  parseApiKeys,
  parseRates,
  serveApi,
} from '../../../api/index.ts';
import { ROUTES } from '../../../api/app.ts';
import { RunsError } from '../../../protocol/errors.ts';
import type { Run } from '../../../protocol/wire/objects.ts';
import { createSandbox, createSandboxEngine } from '../../../testing/index.ts';
import { deferred } from '../../support/deferred.ts';
import { call, stream } from '../../support/http.ts';

const KEY_A = 'sk-tenant-a-0123456789';
const KEY_B = 'sk-tenant-b-0123456789';
const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });

const id = (value: unknown): string => (value as { id: string }).id;

const problemOf = (text: string): string => {
  try {
    parseApiKeys(text);
  } catch (error) {
    if (error instanceof RunsError) return error.message;
  }
  return 'no problem';
};

describe('keys', () => {
  const keyed = () =>
    createApi({ engine: createSandboxEngine(), auth: keyAuth(parseApiKeys(`a:${KEY_A} b:${KEY_B}`)) });

  test('no key, a wrong one, and one in the wrong header are 401, without an echo', async () => {
    const api = keyed();
    for (const headers of [{}, bearer('sk-wrong'), { authorization: KEY_A }, bearer(`${KEY_A}x`)]) {
      const answer = await call(api.fetch, 'POST', '/v1/threads', {}, headers);
      expect(answer.status).toBe(401);
      expect(answer.body).toMatchObject({ error: { code: 'invalid_api_key' } });
      expect(JSON.stringify(answer.body)).not.toContain('sk-');
    }
    expect((await call(api.fetch, 'POST', '/v1/threads', {}, bearer(KEY_A))).status).toBe(200);
    expect((await call(api.fetch, 'POST', '/v1/threads', {}, { 'api-key': KEY_A })).status).toBe(200);
  });

  test('health, readiness and the document need none', async () => {
    const api = keyed();
    for (const path of ['/healthz', '/readyz', '/openapi.json'])
      expect((await call(api.fetch, 'GET', path)).status).toBe(200);
  });

  test("a tenant sees only its own objects: another's are 404, as if they were not there", async () => {
    const api = keyed();
    const as = async (
      key: string,
      method: string,
      path: string,
      body?: unknown,
    ): Promise<[number, unknown]> => {
      const answer = await call(api.fetch, method, path, body, bearer(key));
      return [answer.status, answer.body];
    };
    const [, assistant] = await as(KEY_A, 'POST', '/v1/assistants', { model: 'chat' });
    const [, run] = await as(KEY_A, 'POST', '/v1/threads/runs', { assistant_id: id(assistant) });
    const thread = (run as { thread_id: string }).thread_id;
    const paths = [
      `/v1/assistants/${id(assistant)}`,
      `/v1/threads/${thread}`,
      `/v1/threads/${thread}/messages`,
      `/v1/threads/${thread}/runs`,
      `/v1/threads/${thread}/runs/${id(run)}`,
      `/v1/threads/${thread}/runs/${id(run)}/steps`,
      `/v1/threads/${thread}/runs/${id(run)}/events`,
    ];
    for (const path of paths) {
      expect([path, (await as(KEY_B, 'GET', path))[0]]).toEqual([path, 404]);
    }
    expect((await as(KEY_B, 'POST', '/v1/threads/runs', { assistant_id: id(assistant) }))[0]).toBe(404);
    expect((await as(KEY_B, 'POST', `/v1/threads/${thread}/runs/${id(run)}/cancel`))[0]).toBe(404);
    expect((await as(KEY_B, 'GET', '/v1/assistants'))[1]).toMatchObject({ data: [] });
    expect((await as(KEY_A, 'GET', paths[4] ?? ''))[0]).toBe(200);
  });

  test('are read from one line, digests and tool grants included', () => {
    expect(
      parseApiKeys(`a:${KEY_A}:deploy|weather, b:sha256.${hashKey(KEY_B)}:*\n c:${KEY_A}${KEY_B}`),
    ).toEqual([
      { tenant: 'a', sha256: hashKey(KEY_A), tools: ['deploy', 'weather'], roles: ['caller'] },
      { tenant: 'b', sha256: hashKey(KEY_B), tools: '*', roles: ['caller'] },
      { tenant: 'c', sha256: hashKey(KEY_A + KEY_B), tools: [], roles: ['caller'] },
    ]);
  });

  test.each([
    [KEY_A, 'Entry 1 of RUNS_API_KEYS has no tenant before its key.'],
    [
      `b:${KEY_B} a:short`,
      'Entry 2 of RUNS_API_KEYS is too short: use at least 16 characters after the first colon.',
    ],
    [`a:${KEY_A}:x:role=caller:z`, 'Entry 1 of RUNS_API_KEYS has too many colons.'],
    [
      `a/b:${KEY_A}`,
      'Entry 1 of RUNS_API_KEYS needs a tenant of 1 to 64 letters, digits, "_" or "-" before the first colon.',
    ],
  ])('a bad entry is refused by its place, never by its key: %#', (text, message) => {
    expect(problemOf(text)).toBe(`${message} The form is tenant:key[:tool|tool[:role=approver;name=alice]].`);
  });

  test('one key for two tenants is refused', () => {
    expect(problemOf(`a:${KEY_A} b:${KEY_A}`)).toMatch(/lists one key twice/);
  });
});

describe('rate limits', () => {
  test('are counted for each tenant and kind, and say in whole seconds when to come back', async () => {
    let now = 0;
    const api = createApi({
      engine: createSandboxEngine(),
      auth: keyAuth(parseApiKeys(`a:${KEY_A} b:${KEY_B}`)),
      limiter: createLimiter({ run: 6, write: 60 }, () => now),
    });
    const run = (key: string) =>
      call(api.fetch, 'POST', '/v1/threads/runs', { assistant_id: 'asst_chat' }, bearer(key));
    for (let count = 0; count < 6; count += 1) expect((await run(KEY_A)).status).toBe(200);
    const refused = await run(KEY_A);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('10');
    expect(refused.body).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
    expect((await run(KEY_B)).status).toBe(200);
    expect((await call(api.fetch, 'POST', '/v1/threads', {}, bearer(KEY_A))).status).toBe(200);
    now += 10_000;
    expect((await run(KEY_A)).status).toBe(200);
    expect((await run(KEY_A)).status).toBe(429);
  });

  test('are read from one line', () => {
    expect(parseRates('original')).toEqual({ read: 1000, write: 300, run: 200, delete: 300 });
    expect(parseRates('run=50, read=5000')).toEqual({ run: 50, read: 5000 });
    for (const bad of ['runs=5', 'run=0', 'run', 'run=1e3', '', '__proto__=1'])
      expect(() => parseRates(bad)).toThrow(`; got ${JSON.stringify(bad)}`);
  });

  test('never let through more than the bucket and its refill, for any arrivals', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 30_000 }), { maxLength: 200 }), (gaps) => {
        let now = 0;
        const limiter = createLimiter({ read: 10 }, () => now);
        let passed = 0;
        for (const gap of gaps) {
          now += gap;
          try {
            limiter.take('t', 'read');
            passed += 1;
          } catch {
            // Refused.
          }
        }
        expect(passed).toBeLessThanOrEqual(10 + (now / 60_000) * 10);
      }),
    );
  });

  test('a flood of tenants does not grow memory without bound', () => {
    const limiter = createLimiter({ read: 2 }, () => 0);
    const before = process.memoryUsage().heapUsed;
    for (let tenant = 0; tenant < 200_000; tenant += 1) limiter.take(`tenant-${tenant}`, 'read');
    // 200,000 remembered tenants would be about 40 MB.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(30_000_000);
  });
});

describe('the socket', () => {
  test('without keys, any host but loopback is refused before anything listens', async () => {
    const api = createApi({ engine: createSandboxEngine() });
    await expect(serveApi(api, { host: '0.0.0.0' })).rejects.toThrow(
      'Without API keys the server listens on this machine only; got host "0.0.0.0". Set RUNS_API_KEYS, or use host 127.0.0.1.',
    );
  });

  test.each([
    ['127.0.0.1', true],
    ['localhost', true],
    ['127.8.8.8', true],
    ['::1', true],
    ['[::1]', true],
    ['0.0.0.0', false],
    ['::', false],
    ['127.0.0.1.example.org', false],
    ['localhost.example.org', false],
    ['', false],
  ])('host %j counts as loopback: %s', (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });

  test("without keys, another host's name is refused: a page in a browser can't reach in", async () => {
    const served = await serveApi(createApi({ engine: createSandboxEngine() }));
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(served.port, '127.0.0.1', () =>
        socket.write('GET /v1/assistants HTTP/1.1\r\nHost: evil.example.org\r\nConnection: close\r\n\r\n'),
      );
      let text = '';
      socket.setEncoding('utf8').on('data', (part: string) => (text += part));
      socket.on('close', () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    await served.close();
  });

  test('a port in use is said so', async () => {
    const api = createApi({ engine: createSandboxEngine() });
    const first = await serveApi(api);
    await expect(serveApi(api, { port: first.port })).rejects.toThrow(
      `Port ${first.port} on 127.0.0.1 is in use. Choose another one, or 0 for any that is free.`,
    );
    await first.close();
  });

  test('closing lets a request in flight finish, tells streams, and then refuses connections', async () => {
    const engine = createSandboxEngine();
    const [gate, inside] = [deferred(), deferred()];
    const api = createApi({
      engine: {
        ...engine,
        async createThread(caller, params) {
          inside.resolve();
          await gate.promise;
          return engine.createThread(caller, params);
        },
      },
    });
    const served = await serveApi(api);
    const send = (request: Request): Promise<Response> =>
      fetch(request.url.replace('http://127.0.0.1', served.url.slice(0, -3)), request);
    const streaming = stream(send, 'POST', '/v1/threads/runs', { assistant_id: 'asst_hang', stream: true });
    const creating = call(send, 'POST', '/v1/threads', {});
    await inside.promise;
    const closed = served.close();
    gate.resolve();
    expect((await creating).status).toBe(200);
    expect((await streaming).at(-1)).toMatchObject({
      event: 'error',
      data: { error: { code: 'shutting_down' } },
    });
    await closed;
    await expect(fetch(served.url)).rejects.toThrow('fetch failed');
  });
});

describe('what every answer carries', () => {
  test('a request id of its own, the API version, and on runs when to look again', async () => {
    const { fetch, clock } = await createSandbox({ listen: false });
    const created = await call(fetch, 'POST', '/v1/threads/runs', { assistant_id: 'asst_hang' });
    const path = `/v1/threads/${(created.body as Run).thread_id}/runs/${id(created.body)}`;
    clock.advance(8000);
    const [one, two] = [await call(fetch, 'GET', path), await call(fetch, 'GET', path)];
    expect(one.headers.get('x-request-id')).toMatch(/^req_/);
    expect(one.headers.get('x-request-id')).not.toBe(two.headers.get('x-request-id'));
    expect(one.headers.get('openai-version')).toBe('2020-10-01');
    // A tenth of the time since the run was picked up.
    const hint = Number(one.headers.get('openai-poll-after-ms'));
    expect(hint).toBeGreaterThanOrEqual(700);
    expect(hint).toBeLessThanOrEqual(800);
  });
});

describe('GET /openapi.json', () => {
  test('describes every route that is served, with the schema that checks its body', async () => {
    const { fetch } = await createSandbox({ listen: false });
    const { body } = await call(fetch, 'GET', '/openapi.json');
    const document = body as {
      openapi: string;
      paths: Record<
        string,
        Record<string, { requestBody?: { content: Record<string, { schema: unknown }> } }>
      >;
      components: { schemas: Record<string, unknown> };
    };
    expect(document.openapi).toBe('3.1.0');
    for (const route of ROUTES) {
      const operation = document.paths[route.path]?.[route.method.toLowerCase()];
      expect([route.path, operation !== undefined]).toEqual([route.path, true]);
      expect(operation?.requestBody !== undefined).toBe(route.body !== null);
    }
    const submit =
      document.paths['/v1/threads/{thread_id}/runs/{run_id}/submit_tool_outputs']?.['post']?.requestBody;
    expect(submit?.content['application/json']?.schema).toMatchObject({
      required: ['tool_outputs'],
      additionalProperties: false,
    });
    const thread = document.paths['/v1/threads']?.['post']?.requestBody?.content['application/json']?.schema;
    expect(thread).toMatchObject({
      properties: { metadata: { anyOf: [{ type: 'object', maxProperties: 16 }, {}] } },
    });
    // Every reference leads somewhere.
    const names = [...JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g)].map(
      (match) => match[1] ?? '',
    );
    expect(names.filter((name) => document.components.schemas[name] === undefined)).toEqual([]);
  });
});
