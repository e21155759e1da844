import { CancelledFailure, WorkflowFailedError } from '@temporalio/client';
import { Context } from '@temporalio/activity';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RESULT_MEMO } from '../../../protocol/temporal/names.ts';
import type { RunResult } from '../../../protocol/temporal/messages.ts';
import { deferred } from '../../support/deferred.ts';
import { automatic, external } from '../../support/run-stubs.ts';
import type { Script } from '../../support/run-stubs.ts';
import { withRun } from '../../support/live-run.ts';
import type { LiveRun } from '../../support/live-run.ts';
import { liveTemporal } from '../../support/temporal.ts';
import type { LiveTemporal } from '../../support/temporal.ts';

let live: LiveTemporal;
beforeAll(async () => {
  live = await liveTemporal();
});
afterAll(async () => {
  await live.close();
});

/** Waits for the attempt's cancellation, with heartbeats that let it hear of it. */
const untilCancelled = async (): Promise<void> => {
  const beat = setInterval(() => Context.current().heartbeat(), 100);
  try {
    await Context.current().cancelled;
  } finally {
    clearInterval(beat);
  }
};

const cancelledResult = async (run: LiveRun): Promise<RunResult> => {
  const error = await run.result().then(
    (result) => new Error(`The run was not cancelled but ended: ${JSON.stringify(result)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof WorkflowFailedError && error.cause instanceof CancelledFailure)) throw error;
  const description = await run.handle.describe();
  expect(description.status.name).toBe('CANCELLED');
  return description.memo?.[RESULT_MEMO] as RunResult;
};

const settings = { heartbeatMs: 1000 };

describe('a cancelled run', () => {
  test('while it is being created stops that attempt, then closes the run by its token', async () => {
    const script: Script = { create: untilCancelled };
    await withRun(live, script, { settings }, async (run) => {
      await run.until(() => run.asked.create === 1);
      await run.handle.cancel();
      const result = await cancelledResult(run);
      expect(result).toMatchObject({ status: 'cancelled', rounds: 0 });
      expect(run.asked.closes).toEqual([
        {
          target: {
            kind: 'token',
            runId: run.runId,
            threadId: 'thread_1',
            startedAt: expect.any(Number) as number,
          },
          how: { kind: 'cancel' },
        },
      ]);
    });
  });

  test('whose create settles in spite of the cancel is closed by the run that it returned', async () => {
    const created = deferred();
    const script: Script = { create: () => created.promise, rounds: [[automatic('call_a')]] };
    await withRun(live, script, {}, async (run) => {
      await run.until(() => run.asked.create === 1);
      await run.handle.cancel();
      await run.until((now) => now.status === 'cancelling');
      expect(run.asked.closes).toEqual([]);
      created.resolve();
      await cancelledResult(run);
      expect(run.asked.closes.map(({ target }) => target)).toEqual([
        { kind: 'run', run: { backendRunId: 'run_backend', threadId: 'thread_1' } },
      ]);
      expect(run.asked.tools).toEqual([]);
    });
  });

  test('while tools run tells them, submits nothing, and closes the run', async () => {
    let told = false;
    const script: Script = {
      rounds: [[automatic('call_a', { heartbeatMs: 1000 })]],
      tool: async () => {
        await untilCancelled().catch((error: unknown) => {
          told = true;
          throw error;
        });
        return { output: '', ok: true };
      },
    };
    await withRun(live, script, { settings }, async (run) => {
      await run.until(() => run.asked.tools.length === 1);
      await run.handle.cancel();
      await cancelledResult(run);
      expect(run.asked.submits).toEqual([]);
      expect(run.asked.closes).toHaveLength(1);
      await expect.poll(() => told).toBe(true);
    });
  });

  test('while it waits reports the answers that were taken and not used', async () => {
    const script: Script = { rounds: [[external('call_a'), external('call_b')]] };
    await withRun(live, script, { searchAttributes: true }, async (run) => {
      await run.until((now) => now.status === 'requires_action');
      await run.answer({ call_id: 'call_a', output: '1', by: 'ada' });
      await run.handle.cancel();
      const result = await cancelledResult(run);
      expect(result.unusedAnswers).toEqual([
        { callId: 'call_a', by: 'ada', reason: 'cancelled', at: expect.any(Number) as number },
      ]);
      expect(run.asked.submits).toEqual([]);
    });
  });

  test('while the outputs are being submitted is closed at once', async () => {
    const script: Script = { rounds: [[automatic('call_a')]], submit: untilCancelled };
    await withRun(live, script, { settings }, async (run) => {
      await run.until(() => run.asked.submits.length === 1);
      await run.handle.cancel();
      await cancelledResult(run);
      expect(run.asked.closes).toHaveLength(1);
      expect(run.asked.submits).toHaveLength(1);
    });
  });

  test('that had completed first is reported as completed', async () => {
    const script: Script = {
      rounds: [[external('call_a')]],
      close: async () => ({
        status: 'completed',
        run: { backendRunId: 'run_backend', threadId: 'thread_1' },
      }),
    };
    await withRun(live, script, {}, async (run) => {
      await run.until((now) => now.status === 'requires_action');
      await run.handle.cancel();
      expect((await run.result()).status).toBe('completed');
      expect((await run.handle.describe()).status.name).toBe('COMPLETED');
    });
  });
});
