/**
 * Requests that nobody should send, at our own API: row 57 of docs/contributing/faults.md.
 *
 * Proves: whatever is asked, of the sandbox and of the store that real runs are in, the answer is an object of the wire or a
 * refusal of it, nothing of the inside is told, and the process goes on. Does not prove: runs, which need Temporal.
 */
import * as fc from 'fast-check';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { ROUTES } from '../../../api/app.ts';
import { createApi, serveApi } from '../../../api/index.ts';
import { createRunsService } from '../../../service/index.ts';
import type { Workflows } from '../../../service/run-workflows.ts';
import { createSandboxEngine } from '../../../testing/index.ts';
import { holdsAsync } from '../../support/fuzz.ts';
import { call } from '../../support/http.ts';
import { memoryStore } from '../../support/store.ts';

const text = fc.oneof(
  fc.constantFrom(
    '',
    '\0',
    'a\0b',
    '\ud800',
    '..',
    '../../x',
    "'; DROP TABLE runs; --",
    '%s%n',
    '{{7*7}}',
    '\r\nset-cookie: a=b',
    '__proto__',
    'constructor',
    'x'.repeat(3_000),
    '\u202e',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
/** Half of the ids are those of objects that exist. */
const idIn = (known: readonly string[]) => fc.oneof(fc.constantFrom(...known), text);

/** What bodies are made of: the names that the API knows, with anything in them. */
const FIELDS =
  'model name instructions description metadata tools tool_resources messages role content limit assistant_id thread stream tool_outputs tool_call_id output call_id decision arguments __proto__ constructor'.split(
    ' ',
  );
const { value: anything } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    text,
    fc.constantFrom(null, true, 0, -1, 1e308, 'user', 'function', 'm'),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...FIELDS), text), tie('value'), { maxKeys: 5 }),
  ),
}));
const body = fc.oneof(
  anything.map((value) => JSON.stringify(value)),
  text,
  fc.constantFrom(
    '{',
    '[',
    '{"metadata":{"\\u005f_proto__":"x"}}',
    '['.repeat(5_000),
    '{"a":1}{"b":2}',
    '\ufeff{}',
  ),
);

const anyRequest = (routes: readonly (typeof ROUTES)[number][], known: readonly string[]) =>
  fc
    .record({
      route: fc.constantFrom(...routes),
      ids: fc.array(idIn(known), { minLength: 3, maxLength: 3 }),
      query: fc.dictionary(fc.constantFrom('limit', 'order', 'after', 'before', 'run_id', 'x'), text, {
        maxKeys: 3,
      }),
      body,
      header: text,
    })
    .map(({ route, ids, query, body: sent, header }) => {
      let at = 0;
      const path = route.path.replaceAll(/\{\w+\}/g, () => segment(ids[at++] ?? ''));
      const search = new URLSearchParams(query).toString();
      return {
        method: route.method,
        path: search === '' ? path : `${path}?${search}`,
        body: route.method === 'POST' ? sent : undefined,
        headers: {
          'idempotency-key': header.replaceAll(/[^\x20-\x7e]/g, '?'),
          'openai-beta': 'assistants=v2',
        },
      };
    });

const segment = (id: string): string => encodeURIComponent(id.replaceAll(/\p{Cs}/gu, '?')) || '%00';

type Api = ReturnType<typeof createApi>;

/** What is wrong with an answer; nothing when it is an object, a stream or a refusal of the wire. */
const wrongWith = async (
  api: Api,
  request: { method: string; path: string; body: string | undefined; headers: Record<string, string> },
): Promise<unknown> => {
  const answer = await call(api.fetch, request.method, request.path, request.body, request.headers);
  const told = JSON.stringify(answer.body ?? '');
  const error = (answer.body as { error?: { message?: unknown; type?: unknown } } | null)?.error;
  const typed = typeof error?.message === 'string' && typeof error.type === 'string';
  const fine =
    answer.status === 200
      ? !/"(?:__proto__)"/.test(told)
      : [400, 403, 404, 405, 409, 415].includes(answer.status) && typed && told.length < 5_000;
  return fine ? null : { request, status: answer.status, told: told.slice(0, 500) };
};

