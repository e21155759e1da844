/** The backend activities over a fake backend: what they lend it, and what Temporal is told. No server. */
import { ApplicationFailure, ApplicationFailureCategory, CancelledFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { createActivities, noTools, type ActivityDeps } from '../../../activities/index.ts';
import { currentCall, runningCalls, type CallScope } from '../../../activities/tools/call-scope.ts';
import {
  BackendError,
  FAILURES,
  type Backend,
  type BackendContext,
  type Decision,
  type Progress,
  type Settled,
} from '../../../protocol/index.ts';
import { attempt, handClock, recorder, type Info } from '../../support/activities.ts';
import { deferred } from '../../support/deferred.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';

guardAgainstLeaks();

const ref = { backendRunId: 'run_b', threadId: 'thread_1' };
const completed: Settled = { status: 'completed', run: ref };
const base = { backend: 'assistants', runId: 'run_1' } as const;

const notAsked = (): Promise<never> => Promise.reject(new Error('not asked for'));
const fakeBackend = (parts: Partial<Backend>): Backend => ({
  kind: 'assistants',
  createThread: notAsked,
  create: notAsked,
  submit: notAsked,
  follow: notAsked,
  close: notAsked,
  probe: notAsked,
  ...parts,
});

const begin = (parts: Partial<Backend>, info: Info = {}, deps: Partial<ActivityDeps> = {}) => {
  const seen = recorder();
  const activities = createActivities({
    backends: { assistants: fakeBackend(parts) },
    tools: noTools(),
    log: seen.log,
    metrics: seen.metrics,
    startFollowUpRun: notAsked,
    ...deps,
  });
  const env = attempt({ activityType: 'followRun', heartbeatTimeoutMs: 10_000, ...info });
  const follow = () => env.run(() => activities.followRun({ ...base, run: ref }));
  return { env, activities, follow, seen };
};

const failureOf = async (work: Promise<unknown>): Promise<ApplicationFailure> => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApplicationFailure)) throw new Error(`expected a failure, got ${String(error)}`);
  return error;
};

describe('each activity asks its backend', () => {
  test('and returns what it settles', async () => {
    const asked: unknown[] = [];
    const note =
      (what: string) =>
      (...args: unknown[]) => {
        // The attempt's context is the only argument with a function in it.
        asked.push([what, ...args.filter((arg) => !Object.hasOwn(Object(arg), 'fence'))]);
        return Promise.resolve(completed);
      };
    const { env, activities } = begin({
      create: note('create'),
      submit: note('submit'),
      follow: note('follow'),
      close: note('close'),
      createThread: (request) => {
        asked.push(['createThread', request]);
        return Promise.resolve({ threadId: 'thread_new' });
      },
    });
    const request = {
      runId: 'run_1',
      threadId: 'thread_1',
      assistantId: 'asst_1',
      params: {},
      busy: 'fail' as const,
      startedAt: 1,
      expiresAt: null,
    };
    const outputs = [{ tool_call_id: 'call_1', output: 'o' }];
    const denied: Decision = {
      callId: 'call_1',
      name: 'pay',
      round: 2,
      decision: 'deny',
      at: 1,
      door: 'cli',
      arguments: null,
    };
    const results = await env.run(async () => [
      await activities.createThread({ ...base, metadata: { a: 'b' } }),
      await activities.createRun({ ...base, request }),
      await activities.submitToolOutputs({ ...base, run: ref, round: 2, outputs, decisions: [denied] }),
      await activities.followRun({ ...base, run: ref }),
      await activities.closeRun({ ...base, target: { kind: 'run', run: ref }, how: { kind: 'expire' } }),
    ]);
    expect(results).toEqual([{ threadId: 'thread_new' }, completed, completed, completed, completed]);
    expect(asked).toEqual([
      ['createThread', { runId: 'run_1', metadata: { a: 'b' } }],
      ['create', request],
      ['submit', ref, 2, outputs, [denied]],
      ['follow', ref],
      ['close', { kind: 'run', run: ref }, { kind: 'expire' }, []],
    ]);
  });

  test('answers are recorded where the backend can, and passed over where it can not', async () => {
    const recorded: unknown[] = [];
    const input = { ...base, run: ref, round: 1, outputs: [{ tool_call_id: 'c', output: 'o' }] };
    const able = begin({
      recordAnswers: (...args) => {
        recorded.push(args.slice(0, 3));
        return Promise.resolve();
      },
    });
    await able.env.run(() => able.activities.recordAnswers(input));
    expect(recorded).toEqual([[ref, 1, input.outputs]]);
    const unable = begin({});
    await expect(unable.env.run(() => unable.activities.recordAnswers(input))).resolves.toBeUndefined();
  });

  test('a backend this worker does not serve is worth another worker', async () => {
    const { env, activities } = begin({}, {}, { backends: {} });
    const failure = await failureOf(env.run(() => activities.followRun({ ...base, run: ref })));
    expect(failure).toMatchObject({ type: FAILURES.backendUnavailable, nonRetryable: false });
    expect(failure.message).toMatch(/has no backend "assistants" \(RUNS_BACKEND\)/);
  });

  test('ends and rounds are counted as they settle', async () => {
    const { follow, seen } = begin({ follow: () => Promise.resolve(completed) });
    await follow();
    expect(seen.counted).toEqual([
      ['runEnded', 'assistants', 'completed'],
      ['backendActivity', 'followRun', 'ok'],
    ]);
  });
});

