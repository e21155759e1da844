/**
 * Attempts of a turn on the `chat` backend: which of them are paid for, when there are no more of them, and who is told
 * how the last one failed.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { reasonOf } from '../../../backends/chat/attempts.ts';
import { shownError } from '../../../backends/chat/last-error.ts';
import { fromModelError } from '../../../backends/chat/model-failure.ts';
import { BackendError } from '../../../protocol/errors.ts';
import type { Backend } from '../../../protocol/ports/backend.ts';
import { ModelError, type ModelErrorKind } from '../../../protocol/ports/model.ts';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { fakeContext, type FakeContext } from '../../support/backend-context.ts';
import { chatOnServer } from '../../support/chat-backend.ts';
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
  backend = chatOnServer({ store, baseUrl: `${server.url}/v1`, flushMs: 1, modelAttempts: 3 });
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

const failure = (kind: ModelErrorKind, more: ConstructorParameters<typeof ModelError>[2] = {}): ModelError =>
  new ModelError(kind, 'x', more);

const wait = (retryAfterMs: number, deadline: number | null) =>
  fromModelError(failure('rate_limited', { retryAfterMs }), { now: 0, attempt: 1, deadline }).retryAfterMs;

describe('a failed request', () => {
  test.each([
    ['could not be sent', failure('unavailable'), 'unavailable'],
    ['had to wait', failure('rate_limited'), 'rate_limited'],
    ['had its prompt refused', failure('rejected', { status: 400 }), 'rejected'],
    ['had a field refused', failure('refused', { status: 422, field: 'temperature' }), 'rejected'],
    ['was too large', failure('rejected', { status: 413 }), 'rejected'],
    ['named a model that is not there', failure('rejected', { status: 404 }), 'unsupported'],
    ['was answered by something else', failure('rejected', { status: 200 }), 'unsupported'],
    ['met a server that asks for no retry', failure('unavailable', { retryable: false }), 'unsupported'],
    ['came with a wrong key', failure('unauthorized'), 'unauthorized'],
    ['broke in its answer', failure('broken_off'), 'broken_off'],
  ] as const)('that %s is told as such', (_name, error, reason) => {
    expect(reasonOf(error)).toBe(reason);
  });

  test.each([
    ['unavailable', {}, FAILURES.backendUnavailable, true],
    ['broken_off', {}, FAILURES.backendUnavailable, true],
    ['rate_limited', {}, FAILURES.backendUnavailable, true],
    ['rate_limited', { retryable: false }, FAILURES.backendRejected, false],
    ['unauthorized', {}, FAILURES.backendUnauthorized, false],
    ['refused', { status: 400 }, FAILURES.backendRejected, false],
    ['rejected', { status: 400 }, FAILURES.backendRejected, false],
    ['rejected', { status: 404 }, FAILURES.backendNotFound, false],
    ['rejected', { status: 200 }, FAILURES.backendUnsupported, false],
    ['rejected', { status: 302 }, FAILURES.backendUnsupported, false],
    ['rejected', { status: 501 }, FAILURES.backendUnsupported, false],
  ] as const)('that is %s %o leaves the backend as %s', (kind, more, type, retryable) => {
    const error = fromModelError(failure(kind, more), {
      now: 0,
      attempt: 1,
      deadline: null,
      random: () => 1,
    });
    expect(error).toMatchObject({ type, retryable });
    expect(error.retryAfterMs).toBe(retryable ? 500 : null);
  });

  test('waits as long as the server asks, within bounds', () => {
    expect([wait(7_000, null), wait(7_000, 5_000), wait(10_000_000, null)]).toEqual([7_000, 5_000, 600_000]);
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
      message: expect.stringContaining('called 3 times for this turn (RUNS_MODEL_ATTEMPTS)'),
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

  test('is the cause of an expired run for its caller, and complete for the operator', async () => {
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

  test('names the model that can’t see, at once and at a close, without the server’s words', async () => {
    const run = await startedRun(store, T, NOW, {
      messages: [
        { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://x.test/a.png' } }] },
      ],
    });
    server.script.push(refuses(400, `${SECRET}: the model does not support images`));
    const error = await fails({ ...run, request: createRequest(run, NOW) }, context());
    expect(error).toMatchObject({ retryable: false, type: FAILURES.backendRejected });
    expect(error.details).toMatchObject([{ reason: 'no_images' }]);
    const target = { kind: 'token', runId: run.runId, threadId: run.threadId, startedAt: NOW } as const;
    const how = { kind: 'fail', error: { code: 'no_images', message: error.message } } as const;
    await backend.close(target, how, context());
    const { last_error: shown } = await store.getRun(T, run.threadId, run.runId);
    expect(shown).toEqual({
      code: 'invalid_prompt',
      message: expect.stringContaining('The model "model-a" does not accept images') as unknown,
    });
    expect(JSON.stringify(shown)).not.toContain('10.1.2.3');
  });

  test.each([
    'rate_limited',
    'rejected',
    'unavailable',
    'no_images',
    'timeout',
    'failed',
    'constructor',
    '__proto__',
  ])('has one of the wire’s codes and a sentence of our own: %s', (code) => {
    const shown = shownError({ code, message: SECRET });
    expect(['server_error', 'rate_limit_exceeded', 'invalid_prompt']).toContain(shown.code);
    expect(shown.message).not.toContain('10.1.2.3');
  });
});
