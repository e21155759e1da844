/**
 * Attempts of a turn on the `chat` backend: which of them are paid for, when there are no more of them, and who is told
 * how the last one failed.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { costsTurn, reasonOf } from '../../../backends/chat/attempts.ts';
import { createChatBackend } from '../../../backends/chat/index.ts';
import { shownError } from '../../../backends/chat/last-error.ts';
import { HttpFailure, type FailureFacts } from '../../../backends/http/failure.ts';
import { BackendError } from '../../../protocol/errors.ts';
import type { Backend } from '../../../protocol/ports/backend.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { fakeContext, type FakeContext } from '../../support/backend-context.ts';
import { chunk, refuses, says } from '../../support/chat-server.ts';
import { reset, scriptedHttp, sse, type ScriptedHttp, type Step } from '../../support/scripted-http.ts';
import { createRequest, memoryStore, startedRun } from '../../support/store.ts';

const T = 'tenant';
const NOW = 1_800_000_000_000;

let store: Store;
let server: ScriptedHttp;
let backend: Backend & { dispose(): Promise<void> };

beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());
beforeEach(async () => {
  server = await scriptedHttp();
  backend = createChatBackend({ store, baseUrl: `${server.url}/v1`, flushMs: 1, modelAttempts: 3 });
});
afterEach(async () => {
  await backend.dispose();
  await server.close();
  if (server.overrun > 0) throw new Error(`${server.overrun} requests beyond the script`);
});

const context = () => fakeContext({ now: () => NOW + 1000 });
const start = async () => {
  const run = await startedRun(store, T, NOW);
  return { ...run, request: createRequest(run, NOW) };
};

/** One attempt that must fail. */
const fails = async (run: Awaited<ReturnType<typeof start>>, ctx: FakeContext): Promise<BackendError> => {
  const error: unknown = await backend.create(run.request, ctx).catch((thrown: unknown) => thrown);
  if (!(error instanceof BackendError)) throw new Error(`no backend error: ${String(error)}`);
  return error;
};

const facts = (more: Partial<FailureFacts>): HttpFailure =>
  new HttpFailure({
    kind: 'status',
    route: 'POST /chat/completions',
    origin: 'http://model',
    what: 'x',
    status: null,
    errorCode: null,
    shouldRetry: null,
    retryAfterMs: null,
    networkCode: null,
    error: null,
    serverTime: null,
    ...more,
  });

describe('a failed request', () => {
  test.each([
    ['was refused a connection', { kind: 'network_before_send' }, 'unavailable', false],
    ['was answered 503', { status: 503 }, 'unavailable', false],
    ['was answered 502', { status: 502 }, 'unavailable', false],
    ['was given up by a proxy', { status: 504 }, 'unavailable', true],
    ['had to wait', { status: 429 }, 'rate_limited', false],
    ['was refused', { status: 400 }, 'rejected', false],
    ['was too large', { status: 413 }, 'rejected', false],
    ['named a model that is not there', { status: 404 }, 'unsupported', false],
    ['came with a wrong key', { status: 401 }, 'unauthorized', false],
    ['broke before an answer', { kind: 'network_ambiguous' }, 'unavailable', false],
    ['broke in its answer', { kind: 'network_ambiguous', status: 200 }, 'broken_off', true],
    ['was not answered in time', { kind: 'timeout' }, 'unavailable', true],
    [
      'was answered by something else',
      { kind: 'bad_body', badBody: 'shape', status: 200 },
      'unsupported',
      true,
    ],
  ] as const)('that %s: %o is %s, and costs a turn: %s', (_name, more, reason, cost) => {
    expect(reasonOf(facts(more), false)).toBe(reason);
    expect(costsTurn(facts(more), false, 10)).toBe(cost);
  });

  test('whose answer had begun has cost a turn, whatever the server says then', () => {
    expect(costsTurn(facts({ status: 503 }), true, 10)).toBe(true);
    expect(reasonOf(facts({ status: 503 }), true)).toBe('broken_off');
    expect(reasonOf(facts({ status: 429 }), true)).toBe('rate_limited');
  });

  test('that the server held for long before the connection broke is taken for a turn', () => {
    expect(costsTurn(facts({ kind: 'network_ambiguous' }), false, 60_000)).toBe(true);
  });
});

const half = sse([chunk({ content: 'half' })], 'cut');