const contextOf = async (info: Info, deps: Partial<ActivityDeps> = {}): Promise<BackendContext> => {
  let lent: BackendContext | undefined;
  const { follow } = begin(
    {
      follow: (_run, context) => {
        lent = context;
        return Promise.resolve(completed);
      },
    },
    info,
    deps,
  );
  await follow();
  if (lent === undefined) throw new Error('the backend was not asked');
  return lent;
};

describe('the wait of a round', () => {
  const outputs = [{ tool_call_id: 'c', output: 'o' }];
  const submitted = async (more: { waitedMs?: number }, number: number): Promise<unknown[][]> => {
    const { env, activities, seen } = begin(
      { submit: () => Promise.resolve(completed) },
      { activityType: 'submitToolOutputs', attempt: number },
    );
    await env.run(() => activities.submitToolOutputs({ ...base, run: ref, round: 1, outputs, ...more }));
    return seen.counted.filter(([what]) => what === 'waited');
  };

  test('is counted once, and only when a call waited for an answer', async () => {
    expect(await submitted({ waitedMs: 90_000 }, 1)).toEqual([['waited', 90_000]]);
    expect(await submitted({ waitedMs: 90_000 }, 2)).toEqual([]);
    expect(await submitted({}, 1)).toEqual([]);
  });
});

describe('what an attempt lends', () => {
  test('has number and progress of the attempt before', async () => {
    const progress: Progress = { run: ref, sent: true };
    expect(await contextOf({ attempt: 4, heartbeatDetails: progress })).toMatchObject({
      attempt: 4,
      previous: progress,
    });
    expect(await contextOf({})).toMatchObject({ attempt: 1, previous: null });
    expect(await contextOf({ heartbeatDetails: 'garbage' })).toMatchObject({ previous: null });
  });

  test('signs of life while the backend is silent, with the progress made so far', async () => {
    const beats: unknown[] = [];
    const end = deferred<Settled>();
    const { env, follow } = begin(
      {
        follow: (_run, context) => {
          context.heartbeat({ run: ref });
          return end.promise;
        },
      },
      { heartbeatTimeoutMs: 1_000, heartbeatDetails: { sent: true } },
    );
    const fourBeats = deferred();
    env.on('heartbeat', (details: unknown) => {
      beats.push(details);
      if (beats.length === 4) fourBeats.resolve();
    });
    const work = follow();
    await fourBeats.promise;
    end.resolve(completed);
    await work;
    expect(beats.slice(0, 4)).toEqual([{ run: ref }, { run: ref }, { run: ref }, { run: ref }]);
  });

  test("before any progress of its own, the previous attempt's is kept alive", async () => {
    const end = deferred<Settled>();
    const { env, follow } = begin(
      {
        follow: () => end.promise,
      },
      { heartbeatTimeoutMs: 500, heartbeatDetails: { sent: true } },
    );
    const beat = new Promise((resolve) => {
      env.once('heartbeat', resolve);
    });
    const work = follow();
    expect(await beat).toEqual({ sent: true });
    end.resolve(completed);
    await work;
  });

  test('a fence that lets a living attempt pass', async () => {
    const context = await contextOf({});
    expect(() => context.fence()).not.toThrow();
  });

  test("plans calls by the worker's registry", async () => {
    const context = await contextOf({});
    expect(context.plan([{ callId: 'c', name: 'own', arguments: '{}' }], ['own'])).toMatchObject([
      { plan: { kind: 'external' } },
    ]);
  });
});

