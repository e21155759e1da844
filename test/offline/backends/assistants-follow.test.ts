import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createAssistantsBackend } from '../../../backends/assistants/index.ts';
import { METADATA } from '../../../protocol/temporal/names.ts';
import type { FaultAction } from '../../../testing/index.ts';
import {
  callIds,
  errorOf,
  harness,
  outputsFor,
  refOf,
  TOKEN,
  type Harness,
} from '../../support/assistants.ts';
import { fakeContext } from '../../support/backend-context.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { json, scriptedHttp, sse } from '../../support/scripted-http.ts';

guardAgainstLeaks();
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});
const setUp = async (...given: Parameters<typeof harness>): Promise<Harness & { threadId: string }> => {
  const h = await harness(...given);
  open.push(h);
  return Object.assign(h, { threadId: await h.thread() });
};
const fallbacks = (h: ReturnType<Harness['context']>): string[] =>
  h.observed.flatMap((what) => (what.kind === 'fallback' ? [what.reason] : []));

const event = (name: string, id: string, status: string): string =>
  `event: thread.run.${name}\ndata: ${JSON.stringify({ id, status })}\n\n`;

describe('a spoiled event stream changes nothing but the moment of the reading', () => {
  const spoiled: [string, FaultAction, boolean][] = [
    ['cut in the middle, connection closed', { kind: 'cut', events: 3, how: 'close' }, true],
    ['cut in the middle, connection reset', { kind: 'cut', events: 3, how: 'reset' }, true],
    ['cut in the middle, in good order', { kind: 'cut', events: 3, how: 'end' }, true],
    ['cut inside an event', { kind: 'cut', events: 2, inside: 'event' }, true],
    ['cut inside a character', { kind: 'cut', events: 2, inside: 'character' }, true],
    ['an error event', { kind: 'error_event', at: 3 }, true],
    ['a line without an end', { kind: 'huge_line', bytes: 6_000_000, at: 2 }, true],
    ['events twice', { kind: 'duplicate_events' }, false],
    ['events out of order', { kind: 'reorder_events', at: 1 }, false],
    ['an event missing', { kind: 'drop_event', at: 1 }, false],
    ['unknown events', { kind: 'unknown_events' }, false],
    ['garbage between the events', { kind: 'garbage_events' }, false],
    ['comments, a BOM, unknown fields', { kind: 'comments' }, false],
    ['CR', { kind: 'line_endings', with: 'cr' }, false],
    ['CRLF', { kind: 'line_endings', with: 'crlf' }, false],
    ['mixed line ends', { kind: 'line_endings', with: 'mixed' }, false],
    ['data over several lines', { kind: 'split_data' }, false],
    ['a few bytes at a time', { kind: 'dribble', bytes: 7 }, false],
  ];

  test.each(spoiled)('%s: create settles the same, with one POST', async (_name, action, falls) => {
    const h = await setUp();
    h.fault('POST run', action);
    const ctx = h.context();
    const settled = await h.backend.create(h.request(h.threadId, 'parallel'), ctx);
    expect(settled.status).toBe('requires_action');
    expect(callIds(settled)).toHaveLength(3);
    expect(h.count('POST run')).toBe(1);
    expect(h.runs()).toHaveLength(1);
    expect(fallbacks(ctx).length > 0).toBe(falls);
  });

  test.each(spoiled)('%s: submit settles the same, with one POST', async (_name, action) => {
    const h = await setUp();
    const first = await h.backend.create(h.request(h.threadId, 'work:2x2'), h.context());
    h.fault('POST submit', action);
    const settled = await h.backend.submit(refOf(first), 1, outputsFor(first), h.context());
    expect(settled.status).toBe('requires_action');
    expect(callIds(settled)).toHaveLength(2);
    expect(callIds(settled)).not.toEqual(callIds(first));
    expect(h.count('POST submit')).toBe(1);
  });

  test('silence is ended by the gap between chunks', async () => {
    const h = await setUp({ backend: { timeouts: { streamGapMs: 100 } } });
    h.fault('POST run', { kind: 'stall_stream', events: 3 });
    const ctx = h.context();
    const settled = await h.backend.create(h.request(h.threadId, 'weather'), ctx);
    expect(settled.status).toBe('requires_action');
    expect(fallbacks(ctx)).toEqual(['stream broke (timeout)']);
  });

  test('a stream that ends while the run is still at work is polled to its end', async () => {
    const h = await setUp();
    h.fault('POST run', { kind: 'cut', events: 2 });
    const ctx = h.context();
    const settled = await h.backend.create(h.request(h.threadId, 'slow:60000'), ctx);
    expect(settled.status).toBe('requires_action');
    expect(h.count('POST run')).toBe(1);
    // 20 ms each until the second of the last change is over (about 60), then a tenth of the run's age.
    expect(ctx.sleeps.length).toBeLessThan(130);
  });

  test('what a lying stream says about the run is not believed', async () => {
    const run = { id: 'run_1', object: 'thread.run', status: 'completed', created_at: 1, thread_id: 't' };
    const truth = { ...run, status: 'failed', last_error: { code: 'server_error', message: 'no' } };
    const server = await scriptedHttp([
      sse([`event: thread.run.completed\ndata: ${JSON.stringify(run)}\n\nevent: done\ndata: [DONE]\n\n`]),
      json(truth),
    ]);
    const backend = createAssistantsBackend({ baseUrl: server.url });
    open.push(server, { close: () => backend.dispose() });
    const request = {
      runId: TOKEN,
      threadId: 't',
      assistantId: 'a',
      params: {},
      busy: 'fail',
      startedAt: 0,
      expiresAt: null,
    } as const;
    expect(await backend.create(request, fakeContext())).toMatchObject({
      status: 'failed',
      lastError: { code: 'server_error', message: 'no' },
    });
    expect(server.requests).toHaveLength(2);
  });

  test('events of another run on the same stream are not followed', async () => {
    const server = await scriptedHttp([
      sse([
        event('created', 'run_1', 'queued'),
        event('completed', 'run_2', 'completed'),
        event('failed', 'run_1', 'failed'),
      ]),
      json({ id: 'run_1', status: 'failed' }),
    ]);
    const backend = createAssistantsBackend({ baseUrl: server.url });
    open.push(server, { close: () => backend.dispose() });
    const request = {
      runId: TOKEN,
      threadId: 't',
      assistantId: 'a',
      params: {},
      busy: 'fail',
      startedAt: 0,
      expiresAt: null,
    } as const;
    const settled = await backend.create(request, fakeContext());
    expect(refOf(settled).backendRunId).toBe('run_1');
    expect(server.requests[1]?.target).toBe('/threads/t/runs/run_1');
  });
});

