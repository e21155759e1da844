import { once } from 'node:events';
import { createServer } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import {
  createHttpClient,
  HttpFailure,
  sseEvents,
  type HttpClient,
  type HttpClientOptions,
  type HttpRequest,
} from '../../../backends/http/index.ts';
import {
  hang,
  json,
  raw,
  reply,
  reset,
  scriptedHttp,
  sse,
  type ScriptedHttp,
  type Step,
} from '../../support/scripted-http.ts';

const KEY = 'sk-canary-0123456789abcdef';
const open: { close(): Promise<void> }[] = [];
const toClose = (...things: { close(): Promise<void> }[]): void => void open.push(...things);
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.close();
});

const setUp = async (
  script: readonly Step[],
  options: Partial<HttpClientOptions> = {},
): Promise<{ server: ScriptedHttp; client: HttpClient }> => {
  const server = await scriptedHttp(script);
  const client = createHttpClient({ baseUrl: `${server.url}/v1`, apiKey: KEY, ...options });
  toClose(server, client);
  return { server, client };
};
const GET: HttpRequest = { method: 'GET', path: ['things', 'a/b?c'], route: '/things/{thing}' };
const POST: HttpRequest = { ...GET, method: 'POST', body: { a: 1 } };

const failureOf = async (promise: Promise<unknown>): Promise<HttpFailure> => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof HttpFailure)) throw new Error(`expected an HttpFailure, got ${String(error)}`);
  return error;
};
const closedPort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
};

describe('requests', () => {
  test('have prefix, query, encoded ids, key and headers', async () => {
    const server = await scriptedHttp([json({ ok: true })]);
    const client = createHttpClient({
      baseUrl: `${server.url}/api/projects/p/?api-version=v1`,
      query: { extra: 'x y' },
      apiKey: () => Promise.resolve(KEY),
      headers: { 'openai-beta': 'assistants=v2' },
    });
    toClose(server, client);
    const answer = await client.json({ ...POST, query: { limit: 5, after: undefined } });
    expect(answer.body).toEqual({ ok: true });
    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      target: '/api/projects/p/things/a%2Fb%3Fc?api-version=v1&extra=x+y&limit=5',
      body: '{"a":1}',
    });
    expect(server.requests[0]?.headers).toMatchObject({
      authorization: `Bearer ${KEY}`,
      'openai-beta': 'assistants=v2',
      'accept-encoding': 'identity',
      'content-type': 'application/json',
    });
  });

  test('the key is read again for every request', async () => {
    const keys = ['first-key', 'second-key'];
    const { server, client } = await setUp([json(1), json(2)], { apiKey: () => keys.shift() ?? '' });
    await client.json(GET);
    await client.json(GET);
    expect(server.requests.map(({ headers }) => headers['authorization'])).toEqual([
      'Bearer first-key',
      'Bearer second-key',
    ]);
  });

  test('without a key there is no authorization header', async () => {
    const { server, client } = await setUp([json(1)], { apiKey: undefined });
    await client.json(GET);
    expect(server.requests[0]?.headers).not.toHaveProperty('authorization');
  });

  test('a key that no header can carry is refused before anything is sent, unseen', async () => {
    const { server, client } = await setUp([], { apiKey: 'sk-secret\nsecond' });
    const failure = await failureOf(client.json(GET));
    expect(failure).toMatchObject({ kind: 'key', mayHaveHappened: false });
    expect(failure.message).not.toContain('secret');
    expect(server.requests).toHaveLength(0);
  });

  test('a key provider that fails is retryable and its reason stays inside', async () => {
    const { client } = await setUp([], { apiKey: () => Promise.reject(new Error(`no ${KEY}`)) });
    const failure = await failureOf(client.json(GET));
    expect(failure).toMatchObject({ kind: 'network_before_send', verdict: { nonRetryable: false } });
    expect(JSON.stringify([failure.message, failure.facts, failure.cause])).not.toContain(KEY);
  });

  test.each(['.', '..', ''])('the path segment %j is refused', async (segment) => {
    const { server, client } = await setUp([]);
    await expect(client.json({ ...GET, path: ['threads', segment] })).rejects.toThrow(TypeError);
    expect(server.requests).toHaveLength(0);
  });

  test.each([
    ['', 'must be a URL'],
    ['api.example.com', 'must be an absolute URL'],
    ['ftp://x', 'must start with'],
    ['https://user:hunter2@x', 'must not contain a user name'],
    ['https://x/#part', 'must not have a fragment'],
  ])('the base URL %j is refused without showing a password', (baseUrl, message) => {
    const build = (): HttpClient => createHttpClient({ baseUrl });
    expect(build).toThrow(message);
    expect(build).not.toThrow('hunter2');
  });
});