describe('a worker that was frozen past its heartbeat timeout', () => {
  test('is fenced before it writes, its signal aborts, and the attempt is one to repeat', async () => {
    const clock = handClock();
    const wrote: string[] = [];
    const { env, follow } = begin(
      {
        follow: async (_run, context) => {
          context.fence();
          wrote.push('before');
          clock.advance(60_000);
          try {
            context.fence();
            wrote.push('after');
          } finally {
            context.heartbeat({});
            wrote.push(context.signal.aborted ? 'aborted' : 'going on');
          }
          return completed;
        },
      },
      { startToCloseTimeoutMs: 600_000 },
      { clock },
    );
    const beats: unknown[] = [];
    env.on('heartbeat', (details: unknown) => beats.push(details));
    const failure = await failureOf(follow());
    expect(wrote).toEqual(['before', 'aborted']);
    expect(beats).toEqual([]);
    expect(failure).toMatchObject({ type: FAILURES.backendUnavailable, nonRetryable: false });
    expect(failure.message).toMatch(/was suspended for 60000 ms/);
  });

  test('wakes from a wait to find it over', async () => {
    const clock = handClock();
    const { follow } = begin(
      {
        follow: async (_run, context) => {
          clock.advance(60_000);
          await context.sleep(60_000);
          return completed;
        },
      },
      { heartbeatTimeoutMs: 1_000 },
      { clock },
    );
    expect((await failureOf(follow())).message).toMatch(
      /stopped because another attempt may have replaced it/,
    );
  });
});

const thrown = async (reason: Error): Promise<ApplicationFailure> => {
  const follow = async (): Promise<Settled> => {
    throw reason;
  };
  return await failureOf(begin({ follow }).follow());
};

test('a state that history could not hold is told as such, for good', async () => {
  const plan = { kind: 'external', wait: { onDeadline: 'fail', answerWithinMs: null } } as const;
  const calls = Array.from({ length: 20_000 }, (_, index) => ({
    callId: `call_${index}_${'x'.repeat(100)}`,
    name: 'a',
    arguments: '{}',
    plan,
  }));
  const settled: Settled = { status: 'requires_action', run: ref, calls, expiresAt: null, createdAt: 1 };
  const { follow } = begin({ follow: () => Promise.resolve(settled) });
  expect(await failureOf(follow())).toMatchObject({
    type: FAILURES.backendUnsupported,
    nonRetryable: true,
    message: expect.stringMatching(
      /20000 calls\) takes \d+ bytes; Temporal's history takes at most 1900000/,
    ) as string,
  });
});

describe('what a backend throws', () => {
  test('keeps type, retry decision, pause and details', async () => {
    expect(
      await thrown(
        new BackendError(FAILURES.backendBusy, 'busy', { details: [{ threadId: 't', runId: 'r' }] }),
      ),
    ).toMatchObject({
      type: FAILURES.backendBusy,
      nonRetryable: true,
      nextRetryDelay: undefined,
      details: [{ threadId: 't', runId: 'r' }],
    });
    expect(
      await thrown(
        new BackendError(FAILURES.backendUnavailable, 'slow down', { retryable: true, retryAfterMs: 7_000 }),
      ),
    ).toMatchObject({
      nonRetryable: false,
      nextRetryDelay: 7_000,
      category: ApplicationFailureCategory.BENIGN,
    });
    const outage = await thrown(new BackendError(FAILURES.backendUnavailable, 'down', { retryable: true }));
    expect(outage.nonRetryable).toBe(false);
    expect(outage.category).not.toBe(ApplicationFailureCategory.BENIGN);
  });

  test('a message of any length fits what the server keeps', async () => {
    const failure = await thrown(new BackendError(FAILURES.backendRejected, 'x'.repeat(10_000)));
    expect(failure.message.length).toBeLessThan(1_600);
  });

  test('a bug is told as one, and tried again', async () => {
    expect(await thrown(new TypeError('x is not a function'))).toMatchObject({
      type: FAILURES.backendUnavailable,
      nonRetryable: false,
      message: expect.stringContaining('TypeError: x is not a function') as string,
    });
  });

  test('its text stays out of the log', async () => {
    const { follow, seen } = begin({
      follow: () => Promise.reject(new BackendError(FAILURES.backendRejected, 'key sk-canary is bad')),
    });
    await failureOf(follow());
    expect(seen.lines.map(({ fields }) => fields)).toMatchObject([
      { runId: 'run_1', failure: FAILURES.backendRejected, retryable: false },
    ]);
    expect(JSON.stringify(seen.lines)).not.toContain('sk-canary');
  });
});

