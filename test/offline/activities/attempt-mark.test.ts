/** Attempts of a tool call that are lost with their worker: how they are told from those that end by themselves. */
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { createActivities, defineTools, type ToolContext } from '../../../activities/index.ts';
import {
  lostBefore,
  MAX_LOST_ATTEMPTS,
  PROCESS_ID,
  unmark,
  type AttemptMark,
} from '../../../activities/tools/attempt-mark.ts';
import { currentCall, runningCalls } from '../../../activities/tools/call-scope.ts';
import { FAILURES, readOutcome, type CallOutcome, type ToolActivityInput } from '../../../protocol/index.ts';
import { deferred } from '../../support/deferred.ts';
import { attempt, recorder, toolInput, type Info } from '../../support/activities.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';

guardAgainstLeaks();

const mark = (more: Partial<AttemptMark>): AttemptMark => ({
  attempt: 1,
  process: 'another',
  ms: 100,
  lost: 0,
  ...more,
});

describe('before attempt', () => {
  test.each([
    ['1 nothing was lost', 1, null, 60_000, 0],
    ['2, the first one left no word: it was lost', 2, null, 60_000, 1],
    ['2, the first one was too short to tell', 2, null, 3_000, 0],
    ['2, the first one failed by itself', 2, mark({ ended: true }), 60_000, 0],
    ['2, the first one was seen and left no last word', 2, mark({}), 60_000, 1],
    ['2, the first one was seen until its time was over', 2, mark({ ms: 57_000 }), 60_000, 0],
    ['2, the first one ran in this process, which lives', 2, mark({ process: 'this' }), 60_000, 0],
    ['3, both were lost', 3, mark({ attempt: 2, lost: 1 }), 60_000, 2],
    ['3, the first failed, the second left no word', 3, mark({ ended: true }), 60_000, 1],
    ['3, the first was lost, the second failed', 3, mark({ attempt: 2, lost: 1, ended: true }), 60_000, 1],
    ['3, of a tool whose attempts have no end', 3, mark({ attempt: 2, lost: 1, ms: 9e9 }), 0, 2],
  ] as const)('%s', (_name, number, before, startToCloseMs, lost) => {
    expect(lostBefore(before, { attempt: number, process: 'this', startToCloseMs })).toBe(lost);
  });
});

type Execute = (args: object, context: ToolContext) => unknown;

const begin = (
  execute: Execute,
  info: Info = {},
  { atMostOnce = false, ...more }: { atMostOnce?: boolean; workerBeats?: true } = {},
) => {
  const seen = recorder();
  const tools = defineTools({
    tool: { description: 'A tool.', parameters: z.object({}), execute, atMostOnce },
  });
  const activities = createActivities({
    backends: {},
    tools,
    log: seen.log,
    metrics: seen.metrics,
    startFollowUpRun: () => Promise.reject(new Error('not asked for')),
  });
  const env = attempt({ activityType: 'tool.tool', ...info });
  const beats: unknown[] = [];
  env.on('heartbeat', (details: unknown) => beats.push(details));
  const call = async (): Promise<CallOutcome> =>
    readOutcome(
      await env.run(
        (sent: ToolActivityInput) => activities.default(sent),
        toolInput('tool', {}, { atMostOnce, ...more }),
      ),
    );
  return { call, beats, last: () => unmark(beats.at(-1)).mark };
};

const marked = (more: Partial<AttemptMark>, details?: unknown): unknown => ({
  durableRunsMark: mark(more),
  ...(details === undefined ? {} : { details }),
});

