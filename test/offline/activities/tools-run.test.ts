/** One tool call as an activity: every way it can end, in a mock environment. No server. */
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { unmark } from '../../../activities/tools/attempt-mark.ts';
import { createActivities, defineTools, ToolError, type ToolContext } from '../../../activities/index.ts';
import { FAILURES, readOutcome, type CallOutcome, type ToolActivityInput } from '../../../protocol/index.ts';
import {
  attempt,
  handClock,
  recorder,
  toolInput,
  type Info,
  type Recorder,
} from '../../support/activities.ts';
import { deferred } from '../../support/deferred.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';

guardAgainstLeaks();

type Execute = (args: { n: number }, context: ToolContext) => unknown;
type Options = Omit<Parameters<typeof defineTools>[0][string], 'description' | 'parameters' | 'execute'>;

const begin = (execute: Execute, options: Options = {}, info: Info = {}) => {
  const seen = recorder();
  const began = deferred();
  const tools = defineTools({
    tool: {
      description: 'A tool.',
      parameters: z.object({ n: z.number() }),
      execute: (args, context) => {
        began.resolve();
        return execute(args, context);
      },
      ...options,
    },
  });
  const activities = createActivities({
    backends: {},
    tools,
    log: seen.log,
    metrics: seen.metrics,
    startFollowUpRun: () => Promise.reject(new Error('not asked for')),
  });
  const env = attempt({ activityType: 'tool.tool', ...info });
  const call = async (input: ToolActivityInput = toolInput('tool', { n: 1 })): Promise<CallOutcome> =>
    readOutcome(await env.run((sent: ToolActivityInput) => activities.default(sent), input));
  return { env, call, seen, began: began.promise };
};

const run = async (
  execute: Execute,
  options: Options = {},
  info: Info = {},
  input?: ToolActivityInput,
): Promise<{ outcome: CallOutcome; seen: Recorder }> => {
  const { call, seen } = begin(execute, options, info);
  return { outcome: await call(input), seen };
};

const failureOf = async (work: Promise<unknown>): Promise<ApplicationFailure> => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApplicationFailure)) throw new Error(`expected a failure, got ${String(error)}`);
  return error;
};

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    const stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });

describe('a tool that works', () => {
  test("gets the run's ids, and its string is the output unchanged", async () => {
    let told: ToolContext | undefined;
    const { outcome, seen } = await run(
      (args, context) => {
        told = context;
        return `n is ${args.n}`;
      },
      {},
      { attempt: 3, heartbeatDetails: { page: 4 } },
      toolInput('tool', { n: 7 }, { deadline: Date.now() + 60_000, metadata: { tenant: 'a' } }),
    );
    expect(outcome).toEqual({ output: 'n is 7', ok: true });
    expect(told).toMatchObject({
      idempotencyKey: 'run_1:call_1',
      attempt: 3,
      previous: { page: 4 },
      run: 'run_1',
      thread: 'thread_1',
      assistant: 'asst_1',
      metadata: { tenant: 'a' },
    });
    expect(seen.counted).toEqual([['toolAttempt', 'tool', 'ok']]);
  });

  test('anything else becomes JSON, which is noted', async () => {
    const { outcome } = await run(() => Promise.resolve({ price: 3 }));
    expect(outcome).toEqual({ output: '{"price":3}', ok: true, notes: ['serialised'] });
  });

  test("three megabytes are cut to the tool's limit", async () => {
    const { outcome } = await run(() => 'x'.repeat(3_000_000), { maxOutputBytes: 1_000 });
    expect(outcome.ok).toBe(true);
    expect(outcome.notes).toEqual(['truncated']);
    expect(outcome.output).toMatch(/^x{950,}\n\[truncated: the first \d+ of 3000000 bytes\]$/);
    expect(outcome.output.length).toBeLessThanOrEqual(1_000);
  });

  test('an output schema is applied', async () => {
    const output = z.object({ price: z.number(), currency: z.string().default('EUR') });
    const { outcome } = await run(() => ({ price: 3 }), { output });
    expect(JSON.parse(outcome.output)).toEqual({ price: 3, currency: 'EUR' });
  });

  test('its heartbeats reach Temporal, what JSON can not hold left out', async () => {
    const beats: unknown[] = [];
    const { env, call } = begin((_args, context) => {
      context.heartbeat({ page: 1 });
      const cyclic: Record<string, unknown> = {};
      cyclic['self'] = cyclic;
      context.heartbeat(cyclic);
      context.heartbeat();
      return 'done';
    });
    env.on('heartbeat', (details: unknown) => beats.push(details));
    await call();
    expect(beats.map((sent) => unmark(sent).details)).toEqual([{ page: 1 }, undefined, undefined]);
  });
});