describe('polling', () => {
  test('without hints waits a tenth of the time so far, between 100 ms and 2 s', async () => {
    const h = await setUp({ sandbox: { quirks: { noPollHint: true } }, backend: { stream: 'never' } });
    const ctx = h.context();
    const settled = await h.backend.create(h.request(h.threadId, 'slow:60000'), ctx);
    expect(settled.status).toBe('requires_action');
    expect(Math.min(...ctx.sleeps)).toBe(100);
    expect(Math.max(...ctx.sleeps)).toBe(2000);
    expect(ctx.sleeps.length).toBeLessThan(65);
    expect(h.sandbox.requests.find(({ method }) => method === 'POST')?.body).not.toHaveProperty('stream');
  });

  test.each([
    ['openai-poll-after-ms', { 'openai-poll-after-ms': '750' }, 750],
    ['Retry-After', { 'openai-poll-after-ms': '', 'retry-after': '3' }, 3000],
    ['an absurd hint', { 'openai-poll-after-ms': '999999999' }, 60_000],
    ['a hint of 0', { 'openai-poll-after-ms': '0' }, 20],
  ])('waits as long as the server says, with %s', async (_name, headers, expected) => {
    const h = await setUp({ backend: { stream: 'never' } });
    // Long enough that the run is not over when a busy machine reads it first.
    const first = await h.backend.create(h.request(h.threadId, 'slow:5000'), h.context());
    await h.call('POST', `/threads/${h.threadId}/runs/${refOf(first).backendRunId}/submit_tool_outputs`, {
      tool_outputs: outputsFor(first),
    });
    h.fault('GET run', { kind: 'headers', headers });
    const ctx = h.context();
    await h.backend.follow(refOf(first), ctx);
    expect(ctx.sleeps[0]).toBe(expected);
  });

  test('a server that ignores "stream" is learned and not asked again', async () => {
    const h = await setUp({ sandbox: { quirks: { noStreaming: true } } });
    const first = await h.backend.create(h.request(h.threadId, 'rounds:2'), h.context());
    await h.backend.submit(refOf(first), 1, outputsFor(first), h.context());
    const bodies = h.sandbox.requests.filter(({ method }) => method === 'POST').map(({ body }) => body);
    expect(bodies.map((body) => Object.hasOwn(body as object, 'stream'))).toEqual([true, false]);
  });

  test('a server that refuses "stream" is asked again without it, in the same attempt', async () => {
    const h = await setUp();
    h.fault('POST run', {
      kind: 'status',
      status: 400,
      body: { error: { message: 'Unknown parameter: stream', param: 'stream' } },
    });
    const settled = await h.backend.create(h.request(h.threadId, 'weather'), h.context());
    expect(settled.status).toBe('requires_action');
    expect(h.count('POST run')).toBe(2);
    expect(h.runs()).toHaveLength(1);
  });

  test.each([
    ['an outage', { kind: 'status', status: 503 }, 'BackendUnavailable', true],
    ['a reset', { kind: 'reset', when: 'before' }, 'BackendUnavailable', true],
    ['truncated JSON', { kind: 'truncate_json' }, 'BackendUnsupported', true],
    ['HTML', { kind: 'content_type', value: 'text/html' }, 'BackendUnsupported', false],
    ['a gzip bomb', { kind: 'gzip_bomb', bytes: 200_000_000 }, 'BackendUnsupported', false],
    ['a body without end', { kind: 'big_body', bytes: 1_000_000_000 }, 'BackendUnsupported', false],
    [
      'something that is no run',
      { kind: 'body', text: '{"object":"thread.run"}' },
      'BackendUnsupported',
      false,
    ],
    ['a lost key', { kind: 'status', status: 401 }, 'BackendUnauthorized', false],
    ['a run that is gone', { kind: 'status', status: 404 }, 'BackendNotFound', false],
  ] as const)(
    '%s while polling: a typed error, no retry of our own',
    async (_name, action, type, retryable) => {
      const h = await setUp();
      const first = await h.backend.create(h.request(h.threadId, 'weather'), h.context());
      h.forget();
      h.fault('GET run', action);
      expect(await errorOf(h.backend.follow(refOf(first), h.context()))).toMatchObject({ type, retryable });
      expect(h.asked()).toEqual(['GET run']);
    },
  );

  test('an old reading of a run that needed us before is followed by the truth', async () => {
    const h = await setUp();
    const first = await h.backend.create(h.request(h.threadId, 'rounds:1'), h.context());
    await h.backend.submit(refOf(first), 1, outputsFor(first), h.context());
    h.fault('GET run', { kind: 'stale', back: 1 }, 3);
    expect(await h.backend.follow(refOf(first), h.context())).toMatchObject({ status: 'completed' });
  });

  test('expiry is followed to the verdict of the server', async () => {
    const h = await setUp();
    const first = await h.backend.create(h.request(h.threadId, 'weather'), h.context());
    h.sandbox.clock.advance(600_000);
    expect(await h.backend.follow(refOf(first), h.context())).toMatchObject({ status: 'expired' });
  });
});