describe('a tool call', () => {
  test('that works at once costs no heartbeat', async () => {
    const { call, beats } = begin(() => 'done');
    expect(await call()).toMatchObject({ output: 'done' });
    expect(beats).toEqual([]);
  });

  test.each([
    ['the worker reports for', { workerBeats: true } as const, 5],
    ['reports for itself', {}, 1],
  ])('that %s sends %o: %i heartbeats in ten silent seconds', async (_name, sent, expected) => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const [begun, end] = [deferred(), deferred()];
      const execute: Execute = () => {
        begun.resolve();
        return end.promise;
      };
      const { call, beats } = begin(execute, { heartbeatTimeoutMs: 60_000 }, sent);
      const outcome = call();
      await begun.promise;
      vi.advanceTimersByTime(10_000);
      expect(beats).toHaveLength(expected);
      end.resolve();
      await outcome;
      vi.advanceTimersByTime(10_000);
      expect(beats).toHaveLength(expected);
    } finally {
      vi.useRealTimers();
    }
  });

  test('whose attempts were lost with two workers is not run in a third: the model is told', async () => {
    let ran = 0;
    const { call } = begin(() => (ran += 1), {
      attempt: 3,
      heartbeatDetails: marked({ attempt: 2, lost: MAX_LOST_ATTEMPTS - 1 }),
    });
    const outcome = await call();
    expect(outcome).toMatchObject({ ok: false, notes: ['tool_failed'] });
    expect(outcome.output).toContain('died 2 times while it ran');
    expect(ran).toBe(0);
  });

  test('after one lost attempt runs again, and that it was lost is told before it does', async () => {
    const told: unknown[] = [];
    const { call, beats } = begin(() => void told.push(...beats), {
      attempt: 2,
      heartbeatDetails: undefined,
    });
    await call();
    expect(told.map((details) => unmark(details).mark)).toMatchObject([
      { attempt: 2, lost: 1, process: PROCESS_ID },
    ]);
  });

  test('that throws says as its last word that it ended by itself', async () => {
    const { call, last } = begin(() => {
      throw new Error('no');
    });
    await expect(call()).rejects.toThrow('no');
    expect(last()).toMatchObject({ attempt: 1, lost: 0, ended: true });
  });

  test("reads the marks of earlier attempts, also beside another attempt's mark", async () => {
    const read: unknown[] = [];
    const look: Execute = (_args, { previous }) => void read.push(previous);
    await begin(look, { attempt: 2, heartbeatDetails: marked({ ended: true }, { page: 3 }) }).call();
    await begin(look, { attempt: 2, heartbeatDetails: { page: 2 } }).call();
    await begin(look, { attempt: 2, heartbeatDetails: marked({ ended: true }) }).call();
    expect(read).toEqual([{ page: 3 }, { page: 2 }, undefined]);
  });
});

const escape: Execute = () => {
  currentCall()?.blame(new Error('in a timer'));
  return new Promise(() => undefined);
};

describe('when an exception escapes', () => {
  test('the attempt of the call that threw ends as lost, to be tried when the process is gone', async () => {
    const { call, last } = begin(escape);
    const error: unknown = await call().catch((thrown: unknown) => thrown);
    if (!(error instanceof ApplicationFailure)) throw new Error(`no failure: ${String(error)}`);
    expect(error).toMatchObject({ type: FAILURES.toolFailed, nonRetryable: false });
    expect(error.message).toContain('in a timer');
    expect(error.nextRetryDelay).toBeGreaterThan(1_000);
    expect(last()).toMatchObject({ lost: 1, ended: true });
  });

  test('the second time, the call ends with that as its output', async () => {
    const { call } = begin(escape, {
      attempt: 2,
      heartbeatDetails: marked({ lost: 1, ended: true }),
    });
    expect(await call()).toMatchObject({ ok: false, notes: ['tool_failed'] });
  });

  test('of an at-most-once tool, its outcome is unknown', async () => {
    await expect(begin(escape, {}, { atMostOnce: true }).call()).rejects.toMatchObject({
      type: FAILURES.toolOutcomeUnknown,
      nonRetryable: true,
    });
  });

  test('the attempts of other calls are spared: their late heartbeats do not change that', async () => {
    const { call, beats } = begin((_args, context) => {
      for (const other of runningCalls()) other.spare();
      context.heartbeat({ page: 1 });
      return 'done';
    });
    await call();
    expect(beats.map((sent) => unmark(sent))).toMatchObject([
      { mark: { lost: 0, ended: true } },
      { mark: { lost: 0, ended: true }, details: { page: 1 } },
    ]);
  });

  test('a call knows its scope in what it left behind, and is not listed any more', async () => {
    const scope = await new Promise((resolve) => {
      void begin(() => void setTimeout(() => resolve(currentCall()), 1)).call();
    });
    expect(scope).toMatchObject({ tool: 'tool', runId: 'run_1', callId: 'call_1', attempt: 1 });
    expect(runningCalls()).toEqual([]);
  });
});
