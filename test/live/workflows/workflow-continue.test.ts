import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ANSWER } from '../../../protocol/temporal/names.ts';
import { automatic, external } from '../../support/run-stubs.ts';
import { withRun } from '../../support/live-run.ts';
import { liveTemporal } from '../../support/temporal.ts';
import type { LiveTemporal } from '../../support/temporal.ts';

let live: LiveTemporal;
beforeAll(async () => {
  live = await liveTemporal();
});
afterAll(async () => {
  await live.close();
});

describe('continue-as-new', () => {
  test('during a wait keeps answers and attributes, and an answer after it ends the round', async () => {
    const script = { rounds: [[external('call_a'), external('call_b'), automatic('call_c')]] };
    const settings = { continueAsNewAfterEvents: 40 };
    await withRun(
      live,
      script,
      { settings, searchAttributes: true, hooks: { onWaiting: true, onEnd: true } },
      async (run) => {
        await run.until((now) => now.calls.some((call) => call.state === 'done'));
        await run.answer({ call_id: 'call_a', output: '1', by: 'ada' });
        for (let count = 0; count < 8; count += 1) {
          await run.handle.signal(ANSWER, { call_id: 'call_x', output: String(count) });
          await run.until((now) => now.unusable.count > count);
        }
        const description = await live.client.workflow.getHandle(run.runId).describe();
        expect(description.runId).not.toBe(run.handle.firstExecutionRunId);
        expect(description.searchAttributes['RunsStatus']).toEqual(['requires_action']);
        const now = await run.snapshot();
        expect(now.calls.map(({ callId, state, by }) => [callId, state, by])).toEqual([
          ['call_a', 'done', 'ada'],
          ['call_b', 'waiting', undefined],
          ['call_c', 'done', undefined],
        ]);
        expect(await run.answer({ call_id: 'call_a', output: '1' })).toMatchObject({ result: 'repeated' });
        await run.answer({ call_id: 'call_b', output: '2' });
        expect((await run.result()).status).toBe('completed');
        expect(run.asked.tools).toHaveLength(1);
        expect(run.asked.waiting).toHaveLength(1);
        expect(run.asked.ends).toHaveLength(1);
        expect(run.asked.submits.map(({ outputs }) => outputs.map(({ output }) => output))).toEqual([
          ['1', '2', 'done call_c'],
        ]);
      },
    );
  });

  test('between rounds loses nothing: every round is submitted once', async () => {
    const rounds = Array.from({ length: 12 }, (_, round) => [automatic(`call_${round}`)]);
    await withRun(live, { rounds }, { settings: { continueAsNewAfterEvents: 30 } }, async (run) => {
      const result = await run.result();
      expect(result).toMatchObject({ status: 'completed', rounds: 12 });
      expect(result.calls.map(({ callId }) => callId)).toEqual(rounds.flat().map(({ callId }) => callId));
      expect(run.asked.submits.map(({ round }) => round)).toEqual(rounds.map((_, index) => index + 1));
      expect(run.asked.create).toBe(1);
      expect((await run.events()).length).toBeLessThan(60);
      const description = await live.client.workflow.getHandle(run.runId).describe();
      expect(description.runId).not.toBe(run.handle.firstExecutionRunId);
    });
  });

  test('a cancel after it still closes the run', async () => {
    const settings = { continueAsNewAfterEvents: 20 };
    await withRun(live, { rounds: [[external('call_a')]] }, { settings }, async (run) => {
      await run.until((now) => now.status === 'requires_action');
      for (let count = 0; count < 4; count += 1) {
        await run.handle.signal(ANSWER, 'nonsense').catch(() => undefined);
        await run.until((now) => now.unusable.count > Math.min(count, 1));
      }
      const handle = live.client.workflow.getHandle(run.runId);
      await handle.cancel();
      await expect(run.result()).rejects.toThrow('Workflow execution cancelled');
      expect((await handle.describe()).status.name).toBe('CANCELLED');
      expect(run.asked.closes).toHaveLength(1);
    });
  });
});

describe('with a cache of nothing, so that every task replays from the start', () => {
  test('a run of three rounds with people, tools and retries goes the same way', async () => {
    let attempts = 0;
    const script = {
      rounds: [
        [automatic('call_a'), external('call_b'), automatic('call_c')],
        [external('call_d')],
        [automatic('call_e'), automatic('call_f')],
      ],
      tool: async (call: { callId: string }) => {
        attempts += 1;
        if (call.callId === 'call_c' && attempts < 4) throw new Error('once more');
        return { output: call.callId, ok: true };
      },
    };
    await withRun(
      live,
      script,
      { searchAttributes: true, hooks: { onWaiting: true, onEnd: true } },
      async (run) => {
        await run.until((now) => now.calls.some((call) => call.state === 'waiting'));
        await run.handle.signal(ANSWER, { call_id: 'call_b', output: 'b' });
        await run.until((now) => now.round === 2 && now.calls.some((call) => call.state === 'waiting'));
        await run.answer({ call_id: 'call_d', output: 'd' });
        expect((await run.result()).status).toBe('completed');
        expect(run.asked.submits.map(({ outputs }) => outputs.map(({ output }) => output))).toEqual([
          ['call_a', 'b', 'call_c'],
          ['d'],
          ['call_e', 'call_f'],
        ]);
      },
      { maxCachedWorkflows: 0, maxConcurrentWorkflowTaskExecutions: 2 },
    );
  });
});
