/**
 * A flood of signals on one run that waits for a person: row 35 of docs/contributing/faults.md.
 *
 * Proves: 10,000 signals are all counted, leave the run's state small and every history below the server's warning, and
 * the good answer among them still counts. Does not prove: how a server with other limits refuses a flood.
 */
import { ServiceError } from '@temporalio/client';
import type { WorkerOptions } from '@temporalio/worker';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ANSWER } from '../../../protocol/temporal/names.ts';
import { ACTIVATION_MS, type ActivationLimit } from '../../../worker/worker.ts';
import type { RunSnapshot } from '../../../protocol/temporal/messages.ts';
import { withRun, type LiveRun } from '../../support/live-run.ts';
import { external } from '../../support/run-stubs.ts';
import { liveTemporal, type LiveTemporal } from '../../support/temporal.ts';

const FLOOD = 10_000;
/** Senders at a time: the server writes one signal of a run after the other, so more only makes queues. */
const SENDERS = 64;
/** From here on the server warns about a history. */
const HISTORY_WARNING = 10_240;

/** As production's workers have it. */
const workerLimits: Partial<WorkerOptions> & ActivationLimit = { isolateExecutionTimeout: ACTIVATION_MS };

let live: LiveTemporal;
beforeAll(async () => {
  live = await liveTemporal();
});
afterAll(async () => {
  await live.close();
});

/** Everything a signal can get wrong. */
const payload = (at: number): unknown =>
  [
    'yes',
    { call_id: 'call_a' },
    { call_id: `call_${at}`, output: 'x'.repeat(200) },
    { call_id: 'call_a', decision: 'approve' },
    { call_id: 'call_a', output: 'y', run_id: 'run_other' },
    null,
  ][at % 6];

const flood = async ({ runId }: LiveRun): Promise<void> => {
  // Not pinned to one execution: a sender knows the run, not its continuations.
  const handle = live.client.workflow.getHandle(runId);
  let next = 0;
  const sender = async (): Promise<void> => {
    while (next < FLOOD) await handle.signal(ANSWER, payload(next++));
  };
  await Promise.all(Array.from({ length: SENDERS }, sender));
};

/** The run as it is once it has counted the whole flood; a worker that digests it may be late for a query. */
const digested = async (run: LiveRun): Promise<RunSnapshot> => {
  for (;;) {
    try {
      const now = await run.snapshot();
      if (now.unusable.count >= FLOOD || now.phase === 'ended') return now;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
    }
    await pause(250);
  }
};

/** Lengths of the histories of a run and its continuations, in order. */
const historyLengths = async (run: LiveRun): Promise<number[]> => {
  const lengths: number[] = [];
  let execution: string | undefined = run.handle.firstExecutionRunId;
  while (execution !== undefined && execution !== '') {
    const { events } = await live.client.workflow.getHandle(run.runId, execution).fetchHistory();
    lengths.push(events?.length ?? 0);
    const next: string | null | undefined =
      events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
    execution = next ?? undefined;
  }
  return lengths;
};

test('10,000 signals to one waiting run are counted and bounded, and the good answer is used', async () => {
  await withRun(
    live,
    { rounds: [[external('call_a')]] },
    {},
    async (run) => {
      await run.until((now) => now.status === 'requires_action');
      await flood(run);
      const flooded = await digested(run);
      expect(flooded.unusable.count).toBe(FLOOD);
      expect(flooded.unusable.latest).toHaveLength(10);
      expect(JSON.stringify(flooded).length).toBeLessThan(4_000);

      const good = { call_id: 'call_a', output: 'green', by: 'ada' };
      await live.client.workflow.getHandle(run.runId).signal(ANSWER, good);
      const result = await run.result();
      expect(result.status).toBe('completed');
      expect(run.asked.submits).toEqual([
        { round: 1, outputs: [{ tool_call_id: 'call_a', output: 'green' }] },
      ]);
      expect(result.unusedAnswers).toHaveLength(10);

      const lengths = await historyLengths(run);
      expect(lengths.length).toBeGreaterThan(1);
      expect(Math.max(...lengths)).toBeLessThan(HISTORY_WARNING);
    },
    workerLimits,
  );
}, 240_000);