const known = async (api: Api): Promise<string[]> => {
  const idOf = async (path: string, sent: object): Promise<string> =>
    String(((await call(api.fetch, 'POST', path, sent)).body as { id: unknown }).id);
  const thread = await idOf('/v1/threads', {});
  return [
    await idOf('/v1/assistants', { model: 'scripted:chat' }),
    thread,
    await idOf(`/v1/threads/${thread}/messages`, { role: 'user', content: 'x' }),
  ];
};

describe('for any request, the response is a wire object or an error', () => {
  test('of the sandbox, runs included', async () => {
    const api = createApi({ engine: createSandboxEngine() });
    const routes = ROUTES.filter(({ path }) => path.startsWith('/v1/') && !path.endsWith('/events'));
    await holdsAsync(
      fc.asyncProperty(anyRequest(routes, await known(api)), async (request) => {
        expect(await wrongWith(api, request)).toBeNull();
      }),
      { runs: 400 },
    );
    expect(Object.hasOwn(Object.prototype, 'x')).toBe(false);
  });

  test('of the store that real runs are in', async () => {
    const store = await memoryStore();
    const workflows = {} as Workflows;
    const api = createApi({ engine: createRunsService({ store, client: { workflows } }) });
    const routes = ROUTES.filter(
      ({ method, path }) =>
        path.startsWith('/v1/') &&
        !path.endsWith('/events') &&
        // Answered by a workflow, of which there is none here.
        path !== '/v1/tools' &&
        (method === 'GET' || !/runs|answers/.test(path)),
    );
    await holdsAsync(
      fc.asyncProperty(anyRequest(routes, await known(api)), async (request) => {
        expect(await wrongWith(api, request)).toBeNull();
      }),
      { runs: 150, ms: 5_000 },
    );
    await store.close();
  }, 90_000);
});

/** Everything that a server says to these bytes, until it closes. */
const talk = (port: number, bytes: Buffer): Promise<string> =>
  new Promise((resolve) => {
    let heard = '';
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes));
    socket.on('data', (piece) => (heard += piece.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(heard));
  });

test('a socket that says anything does not end the server, nor put a line into its headers', async () => {
  const served = await serveApi(createApi({ engine: createSandboxEngine() }));
  const { port } = new URL(served.url);
  const line = fc.constantFrom(
    'POST /v1/threads HTTP/1.1',
    'GET /v1/threads/%0d%0aset-cookie:a=b HTTP/1.1',
    'GET //evil.example/v1/threads HTTP/1.1',
    'GET /v1/../../etc/passwd HTTP/1.1',
    'PATCH /v1/threads HTTP/1.1',
    'GET http://evil.example/v1/threads HTTP/1.1',
    'GET / HTTP/9.9',
    '\x16\x03\x01',
  );
  const header = fc.oneof(
    fc.constantFrom(
      'host: 127.0.0.1',
      'host: evil.example',
      'content-length: 5',
      'content-length: -5',
      'transfer-encoding: chunked',
      'content-encoding: gzip',
      'content-type: application/json',
      'idempotency-key: a',
      'expect: 100-continue',
      `x-long: ${'y'.repeat(30_000)}`,
    ),
    fc.string({ unit: 'binary', maxLength: 12 }),
  );
  await holdsAsync(
    fc.asyncProperty(line, fc.array(header, { maxLength: 4 }), body, async (first, headers, sent) => {
      const heard = await talk(
        Number(port),
        Buffer.from([first, ...headers, '', sent].join('\r\n'), 'latin1'),
      );
      expect(heard).not.toMatch(/^set-cookie:/im);
      expect(heard).not.toMatch(/^HTTP\/1\.1 5(?!05)/);
    }),
    { runs: 60 },
  );
  const bomb = await fetch(`${served.url}/threads`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    body: gzipSync(Buffer.alloc(20_000_000, 0x20)),
  });
  expect(bomb.status).toBe(415);
  expect((await fetch(`${served.url}/threads`, { method: 'POST' })).status).toBe(200);
  await served.close();
});