describe('what only the model can repair is an output, and no handler runs', () => {
  test.each([
    ['not JSON', '{"n":'],
    ['another type', '{"n":"one"}'],
    ['nothing', ''],
    ['prototype keys', '{"n":1,"__proto__":{"x":1}}'],
    ['a megabyte', `{"n":1,"x":"${'x'.repeat(1_100_000)}"}`],
  ])('arguments: %s', async (_what, text) => {
    let ran = false;
    const { outcome, seen } = await run(
      () => {
        ran = true;
        return 'ran';
      },
      {},
      {},
      toolInput('tool', text),
    );
    expect(ran).toBe(false);
    expect(outcome).toMatchObject({ ok: false, notes: ['invalid_arguments'] });
    expect(JSON.parse(outcome.output)).toMatchObject({ error: { type: 'invalid_arguments' } });
    expect(outcome.output.length).toBeLessThan(1_000);
    expect(seen.counted).toEqual([['toolAttempt', 'tool', 'rejected']]);
  });

  test('an output that the schema refuses is told, without another attempt', async () => {
    const { outcome } = await run(() => ({ price: 'free' }), { output: z.object({ price: z.number() }) });
    expect(outcome).toMatchObject({ ok: false, notes: ['invalid_output'] });
    expect(outcome.output).toMatch(/its result does not match its output schema: price/);
  });

  test('an output that can not be sent is told', async () => {
    const { outcome } = await run(() => () => 1);
    expect(outcome).toMatchObject({ ok: false, notes: ['invalid_output'] });
  });
});

describe('a tool that throws', () => {
  test('is tried again; its message is kept short and its stack is not sent', async () => {
    const failure = await failureOf(
      begin(() => {
        throw new Error(`no route to host ${'x'.repeat(9_000)}`);
      }).call(),
    );
    expect(failure).toMatchObject({ type: FAILURES.toolFailed, nonRetryable: false });
    expect(failure.message).toMatch(/^no route to host x+… \[9017 characters\]$/);
    expect(failure.message.length).toBeLessThan(1_600);
    expect(failure.cause).toBeUndefined();
    expect(failure.stack).toBe('');
  });

  test('a ToolError ends the call', async () => {
    const failure = await failureOf(
      begin(() => Promise.reject(new ToolError('the account is closed'))).call(),
    );
    expect(failure).toMatchObject({
      type: FAILURES.toolFailed,
      nonRetryable: true,
      message: 'the account is closed',
    });
  });

  test('an ApplicationFailure of its own keeps its say over retries', async () => {
    const own = ApplicationFailure.create({ message: 'busy', nextRetryDelay: 5_000, type: 'Mine' });
    const failure = await failureOf(begin(() => Promise.reject(own)).call());
    expect(failure).toMatchObject({ type: FAILURES.toolFailed, nonRetryable: false, nextRetryDelay: 5_000 });
    const final = await failureOf(begin(() => Promise.reject(ApplicationFailure.nonRetryable('no'))).call());
    expect(final.nonRetryable).toBe(true);
  });

  test('something that is no error is told as JSON', async () => {
    const failure = await failureOf(begin(() => Promise.reject({ status: 500 })).call());
    expect(failure.message).toBe('{"status":500}');
  });

  test('what it threw stays out of the log', async () => {
    const { call, seen } = begin(() => {
      throw new Error('card 4111 refused');
    });
    await failureOf(call());
    expect(JSON.stringify(seen.lines)).not.toContain('4111');
    expect(seen.lines).toMatchObject([
      { level: 'warn', fields: { runId: 'run_1', tool: 'tool', outcome: 'failed' } },
    ]);
  });
});

describe('at most once', () => {
  test('a second attempt never runs: the outcome is unknown', async () => {
    let ran = 0;
    const { call, seen } = begin(() => `${(ran += 1)}`, { atMostOnce: true }, { attempt: 2 });
    const failure = await failureOf(call(toolInput('tool', { n: 1 }, { atMostOnce: true })));
    expect(ran).toBe(0);
    expect(failure).toMatchObject({ type: FAILURES.toolOutcomeUnknown, nonRetryable: true });
    expect(seen.counted).toEqual([['toolAttempt', 'tool', 'unknown']]);
  });

  test('an attempt that took too long has an unknown outcome', async () => {
    const { call } = begin(
      (_args, context) => untilAborted(context.signal),
      { atMostOnce: true },
      { startToCloseTimeoutMs: 20 },
    );
    const failure = await failureOf(call(toolInput('tool', { n: 1 }, { atMostOnce: true })));
    expect(failure.type).toBe(FAILURES.toolOutcomeUnknown);
  });

  test('an attempt that a stopping worker ended has an unknown outcome', async () => {
    const { env, call, began } = begin((_args, context) => untilAborted(context.signal), {
      atMostOnce: true,
    });
    const work = failureOf(call(toolInput('tool', { n: 1 }, { atMostOnce: true })));
    await began;
    env.cancel('WORKER_SHUTDOWN', shutdownDetails);
    expect((await work).type).toBe(FAILURES.toolOutcomeUnknown);
  });
});