describe('was it sent?', () => {
  test('no listener: not sent', async () => {
    const client = createHttpClient({ baseUrl: `http://127.0.0.1:${await closedPort()}` });
    toClose(client);
    expect(await failureOf(client.json(POST))).toMatchObject({
      kind: 'network_before_send',
      mayHaveHappened: false,
      facts: { networkCode: 'ECONNREFUSED' },
    });
  });

  test('unknown host: not sent', async () => {
    const client = createHttpClient({ baseUrl: 'http://name.invalid' });
    toClose(client);
    expect(await failureOf(client.json(POST))).toMatchObject({ kind: 'network_before_send' });
  });

  test('a TLS handshake with a plain server: not sent', async () => {
    const server = await scriptedHttp();
    const client = createHttpClient({
      baseUrl: server.url.replace('http:', 'https:'),
      timeouts: { connectMs: 300 },
    });
    toClose(server, client);
    expect(await failureOf(client.json(POST))).toMatchObject({ kind: 'network_before_send' });
  });

  test.each<[string, Step]>([
    ['reset before an answer', reset],
    ['connection closed before an answer', raw('')],
    ['reset in the middle of the headers', raw('HTTP/1.1 200 OK\r\nconte', 'cut')],
    ['reset in the middle of the body', raw('HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{"a":', 'cut')],
    ['closed in the middle of the body', raw('HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{"a":')],
    [
      'closed in the middle of a chunk',
      raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{"a":'),
    ],
  ])('%s: may have happened, sent once', async (_name, step) => {
    const { server, client } = await setUp([step]);
    expect(await failureOf(client.json(POST))).toMatchObject({
      kind: 'network_ambiguous',
      mayHaveHappened: true,
      verdict: { nonRetryable: false },
    });
    expect(server.requests).toHaveLength(1);
  });

  test.each<[string, Step, HttpRequest['timeouts']]>([
    ['no headers', hang, { headersMs: 50 }],
    ['headers without an end', raw('HTTP/1.1 200 OK\r\nx-a: b\r\n', 'hold'), { headersMs: 50 }],
    ['a body that stops', raw('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{', 'hold'), { bodyGapMs: 50 }],
    ['a call that takes too long in total', hang, { totalMs: 50 }],
    ['a body that drips', raw('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{', 'hold'), { totalMs: 50 }],
  ])('%s: a timeout that may have happened', async (_name, step, timeouts) => {
    const { server, client } = await setUp([step]);
    expect(await failureOf(client.json({ ...POST, ...(timeouts && { timeouts }) }))).toMatchObject({
      kind: 'timeout',
      mayHaveHappened: true,
    });
    expect(server.requests).toHaveLength(1);
  });

  test('a mistake of the caller shows itself as one, not as a network that is down', async () => {
    const { server, client } = await setUp([]);
    const circular: { self?: unknown } = {};
    circular.self = circular;
    await expect(client.json({ ...POST, body: circular })).rejects.toThrow(TypeError);
    await expect(client.json({ ...POST, headers: { 'bad name': 'x' } })).rejects.toThrow('invalid header');
    expect(server.requests).toHaveLength(0);
  });

  test('an answer that is no HTTP is unsupported', async () => {
    const { client } = await setUp([raw('SSH-2.0-OpenSSH_9.6\r\n')]);
    expect(await failureOf(client.json(GET))).toMatchObject({
      kind: 'bad_body',
      verdict: { type: 'BackendUnsupported' },
    });
  });
});

describe('the caller aborts', () => {
  test('before: nothing is sent, the reason comes back', async () => {
    const { server, client } = await setUp([]);
    const reason = new Error('worker stops');
    await expect(client.json({ ...GET, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(server.requests).toHaveLength(0);
  });

  test('while waiting for headers, for a body, and for a stream', async () => {
    const steps: [Step, 'json' | 'stream'][] = [
      [hang, 'json'],
      [raw('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{', 'hold'), 'json'],
      [hang, 'stream'],
    ];
    for (const [step, method] of steps) {
      const { server, client } = await setUp([step]);
      const controller = new AbortController();
      const reason = new Error('enough');
      const call = client[method]({ ...POST, signal: controller.signal });
      await server.arrived(1);
      controller.abort(reason);
      await expect(call).rejects.toBe(reason);
    }
  });

  test('during a stream: the reason comes out of the iteration and the socket is closed', async () => {
    const { client } = await setUp([sse(['data: 1\n\n'], 'hold')]);
    const controller = new AbortController();
    const answer = await client.stream({ ...GET, signal: controller.signal });
    if (answer.kind !== 'events') throw new Error('expected events');
    const reason = new Error('enough');
    const reading = (async () => {
      for await (const event of sseEvents(answer.chunks)) if (event.data === '1') controller.abort(reason);
    })();
    await expect(reading).rejects.toBe(reason);
  });

  test('while connecting: the request ends without waiting for the connection', async () => {
    // A handshake that nobody answers.
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const client = createHttpClient({ baseUrl: `https://127.0.0.1:${port}` });
    const controller = new AbortController();
    const connection = once(silent, 'connection');
    const call = client.json({ ...GET, signal: controller.signal });
    const reason = new Error('enough');
    const [socket] = await connection;
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    socket.destroy();
    silent.close();
    await client.close();
  });
});

describe('what comes back', () => {
  test('status, lower-case headers, and the clock of the server', async () => {
    const { client } = await setUp(
      [json({ a: 1 }, 201, { Date: 'Mon, 02 Nov 2026 10:00:00 GMT', 'X-A': 'b' })],
      {
        now: () => 5,
      },
    );
    expect(await client.json(GET)).toMatchObject({
      status: 201,
      headers: { 'x-a': 'b' },
      serverTime: Date.parse('2026-11-02T10:00:00Z'),
      receivedAt: 5,
      body: { a: 1 },
    });
  });

  test('an empty response has no body, for any content type', async () => {
    const { client } = await setUp([reply(204, ''), reply(200, ' ', { 'content-type': 'text/html' })]);
    expect((await client.json(GET)).body).toBeUndefined();
    expect((await client.json(GET)).body).toBeUndefined();
  });

  test.each<[string, Step, string, Partial<HttpClientOptions>]>([
    ['HTML', reply(200, '<html>', { 'content-type': 'text/html' }), 'content_type', {}],
    ['truncated JSON', reply(200, '{"a":', { 'content-type': 'application/json' }), 'not_json', {}],
    ['untyped rubbish', reply(200, 'hello'), 'not_json', {}],
    [
      'a body that says it is too large',
      raw('HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\n', 'hold'),
      'too_large',
      {},
    ],
    [
      'a body that grows too large',
      reply(200, JSON.stringify('x'.repeat(5000))),
      'too_large',
      { maxBodyBytes: 1000 },
    ],
    [
      'a gzip bomb',
      json0(gzipSync(Buffer.alloc(2_000_000, 32)), 'gzip'),
      'too_large',
      { maxBodyBytes: 100_000 },
    ],
    [
      'a brotli bomb',
      json0(brotliCompressSync(Buffer.alloc(2_000_000, 32)), 'br'),
      'too_large',
      { maxBodyBytes: 100_000 },
    ],
    ['broken gzip', json0(Buffer.from('nonsense'), 'gzip'), 'encoding', {}],
    ['chained encodings', json0(gzipSync('{}'), 'gzip, gzip'), 'encoding', {}],
    [
      'nesting without end',
      reply(200, '['.repeat(200_000), { 'content-type': 'application/json' }),
      'too_deep',
      {},
    ],
  ])('%s is a typed error within bounds', async (_name, step, badBody, options) => {
    const { client } = await setUp([step], options);
    expect(await failureOf(client.json(GET))).toMatchObject({ kind: 'bad_body', facts: { badBody } });
  });

  test.each([
    ['gzip', gzipSync('{"a":1}')],
    ['deflate', deflateSync('{"a":1}')],
    ['br', brotliCompressSync('{"a":1}')],
  ])('unasked %s is unpacked', async (encoding, bytes) => {
    const { client } = await setUp([json0(bytes, encoding)]);
    expect((await client.json(GET)).body).toEqual({ a: 1 });
  });

  test('prototype keys are dropped, escaped ones and nested ones too', async () => {
    const text = '{"__proto__":{"x":1},"a":[{"\\u005f_proto__":1,"b":2}],"c":"__proto__"}';
    const { client } = await setUp([reply(200, text, { 'content-type': 'application/json' })]);
    const { body } = await client.json(GET);
    expect(JSON.stringify(body)).toBe('{"a":[{"b":2}],"c":"__proto__"}');
  });

  test('redirects are not followed, so the key goes nowhere else', async () => {
    const elsewhere = await scriptedHttp([json(1)]);
    toClose(elsewhere);
    const { client } = await setUp([reply(307, '', { location: elsewhere.url })]);
    expect(await failureOf(client.json(POST))).toMatchObject({
      status: 307,
      verdict: { type: 'BackendUnsupported' },
    });
    expect(elsewhere.requests).toHaveLength(0);
  });

  test.each<[string, Step, object | null]>([
    [
      'wire',
      json({ error: { message: 'no', type: 't', param: 'p', code: 'c' } }, 400),
      { message: 'no', type: 't', param: 'p', code: 'c' },
    ],
    ['text in error', json({ error: 'no' }, 400), { message: 'no', code: null }],
    ['flat', json({ message: 'no', code: 7 }, 400), { message: 'no', code: '7' }],
    ['detail', json({ detail: [{ msg: 'no' }] }, 422), { message: '[{"msg":"no"}]' }],
    ['plain', reply(500, 'boom\u0000\r\nsecond'), { message: 'boom second' }],
    ['markup', reply(502, '<html>Bad gateway'), { message: 'an HTML or XML page' }],
    ['list', json(['no'], 400), { message: '["no"]' }],
    ['empty', reply(500, ''), null],
    ['broken off', raw('HTTP/1.1 500 X\r\ncontent-length: 900\r\n\r\noh no', 'end'), { message: 'oh no' }],
  ])('the error of the server is read from its %s form', async (_name, step, error) => {
    const { client } = await setUp([step]);
    const failure = await failureOf(client.json(GET));
    expect(failure).toMatchObject({ kind: 'status', error });
  });

  test('an endless error body is cut and its socket given up', async () => {
    const { client } = await setUp([
      reply(500, 'x'.repeat(3_000_000), { 'content-type': 'text/plain' }),
      json({ ok: true }),
    ]);
    const failure = await failureOf(client.json(GET));
    expect(failure.error?.message.length).toBeLessThan(700);
    expect((await client.json(GET)).body).toEqual({ ok: true });
  });

  test('a key that the server echoes is cut out of everything', async () => {
    const { client } = await setUp([
      json({ error: { message: `Incorrect API key: ${KEY}`, code: 'invalid_api_key' } }, 401),
      reply(500, `Authorization: Bearer ${KEY}`),
    ]);
    for (let call = 0; call < 2; call++) {
      const failure = await failureOf(client.json(GET));
      expect(JSON.stringify([failure.message, failure.stack, failure.facts, failure.cause])).not.toContain(
        'canary',
      );
    }
  });

  test('Retry-After, its date form by the clock of the server, and x-should-retry are read', async () => {
    const { client } = await setUp([
      json({}, 429, { 'retry-after': 7 }),
      json({}, 503, {
        date: 'Mon, 02 Nov 2026 10:00:00 GMT',
        'retry-after': 'Mon, 02 Nov 2026 10:00:09 GMT',
      }),
      json({}, 503, { 'x-should-retry': 'false' }),
    ]);
    expect((await failureOf(client.json(GET))).verdict.retryAfterMs).toBe(7000);
    expect((await failureOf(client.json(GET))).verdict.retryAfterMs).toBe(9000);
    expect((await failureOf(client.json(GET))).verdict.nonRetryable).toBe(true);
  });

  test('every request is observed once, with its status or 0', async () => {
    const seen: unknown[] = [];
    const { client } = await setUp([json(1), json({}, 400), reset]);
    const request: HttpRequest = {
      ...GET,
      observe: ({ method, route, status }) => seen.push([method, route, status]),
    };
    await client.json(request);
    await failureOf(client.json(request));
    await failureOf(client.json(request));
    expect(seen).toEqual([200, 400, 0].map((status) => ['GET', '/things/{thing}', status]));
  });
});

describe('streams', () => {
  test('events arrive, pieces and all, and the connection is used again', async () => {
    const { server, client } = await setUp([
      sse(['event: a\nda', 'ta: 1\n', '\n', 'data: [DONE]\n\n']),
      json(1),
    ]);
    const answer = await client.stream(POST);
    if (answer.kind !== 'events') throw new Error('expected events');
    const seen: string[] = [];
    for await (const event of sseEvents(answer.chunks)) seen.push(event.data);
    expect(seen).toEqual(['1', '[DONE]']);
    expect(server.requests[0]?.headers['accept']).toContain('text/event-stream');
    await setImmediate();
    expect((await client.stream(GET)).kind).toBe('json');
    expect(server.connections).toBe(1);
  });

  test('a server that answers JSON is understood', async () => {
    const { client } = await setUp([json({ id: 'run_1' })]);
    expect(await client.stream(POST)).toMatchObject({ kind: 'json', body: { id: 'run_1' } });
  });

  test('a refused stream is the same failure as a refused call', async () => {
    const { client } = await setUp([json({ error: { message: 'busy' } }, 400)]);
    expect(await failureOf(client.stream(POST))).toMatchObject({ status: 400, error: { message: 'busy' } });
  });

  test.each<[string, Step, string]>([
    ['reset', sse(['data: 1\n\ndata: 2'], 'cut'), 'network_ambiguous'],
    ['silence', sse(['data: 1\n\ndata: 2'], 'hold'), 'timeout'],
    [
      'an end without the last chunk',
      raw(
        'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n',
      ),
      'network_ambiguous',
    ],
  ])('%s in the middle gives what was complete, then a typed error', async (_name, step, kind) => {
    const { client } = await setUp([step], { timeouts: { streamGapMs: 80 } });
    const answer = await client.stream(GET);
    if (answer.kind !== 'events') throw new Error('expected events');
    const seen: string[] = [];
    const reading = (async () => {
      for await (const event of sseEvents(answer.chunks)) seen.push(event.data);
    })();
    expect(await failureOf(reading)).toMatchObject({ kind });
    expect(seen).toEqual(['1']);
  });

  test('leaving a stream early closes its connection', async () => {
    const server = await scriptedHttp();
    const client = createHttpClient({ baseUrl: server.url });
    toClose(server, client);
    const left = new Promise<void>((resolve) => {
      server.script.push(async (request, socket) => {
        const closed = once(socket, 'close');
        await sse(['data: 1\n\n'], 'hold')(request, socket);
        await closed;
        resolve();
      });
    });

    const answer = await client.stream(GET);
    if (answer.kind !== 'events') throw new Error('expected events');
    for await (const event of sseEvents(answer.chunks)) if (event.data === '1') break;
    await left;
    expect(server.requests).toHaveLength(1);
  });

  test('open streams do not keep calls waiting', async () => {
    const { client } = await setUp([hang, hang, hang, json('through')], { connections: 1 });
    const controller = new AbortController();
    const streams = [1, 2, 3].map(() =>
      client.stream({ ...GET, signal: controller.signal }).catch(() => undefined),
    );
    expect((await client.json(GET)).body).toBeDefined();
    controller.abort();
    await Promise.all(streams);
  });
});

function json0(bytes: Buffer, encoding: string): Step {
  return reply(200, bytes, { 'content-type': 'application/json', 'content-encoding': encoding });
}