describe('a cancelled attempt', () => {
  test('ends as cancelled, however the backend reacts to its signal', async () => {
    const waiting = deferred();
    const { env, follow, seen } = begin({
      follow: async (_run, context) => {
        waiting.resolve();
        await context.sleep(60_000).catch(() => {
          throw new Error('the socket was closed');
        });
        return completed;
      },
    });
    const work = follow();
    await waiting.promise;
    env.cancel('CANCELLED');
    await expect(work).rejects.toBeInstanceOf(CancelledFailure);
    expect(seen.counted).toEqual([['backendActivity', 'followRun', 'cancelled']]);
  });

  test('is fenced', async () => {
    let fenced: unknown;
    const { env, follow } = begin({
      follow: (_run, context) => {
        env.cancel('CANCELLED');
        try {
          context.fence();
        } catch (error) {
          fenced = error;
        }
        return Promise.resolve(completed);
      },
    });
    await follow();
    expect(fenced).toBeInstanceOf(CancelledFailure);
  });
});

describe('hooks and linked runs', () => {
  const notice = {
    runId: 'run_1',
    threadId: 't',
    assistantId: 'a',
    round: 1,
    calls: [],
    expiresAt: null,
  };

  test('are handed on; a hook that fails fails the attempt', async () => {
    const told: unknown[] = [];
    const { env, activities } = begin(
      {},
      { attempt: 2 },
      {
        hooks: {
          onWaiting: (what, { attempt: number }) => {
            told.push([what.runId, number]);
          },
          onEnd: () => Promise.reject(new Error('receiver down')),
        },
        startFollowUpRun: (request) => {
          told.push(request.newRunId);
          return Promise.resolve({ runId: request.newRunId });
        },
      },
    );
    await env.run(() => activities.notifyWaiting(notice));
    const result = {
      status: 'completed' as const,
      runId: 'run_1',
      backendRunId: null,
      threadId: null,
      rounds: 0,
      usage: null,
      calls: [],
      unusedAnswers: [],
    };
    await expect(env.run(() => activities.notifyEnd(result))).rejects.toThrow('receiver down');
    const of = {
      runId: 'run_1',
      backend: 'assistants' as const,
      threadId: 't',
      assistantId: 'a',
      metadata: {},
      calls: [],
      answerBy: 0,
      searchAttributes: false,
      hooks: { onWaiting: false, onEnd: false },
      settings: {},
    };
    const linked = await env.run(() =>
      activities.startFollowUpRun({
        backend: 'assistants',
        newRunId: 'run_2',
        of,
        callId: 'c',
        outcome: { output: 'o', ok: true },
        message: 'm',
      }),
    );
    expect(linked).toEqual({ runId: 'run_2' });
    expect(told).toEqual([['run_1', 2], 'run_2']);
  });

  test('a hook is handed the arguments as a person should see them', async () => {
    const shown: unknown[] = [];
    const { env, activities } = begin(
      {},
      {},
      { hooks: { onWaiting: ({ calls }) => void shown.push(...calls.map((call) => call.shown)) } },
    );
    const call = { callId: 'c', name: 'refund', kind: 'approval', state: 'waiting' } as const;
    await env.run(() =>
      activities.notifyWaiting({
        ...notice,
        calls: [
          { ...call, arguments: '{"amount":20000,"note":"\u202Eok"}' },
          { ...call, arguments: '{"amount":20,"amount":20000}' },
        ],
      }),
    );
    expect(shown).toEqual([
      { text: '{\n  "amount": 20000,\n  "note": "\\u202eok"\n}', shortened: 0 },
      expect.objectContaining({ problem: 'the same object contains the key "amount" twice' }),
    ]);
  });

  test('a hook is named when something escapes from it, and is not run again when that ends the worker', async () => {
    const seen: unknown[] = [];
    const { env, activities } = begin(
      {},
      {},
      {
        hooks: {
          onWaiting: () =>
            new Promise(() => {
              const call = currentCall();
              seen.push(call?.tool, call?.runId, runningCalls().includes(call as CallScope));
              call?.blame(new Error('thrown in a timer'));
            }),
        },
      },
    );
    await expect(env.run(() => activities.notifyWaiting(notice))).rejects.toMatchObject({
      nonRetryable: true,
      message: expect.stringContaining('The hook onWaiting ended its worker'),
    });
    expect(seen).toEqual(['hook onWaiting', notice.runId, true]);
    expect(runningCalls()).toEqual([]);
  });

  test('a worker without hooks has nothing to do', async () => {
    const { env, activities } = begin({});
    await expect(env.run(() => activities.notifyWaiting(notice))).resolves.toBeUndefined();
  });
});