const shutdownDetails = {
  notFound: false,
  cancelRequested: false,
  paused: false,
  timedOut: false,
  workerShutdown: true,
  reset: false,
};

describe('an attempt that is stopped', () => {
  test('by cancellation ends as cancelled, the tool told by its signal', async () => {
    let reason: unknown;
    const { env, call, seen, began } = begin(async (_args, context) => {
      try {
        return await untilAborted(context.signal);
      } catch (error) {
        reason = error;
        throw error;
      }
    });
    const work = call();
    await began;
    env.cancel('CANCELLED');
    await expect(work).rejects.toBeInstanceOf(CancelledFailure);
    expect(reason).toMatchObject({ name: 'AbortError' });
    expect(seen.counted).toEqual([['toolAttempt', 'tool', 'cancelled']]);
  });

  test('a tool that finishes all the same after a cancellation has its output', async () => {
    const { env, call, began } = begin((_args, context) =>
      untilAborted(context.signal).catch(() => 'cleaned up'),
    );
    const work = call();
    await began;
    env.cancel('CANCELLED');
    expect(await work).toMatchObject({ output: 'cleaned up', ok: true });
  });

  test('by its time is a failure to try again, also when the tool does not listen', async () => {
    const { call } = begin(() => new Promise(() => undefined), {}, { startToCloseTimeoutMs: 20 });
    const failure = await failureOf(call());
    expect(failure).toMatchObject({ type: FAILURES.toolFailed, nonRetryable: false });
    expect(failure.message).toMatch(/took longer than its timeout of 20 ms/);
  });

  test("by the run's deadline is final: no model would read the output", async () => {
    const { call } = begin(() => new Promise(() => undefined));
    const failure = await failureOf(call(toolInput('tool', { n: 1 }, { deadline: Date.now() + 20 })));
    expect(failure).toMatchObject({ type: FAILURES.toolFailed, nonRetryable: true });
  });

  test('before it began never begins', async () => {
    let ran = false;
    const { env, call } = begin(() => {
      ran = true;
      return 'ran';
    });
    env.cancel('CANCELLED');
    await expect(call()).rejects.toBeInstanceOf(CancelledFailure);
    expect(ran).toBe(false);
  });

  test('a worker that stood still between task and tool leaves it to its successor', async () => {
    const clock = handClock();
    let ran = false;
    const tools = defineTools({
      tool: {
        description: 'A tool.',
        // The standstill: the process sleeps while the arguments are checked.
        parameters: z.object({ n: z.number() }).refine(() => {
          clock.advance(10_000);
          return true;
        }),
        execute: () => {
          ran = true;
          return 'ran';
        },
      },
    });
    const { log } = recorder();
    const activities = createActivities({
      backends: {},
      tools,
      log,
      clock,
      startFollowUpRun: () => Promise.reject(new Error('not asked for')),
    });
    const env = attempt({ activityType: 'tool.tool', heartbeatTimeoutMs: 10_000 });
    const failure = await failureOf(env.run(activities.default, toolInput('tool', { n: 1 })));
    expect(failure).toMatchObject({ type: FAILURES.toolFailed, nonRetryable: false });
    expect(ran).toBe(false);
  });
});

describe('a tool that is not here', () => {
  test('is waited for: a deploy may bring it back', async () => {
    const { call } = begin(() => 'ok');
    const failure = await failureOf(call(toolInput('other', {})));
    expect(failure).toMatchObject({ type: FAILURES.toolNotRegistered, nonRetryable: false });
    expect(failure.nextRetryDelay).toBeGreaterThan(1_000);
    expect(failure.message).toMatch(/"other" is not registered.*\["tool"\].*RUNS_TOOLS/);
  });

  test('an activity type that no version knows is no tool call', async () => {
    const { call } = begin(() => 'ok', {}, { activityType: 'fromTheFuture' });
    expect((await failureOf(call())).message).toMatch(/no activity "fromTheFuture"/);
  });
});