describe('attempts that may have been paid for', () => {
  test('are counted from one to the next, and the last one of the budget is final', async () => {
    const run = await start();
    server.script.push(half, half, half);
    let ctx = context();
    const errors: BackendError[] = [];
    for (let count = 0; count < 3; count += 1) {
      errors.push(await fails(run, ctx));
      ctx = ctx.next();
    }
    expect(errors.map(({ retryable }) => retryable)).toEqual([true, true, false]);
    expect(errors[2]).toMatchObject({
      message: expect.stringContaining('asked 3 times for this turn (RUNS_MODEL_ATTEMPTS)'),
      details: [{ reason: 'broken_off' }],
    });
  });

  test('count also when they died with their workers: the model is not asked once more', async () => {
    const run = await start();
    const ctx = fakeContext({ now: () => NOW + 1000, attempt: 4, previous: { asked: 3 } });
    expect(await fails(run, ctx)).toMatchObject({ retryable: false, details: [{ reason: 'broken_off' }] });
    expect(server.requests).toHaveLength(0);
  });

  test('are told to the next attempt before the request is sent', async () => {
    const run = await start();
    const ctx = fakeContext({ now: () => NOW + 1000, previous: { asked: 1 } });
    server.script.push((asked, socket) => {
      expect(ctx.heartbeats.at(-1)).toMatchObject({ asked: 2, sent: true });
      return says(['ok'])(asked, socket);
    });
    expect(await backend.create(run.request, ctx)).toMatchObject({ status: 'completed' });
  });
});

test('attempts that never reached a model go on beyond the budget, and the turn may still succeed', async () => {
  const run = await start();
  const free: Step[] = [
    refuses(503, 'starting'),
    refuses(429, 'slow down'),
    reset,
    refuses(502, 'no'),
    reset,
  ];
  server.script.push(...free, says(['at last']));
  let ctx = context();
  for (let count = 0; count < free.length; count += 1) {
    expect(await fails(run, ctx)).toMatchObject({ retryable: true });
    expect(ctx.heartbeats.at(-1)).toMatchObject({ asked: 0 });
    ctx = ctx.next();
  }
  expect(await backend.create(run.request, ctx)).toMatchObject({ status: 'completed' });
});

test.each([
  ['a spent quota', refuses(429, 'no money', { code: 'insufficient_quota' }), 'rate_limited'],
  [
    'a bill that is not paid',
    refuses(429, 'no money', { code: 'billing_hard_limit_reached' }),
    'rate_limited',
  ],
  [
    'a wrong request with a wrong status',
    refuses(500, 'bad schema', { code: 'invalid_prompt' }),
    'unsupported',
  ],
] as const)('%s is final at once: time does not mend it', async (_name, step, reason) => {
  const run = await start();
  server.script.push(step);
  expect(await fails(run, context())).toMatchObject({ retryable: false, details: [{ reason }] });
});

describe('how the last attempt failed', () => {
  const SECRET = 'the words of http://10.1.2.3:8080';

  test('is the cause of an expired run for its caller, and all of it for those who run the server', async () => {
    const run = await start();
    server.script.push(refuses(503, SECRET));
    const first = context();
    await fails(run, first);
    const late = fakeContext({
      now: () => NOW + 600_000,
      attempt: 2,
      previous: first.heartbeats.at(-1) ?? null,
    });
    expect(await backend.create(run.request, late)).toMatchObject({
      status: 'expired',
      lastError: { code: 'unavailable', message: expect.stringContaining(SECRET) },
    });
    const wire = await store.getRun(T, run.threadId, run.runId);
    expect(wire.last_error).toEqual({ code: 'server_error', message: 'The model server could not answer.' });
  });

  test.each(['fail', 'expire'] as const)('is shown by a close (%s) as its cause only', async (kind) => {
    const run = await start();
    const how = { kind, error: { code: 'rate_limited', message: SECRET } } as const;
    const target = { kind: 'token', runId: run.runId, threadId: run.threadId, startedAt: NOW } as const;
    await backend.close(target, how, context());
    const wire = await store.getRun(T, run.threadId, run.runId);
    expect(wire.last_error?.code).toBe('rate_limit_exceeded');
    expect(JSON.stringify(wire)).not.toContain('10.1.2.3');
  });

  test.each(['rate_limited', 'rejected', 'unavailable', 'timeout', 'failed', 'constructor', '__proto__'])(
    'has one of the wire’s codes and a sentence of our own: %s',
    (code) => {
      const shown = shownError({ code, message: SECRET });
      expect(['server_error', 'rate_limit_exceeded', 'invalid_prompt']).toContain(shown.code);
      expect(shown.message).not.toContain('10.1.2.3');
    },
  );
});
