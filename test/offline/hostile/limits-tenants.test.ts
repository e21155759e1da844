/**
 * What one tenant may hold: rows of docs/contributing/faults.md about callers that take all.
 *
 * Proves: streams, live runs and stored bytes end at their limits with an answer that says so, what is given back can be taken
 * again, a tenant's limit is no other's, and a reader that takes nothing is let go. Does not prove: memory (`npm run bench`).
 */
import { EventEmitter, once } from 'node:events';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApi, keyAuth, parseApiKeys, serveApi } from '../../../api/index.ts';
import { createAnswerBudget } from '../../../api/answer-budget.ts';
import { createStreamBudget, type StreamShare } from '../../../api/stream-budget.ts';
import { READ_BYTES } from '../../../protocol/limits.ts';
import { ApiError } from '../../../protocol/errors.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { RunsService } from '../../../protocol/ports/runs-service.ts';
import { createRunsService } from '../../../service/index.ts';
import { createQuota, createQuotas, sizeOf } from '../../../service/quotas.ts';
import type { Workflows } from '../../../service/run-workflows.ts';
import { call } from '../../support/http.ts';
import { memoryStore } from '../../support/store.ts';

const KEYS = 'a:key-of-tenant-a-0001 b:key-of-tenant-b-0001';
const as = (tenant: string) => ({ authorization: `Bearer key-of-tenant-${tenant}-0001` });
const codeOf = (body: unknown): unknown => (body as { error?: { code?: unknown } }).error?.code;

/** Workflows that take everything and do nothing. */
const idle: Workflows = {
  start: async ({ runId }) => ({ runId: runId ?? '', started: true }),
  cancel: async () => undefined,
  answer: async () => {
    throw new Error('not here');
  },
  submitToolOutputs: async () => {
    throw new Error('not here');
  },
  look: async () => 'running',
  trace: async () => null,
  history: async () => null,
  running: async (runIds) => new Set(runIds),
  brokenOffSince: async () => [],
  ping: async () => undefined,
  tools: async () => [],
  namespaceId: async () => ({ id: 'ns', name: 'default' }),
};

let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

const world = () => {
  const state = { now: 0, held: 0, reads: 0 };
  const read = async (): Promise<number> => {
    state.reads += 1;
    return state.held;
  };
  const quota = createQuota(10, read, { freshMs: 1_000, refusalMs: 100 }, () => state.now);
  return { state, quota };
};

const serviceOf = (limits: Parameters<typeof createRunsService>[0]['tenantLimits']): RunsService =>
  createRunsService({
    store,
    client: { workflows: idle },
    ...(limits === undefined ? {} : { tenantLimits: limits }),
  });
const apiOf = (engine: RunsService, maxStreams = 500) =>
  createApi({ engine, auth: keyAuth(parseApiKeys(KEYS)), maxStreams });

describe('a quota', () => {
  test('lets in as much as there is room, reading once', async () => {
    const { state, quota } = world();
    state.held = 7;
    expect(await quota.take('t', 3)).toBe(null);
    expect(await quota.take('t', 1)).toBe(10);
    expect(state.reads).toBe(1);
  });

  test('refuses by a figure that was just read, and reads no more often than that', async () => {
    const { state, quota } = world();
    state.held = 10;
    expect(await quota.take('t', 1)).toBe(10);
    state.held = 2;
    state.now = 99;
    expect(await quota.take('t', 1)).toBe(10);
    state.now = 100;
    expect(await quota.take('t', 1)).toBe(null);
    expect(state.reads).toBe(2);
  });

  test('reads again when the figure is old, while it lets in', async () => {
    const { state, quota } = world();
    await quota.take('t', 1);
    state.now = 1_000;
    state.held = 9;
    expect(await quota.take('t', 1)).toBe(null);
    await Promise.resolve();
    expect(state.reads).toBe(2);
  });

  test('takes what comes while it reads for part of the figure', async () => {
    const { state, quota } = world();
    state.held = 5;
    await quota.take('t', 1);
    state.now = 1_000;
    await Promise.all([quota.take('t', 2), quota.take('t', 2)]);
    expect(await quota.take('t', 2)).not.toBe(null);
  });

  test('gives back', async () => {
    const { state, quota } = world();
    state.held = 9;
    await quota.take('t', 1);
    quota.give('t', 1);
    expect(await quota.take('t', 1)).toBe(null);
    expect(await quota.take('t', 1)).toBe(10);
  });

  test('of nothing reads nothing', async () => {
    const quotas = createQuotas(
      {
        countLiveRunsOf: () => Promise.reject(new Error('asked')),
        storedBytesOf: () => Promise.reject(new Error('asked')),
      },
      { liveRuns: 0, storedBytes: 0 },
    );
    expect([await quotas.takeRun('t'), await quotas.takeSpace('t', { text: 'x' })]).toEqual([
      undefined,
      undefined,
    ]);
  });

  test('of bytes counts texts and values', () => {
    expect(sizeOf('x'.repeat(1_000))).toBe(1_016);
    expect(sizeOf({ a: [1, 'ab', { b: null }] })).toBe(16 * 6 + 2);
  });
});