describe('what the server says and we do not know', () => {
  test('an unknown status is waited out, a second or more at a time, and said', async () => {
    const h = await setUp({
      sandbox: { quirks: { unknownStatus: 'pondering' } },
      backend: { stream: 'never' },
    });
    const ctx = h.context();
    const settled = await h.backend.create(h.request(h.threadId, 'slow:20000'), ctx);
    expect(settled.status).toBe('requires_action');
    expect(Math.min(...ctx.sleeps.slice(1))).toBeGreaterThanOrEqual(1000);
    expect(ctx.observed).toContainEqual({ kind: 'unknown_status', status: 'pondering' });
    expect(ctx.logs.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  test('an unknown status that lasts is reported as unsupported', async () => {
    const h = await setUp({
      sandbox: { quirks: { unknownStatus: 'pondering' } },
      backend: { stream: 'never' },
    });
    const ctx = h.context();
    const error = await errorOf(h.backend.create(h.request(h.threadId, 'hang'), ctx));
    expect(error).toMatchObject({ type: 'BackendUnsupported', retryable: false });
    expect(error.message).toContain('"pondering"');
    expect(h.count('GET run')).toBeLessThan(310);
  });

  test.each(['submit_tool_approval', 'submit_tool_inputs'])(
    'the action %s is unsupported at once',
    async (unknownAction) => {
      const h = await setUp({ sandbox: { quirks: { unknownAction } } });
      const error = await errorOf(h.backend.create(h.request(h.threadId, 'weather'), h.context()));
      expect(error).toMatchObject({ type: 'BackendUnsupported', retryable: false });
      expect(error.message).toContain(unknownAction);
      expect(error.details).toContainEqual(expect.objectContaining({ runId: h.runs()[0]?.id }));
    },
  );

  test('a status ahead of its action is waited out', async () => {
    const run = { id: 'run_1', status: 'requires_action', created_at: 1 };
    const action = {
      type: 'submit_tool_outputs',
      submit_tool_outputs: {
        tool_calls: [
          { id: 'call_1', type: 'function', function: { name: 'a', arguments: '{}' } },
          { id: 'call_1', type: 'function', function: { name: 'a', arguments: '{}' } },
        ],
      },
    };
    const server = await scriptedHttp([
      json(run),
      json({ ...run, required_action: null }),
      json({ ...run, required_action: action }),
    ]);
    const backend = createAssistantsBackend({ baseUrl: server.url });
    open.push(server, { close: () => backend.dispose() });
    const ctx = fakeContext();
    const settled = await backend.follow({ backendRunId: 'run_1', threadId: 't' }, ctx);
    expect(callIds(settled)).toEqual(['call_1']);
    expect(ctx.sleeps).toEqual([1000, 1000]);
  });

  test('calls without an id or a name are unsupported, since no answer could name them', async () => {
    const server = await scriptedHttp([
      json({
        id: 'run_1',
        status: 'requires_action',
        required_action: {
          submit_tool_outputs: { tool_calls: [{ id: '', function: { name: 'a' } }, { id: 'c' }] },
        },
      }),
    ]);
    const backend = createAssistantsBackend({ baseUrl: server.url });
    open.push(server, { close: () => backend.dispose() });
    expect(
      await errorOf(backend.follow({ backendRunId: 'run_1', threadId: 't' }, fakeContext())),
    ).toMatchObject({
      type: 'BackendUnsupported',
    });
  });
});

/** A server whose `date` header and times are an hour ahead. */
const hourAhead = async (): Promise<{ url: string; server: Server }> => {
  const server = createServer((_request, response) => {
    const now = Date.now() + 3_600_000;
    response.setHeader('date', new Date(now).toUTCString());
    response.setHeader('content-type', 'application/json');
    const call = { id: 'call_1', type: 'function', function: { name: 'a', arguments: '{}' } };
    response.end(
      JSON.stringify({
        id: 'run_1',
        status: 'requires_action',
        created_at: Math.floor(now / 1000),
        expires_at: Math.floor(now / 1000) + 600,
        required_action: { type: 'submit_tool_outputs', submit_tool_outputs: { tool_calls: [call] } },
      }),
    );
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
};

const ahead = (): number => Date.now() + 3_600_000;

describe('clocks', () => {
  test('a server an hour ahead: the deadline is ten minutes from now by our clock', async () => {
    const { url, server } = await hourAhead();
    const backend = createAssistantsBackend({ baseUrl: url });
    open.push({
      close: async () => {
        await backend.dispose();
        await new Promise((resolve) => server.close(resolve));
      },
    });
    const settled = await backend.follow(
      { backendRunId: 'run_1', threadId: 't' },
      fakeContext({ now: Date.now }),
    );
    const left = settled.status === 'requires_action' ? (settled.expiresAt ?? 0) - Date.now() : 0;
    expect(Math.abs(left - 600_000)).toBeLessThan(5000);
  });

  test('our clock an hour ahead: the same, and our run is still found in the list', async () => {
    const h = await setUp({ backend: { now: ahead } });
    h.fault('POST run', { kind: 'reset', when: 'after' });
    const ctx = h.context({ now: ahead });
    const settled = await h.backend.create(h.request(h.threadId, 'weather', { startedAt: ahead() }), ctx);
    const left = settled.status === 'requires_action' ? (settled.expiresAt ?? 0) - ahead() : 0;
    expect(Math.abs(left - 600_000)).toBeLessThan(5000);
    expect(h.runs()).toHaveLength(1);
  });

  test('milliseconds where seconds belong are read as milliseconds', async () => {
    const h = await setUp({ sandbox: { quirks: { millisecondTimes: true } } });
    const settled = await h.backend.create(h.request(h.threadId, 'weather'), h.context());
    const [run] = h.runs();
    expect(settled).toMatchObject({ expiresAt: (run?.expires_at ?? 0) * 1000 });
  });

  test('no expiry is null', async () => {
    const h = await setUp({ sandbox: { quirks: { noExpiry: true } } });
    expect(await h.backend.create(h.request(h.threadId, 'weather'), h.context())).toMatchObject({
      expiresAt: null,
    });
  });
});

describe('signals of life and of death', () => {
  test('a silent stream is accompanied by heartbeats that name the run', async () => {
    const h = await setUp();
    const ctx = h.context({
      onHeartbeat: ({ run }, count) => {
        if (run !== undefined && count > 6) ctx.abort(new Error('enough'));
      },
    });
    await expect(h.backend.create(h.request(h.threadId, 'hang'), ctx)).rejects.toThrow('enough');
    expect(ctx.heartbeats.filter(({ run }) => run?.backendRunId === h.runs()[0]?.id).length).toBeGreaterThan(
      3,
    );
    expect(h.runs()[0]?.status).toBe('in_progress');
  });

  test('what an earlier attempt knew is repeated until something newer is known', async () => {
    const h = await setUp();
    h.fault('GET runs', { kind: 'hang', when: 'before' });
    const previous = { sent: true, at: 1, attempt: 1 };
    const ctx = h.context({ attempt: 2, previous, onHeartbeat: () => ctx.abort(new Error('killed')) });
    await expect(h.backend.create(h.request(h.threadId, 'weather'), ctx)).rejects.toThrow('killed');
    expect(ctx.heartbeats[0]).toEqual(previous);
  });

  test('an abort while polling comes out as its reason, and no request follows', async () => {
    const h = await setUp({ backend: { stream: 'never' } });
    const reason = new Error('worker stops');
    const ctx = h.context({ onSleep: (_ms, count) => void (count === 3 && ctx.abort(reason)) });
    await expect(h.backend.create(h.request(h.threadId, 'hang'), ctx)).rejects.toBe(reason);
    expect(h.count('GET run')).toBe(2);
  });

  test('an attempt that was aborted before it began asks nothing', async () => {
    const h = await setUp();
    const ctx = h.context();
    ctx.abort(new Error('too late'));
    await expect(h.backend.follow({ backendRunId: 'run_1', threadId: 't' }, ctx)).rejects.toThrow('too late');
    expect(h.asked()).toEqual([]);
  });
});

describe('Azure', () => {
  test('gets the api-version with every request, a bearer token, and no beta header', async () => {
    const run = { id: 'run_1', status: 'completed', created_at: 1, metadata: { [METADATA.token]: TOKEN } };
    const page = { object: 'list', data: [run], has_more: false };
    const server = await scriptedHttp([
      json({ id: 'thread_1' }),
      json({ error: { message: 'stream' } }, 400),
      json(run),
      json(page),
      json({ data: [] }),
    ]);
    const backend = createAssistantsBackend({
      baseUrl: `${server.url}/api/projects/p`,
      apiVersion: '2025-05-01',
      apiKey: () => 'entra-token',
    });
    open.push(server, { close: () => backend.dispose() });
    const { threadId } = await backend.createThread({ runId: TOKEN, metadata: {} }, fakeContext());
    const request = {
      runId: TOKEN,
      threadId,
      assistantId: 'a',
      params: {},
      busy: 'fail',
      startedAt: 0,
      expiresAt: null,
    } as const;
    expect(await backend.create(request, fakeContext())).toMatchObject({ status: 'completed' });
    await backend.probe(AbortSignal.timeout(5000));
    expect(server.requests.map(({ target }) => target)).toEqual([
      '/api/projects/p/threads?api-version=2025-05-01',
      '/api/projects/p/threads/thread_1/runs?api-version=2025-05-01',
      '/api/projects/p/threads/thread_1/runs?api-version=2025-05-01',
      '/api/projects/p/threads/thread_1/runs?api-version=2025-05-01&limit=20&order=desc',
      '/api/projects/p/assistants?api-version=2025-05-01&limit=1',
    ]);
    for (const { headers } of server.requests) {
      expect(headers).toMatchObject({ authorization: 'Bearer entra-token' });
      expect(headers).not.toHaveProperty('openai-beta');
    }
  });
});

const probe = async (...given: Parameters<typeof scriptedHttp>): Promise<{ detail: string }> => {
  const server = await scriptedHttp(...given);
  const backend = createAssistantsBackend({ baseUrl: server.url, apiKey: 'sk-canary-123456' });
  open.push(server, { close: () => backend.dispose() });
  return backend.probe(AbortSignal.timeout(5000));
};

describe('probe', () => {
  test('a list proves address and key', async () => {
    expect((await probe([json({ object: 'list', data: [] })])).detail).toContain('the key is accepted');
  });

  test.each([
    [
      'wrong key',
      json({ error: { message: 'bad key sk-canary-123456' } }, 401),
      'BackendUnauthorized',
      'Check the API key',
    ],
    ['wrong path', json({ error: { message: 'Unknown request URL' } }, 404), 'BackendNotFound', '"/v1"'],
    ['a web page', sse(['<html>']), 'BackendUnsupported', 'another kind of server answers'],
    ['another API', json({ hello: 'world' }), 'BackendUnsupported', 'not a list'],
  ])('%s is told apart', async (_name, step, type, text) => {
    const error = await errorOf(probe([step]));
    expect(error.type).toBe(type);
    expect(error.message).toContain(text);
    expect(error.message).not.toContain('canary');
  });

  test('a missing server is reported as such', async () => {
    const backend = createAssistantsBackend({ baseUrl: 'http://127.0.0.1:9' });
    open.push({ close: () => backend.dispose() });
    expect(await errorOf(backend.probe(AbortSignal.timeout(5000)))).toMatchObject({
      type: 'BackendUnavailable',
    });
  });
});