describe('over HTTP', () => {
  type Api = ReturnType<typeof apiOf>;

  const assistantOf = async (api: Api, tenant: string): Promise<string> =>
    String(
      ((await call(api.fetch, 'POST', '/v1/assistants', { model: 'm' }, as(tenant))).body as { id: unknown })
        .id,
    );
  const start = (api: Api, tenant: string, assistant: string, more: object = {}) =>
    call(api.fetch, 'POST', '/v1/threads/runs', { assistant_id: assistant, ...more }, as(tenant));

  test('one live run too many is a 429 that says what to do, and no run', async () => {
    const api = apiOf(serviceOf({ liveRuns: (await store.countLiveRunsOf('a')) + 2 }));
    const [mine, theirs] = [await assistantOf(api, 'a'), await assistantOf(api, 'b')];
    const runs = [await start(api, 'a', mine), await start(api, 'a', mine)];
    expect(runs.map(({ status }) => status)).toEqual([200, 200]);
    const refused = await start(api, 'a', mine);
    expect([refused.status, codeOf(refused.body)]).toEqual([429, 'rate_limit_exceeded']);
    expect(refused.headers.get('retry-after')).toBe('5');
    expect(JSON.stringify(refused.body)).toContain('This tenant has 2 live runs; the limit is 2');
    expect(await store.countLiveRunsOf('a')).toBe(2);
    expect((await start(api, 'b', theirs)).status).toBe(200);
  });

  test('a start that failed takes no place', async () => {
    const live = await store.countLiveRunsOf('b');
    const api = apiOf(serviceOf({ liveRuns: live + 2 }));
    const assistant = await assistantOf(api, 'b');
    for (let time = 0; time < 5; time += 1) expect((await start(api, 'b', 'asst_none')).status).toBe(404);
    expect((await start(api, 'b', assistant)).status).toBe(200);
    expect((await start(api, 'b', assistant)).status).toBe(200);
    expect((await start(api, 'b', assistant)).status).toBe(429);
  });

  test('what would be stored too much is a 400 at every door, and deleting and reading go on', async () => {
    const stored = await store.storedBytesOf('b');
    const api = apiOf(serviceOf({ storedBytes: stored + 20_000 }));
    const post = (path: string, body: object) => call(api.fetch, 'POST', path, body, as('b'));
    const large = { role: 'user', content: 'x'.repeat(30_000) };
    const assistant = await assistantOf(api, 'b');
    const { body } = await post('/v1/threads', {});
    const thread = (body as { id: string }).id;
    for (const [path, sent] of [
      ['/v1/assistants', { model: 'm', instructions: large.content }],
      [`/v1/assistants/${assistant}`, { instructions: large.content }],
      ['/v1/threads', { messages: [large] }],
      [`/v1/threads/${thread}/messages`, large],
      [`/v1/threads/${thread}/runs`, { assistant_id: assistant, additional_messages: [large] }],
      ['/v1/threads/runs', { assistant_id: assistant, thread: { messages: [large] } }],
    ] as const) {
      const refused = await post(path, sent);
      expect([path, refused.status, codeOf(refused.body)]).toEqual([path, 400, 'storage_limit_exceeded']);
    }
    expect((await call(api.fetch, 'GET', `/v1/threads/${thread}`, undefined, as('b'))).status).toBe(200);
    expect((await call(api.fetch, 'DELETE', `/v1/threads/${thread}`, undefined, as('b'))).status).toBe(200);
  });

  test('one stream too many is a 429 before anything is started; a stream that ends makes room', async () => {
    const api = apiOf(serviceOf({ liveRuns: 0 }), 2);
    const assistant = await assistantOf(api, 'a');
    const stream = (tenant = 'a') =>
      api.fetch(
        new Request('http://127.0.0.1/v1/threads/runs', {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...as(tenant) },
          body: JSON.stringify({ assistant_id: assistant, stream: true }),
        }),
      );
    const [one, two] = [await stream(), await stream()];
    expect([one.status, two.status]).toEqual([200, 200]);
    const before = await store.countLiveRunsOf('a');
    const refused = await stream();
    expect([refused.status, codeOf(await refused.json())]).toEqual([429, 'rate_limit_exceeded']);
    expect(await store.countLiveRunsOf('a')).toBe(before);
    // Another tenant's place, and a request without a stream, are not taken by it.
    expect((await stream('b')).status).toBe(404);
    expect((await start(api, 'a', assistant)).status).toBe(200);
    await one.body?.cancel();
    const next = await stream();
    expect(next.status).toBe(200);
    await Promise.all([two.body?.cancel(), next.body?.cancel()]);
  });

  test('a reader that takes nothing of a page is let go', async () => {
    const service = serviceOf({});
    const server = await serveApi(createApi({ engine: service }), { idleMs: 300 });
    const messages = Array.from({ length: 15 }, () => ({
      role: 'user' as const,
      content: 'x'.repeat(250_000),
    }));
    const thread = await store.createThread('default', { messages }, 1);
    const accepted = new Promise<Socket>((resolve) => {
      const onSocket = (message: unknown): void => {
        unsubscribe('net.server.socket', onSocket);
        resolve((message as { socket: Socket }).socket);
      };
      subscribe('net.server.socket', onSocket);
    });
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    const path = `/v1/threads/${thread.id}/messages?limit=100`;
    socket.pause();
    // More than the kernel buffers for a reader.
    socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`.repeat(4));
    socket.on('error', () => undefined);
    const served = await accepted;
    await once(served, 'close');
    expect(served.bytesWritten).toBeGreaterThan(0);
    socket.destroy();
    await server.close();
  });
});

const enters = async (share: StreamShare): Promise<boolean> => {
  const leave = await share.enter();
  leave?.();
  return leave !== null;
};

describe('unread events', () => {
  test('of all streams of a tenant together are bounded, and are let go as they are read', () => {
    const budget = createStreamBudget({ streams: 0, unreadBytes: 100 });
    const [one, two, other] = [budget.open('a'), budget.open('a'), budget.open('b')];
    expect([one.hold(60), two.hold(40), two.hold(41)]).toEqual([true, true, false]);
    expect(other.hold(100)).toBe(true);
    two.close();
    two.close();
    // A piece may be on its way while the next one waits; the third takes the place of the first.
    expect([one.hold(41), one.hold(40), one.hold(61), one.hold(60)]).toEqual([false, true, false, true]);
    expect(two.hold(1)).toBe(false);
  });

  test('are read for no stream once another batch may not fit, until a reader takes some', async () => {
    const budget = createStreamBudget({ streams: 0, unreadBytes: READ_BYTES.events + 10 });
    const [reader, other] = [budget.open('a'), budget.open('b')];
    expect([reader.hold(10), await enters(reader)]).toEqual([true, true]);
    const full = budget.open('a');
    expect([full.hold(20), full.hold(20), await enters(full), await enters(reader)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(await enters(other)).toBe(true);
    full.close();
    expect(await enters(reader)).toBe(true);
  });

  test('are read for ten streams at a time, in the order in which they ask', async () => {
    const budget = createStreamBudget({ streams: 0, unreadBytes: 1_000_000 });
    const left: ((() => void) | null)[] = [];
    const order: number[] = [];
    const all = Array.from({ length: 13 }, async (_, at) => {
      left[at] = await budget.open('a').enter();
      order.push(at);
    });
    await Promise.all(all.slice(0, 10));
    expect(order).toHaveLength(10);
    left[3]?.();
    await all[10];
    expect(order.at(-1)).toBe(10);
    for (const leave of [left[0], left[1]]) leave?.();
    await Promise.all(all);
    expect(order.slice(10)).toEqual([10, 11, 12]);
  });

  test('of a stream on a connection count until that has closed, for any end of the stream', () => {
    const budget = createStreamBudget({ streams: 1, unreadBytes: 100 });
    const connection = new EventEmitter();
    const share = budget.open('a', Object.assign(connection, { destroyed: false, destroy: () => undefined }));
    expect(share.hold(90)).toBe(true);
    share.close();
    expect(() => budget.open('a')).toThrow(ApiError);
    connection.emit('close');
    expect(budget.open('a').hold(100)).toBe(true);
  });

  test('places of streams are counted for each tenant', () => {
    const budget = createStreamBudget({ streams: 1, unreadBytes: 100 });
    const first = budget.open('a');
    budget.open('b');
    expect(() => budget.open('a')).toThrow(ApiError);
    first.close();
    first.close();
    budget.open('a');
    expect(() => budget.open('a')).toThrow(/the limit of this server is 1\./);
  });
});

const connection = () => Object.assign(new EventEmitter(), { destroyed: false, destroy: () => undefined });
const answer = (more: object = {}) => ({
  tenant: 'a',
  size: 70_000,
  connection: connection(),
  isRead: true,
  ...more,
});

describe('unread answers', () => {
  test('of a tenant are bounded together, until their connections are done with them', () => {
    const count = createAnswerBudget(150_000);
    const first = answer();
    count(first);
    count(answer());
    expect(() => count(answer())).toThrow(
      /has not read yet hold too many characters; the limit of this server is 150000/,
    );
    count(answer({ tenant: 'b' }));
    count(answer({ size: 65_536 }));
    first.connection.emit('close');
    count(answer());
    expect(() => count(answer())).toThrow(ApiError);
  });

  test('to a change are sent in any case, and count', () => {
    const count = createAnswerBudget(100_000);
    const change = (): void => count(answer({ isRead: false }));
    expect([change, change, change].map((send) => send())).toHaveLength(3);
    expect(() => count(answer())).toThrow(ApiError);
  });

  test('of connections that have closed before are not counted', () => {
    const count = createAnswerBudget(100_000);
    const closed = Object.assign(connection(), { destroyed: true });
    for (let sent = 0; sent < 3; sent += 1) count(answer({ connection: closed }));
    expect(() => count(answer())).not.toThrow();
    expect(closed.listenerCount('close')).toBe(0);
  });
});
