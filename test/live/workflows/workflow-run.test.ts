import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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

const ids = (count: number, prefix: string): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}_${index}`);

describe('a run without waits', () => {
  test.each([
    [1, 1],
    [3, 1],
    [10, 1],
    [1, 3],
  ])(
    'with %i calls in each of %i rounds has exactly 11 + 6r + 3k + 3W events, and submits each round once, in order',
    async (perRound, rounds) => {
      const script = Array.from({ length: rounds }, (_, round) =>
        ids(perRound, `call_${round}`).map((id) => automatic(id)),
      );
      await withRun(live, { rounds: script }, {}, async (run) => {
        const result = await run.result();
        expect(result.status).toBe('completed');
        expect(result.rounds).toBe(rounds);
        expect(run.asked.create).toBe(1);
        expect(run.asked.submits).toEqual(
          script.map((calls, index) => ({
            round: index + 1,
            outputs: calls.map(({ callId }) => ({ tool_call_id: callId, output: `done ${callId}` })),
          })),
        );
        const events = await run.events();
        const tasks = events.filter((name) => name === 'workflowTaskCompleted').length;
        // One task starts the run, one follows each backend settlement; the rest are wakes by tool completions.
        const wakes = tasks - 1 - (1 + rounds);
        const calls = perRound * rounds;
        expect(wakes).toBeGreaterThanOrEqual(rounds);
        expect(wakes).toBeLessThanOrEqual(calls);
        expect(events).toHaveLength(11 + 6 * rounds + 3 * calls + 3 * wakes);
      });
    },
  );
});

describe('a run that waits for a person', () => {
  test('takes the answer by update and submits it with the tools, in the order of the model', async () => {
    const rounds = [[external('call_person'), automatic('call_tool')]];
    await withRun(live, { rounds }, { searchAttributes: true }, async (run) => {
      await run.until((snapshot) => snapshot.calls.some((call) => call.state === 'done'));
      const reply = await run.answer({ call_id: 'call_person', output: 'blue', by: 'ada' });
      expect(reply).toEqual({ run_id: run.runId, call_id: 'call_person', result: 'accepted', waiting: [] });
      const result = await run.result();
      expect(result.calls.map(({ callId, ok, by }) => ({ callId, ok, by }))).toEqual([
        { callId: 'call_person', ok: true, by: 'ada' },
        { callId: 'call_tool', ok: true, by: undefined },
      ]);
      expect(run.asked.submits).toEqual([
        {
          round: 1,
          outputs: [
            { tool_call_id: 'call_person', output: 'blue' },
            { tool_call_id: 'call_tool', output: 'done call_tool' },
          ],
        },
      ]);
      const events = await run.events();
      expect(events.filter((name) => name === 'upsertWorkflowSearchAttributes')).toHaveLength(2);
      expect(events.filter((name) => name.startsWith('timer'))).toEqual(['timerStarted', 'timerCanceled']);
    });
  });

  test('says in its stack trace where it waits, in few frames', async () => {
    await withRun(live, { rounds: [[external('call_person')]] }, {}, async (run) => {
      await run.until(({ status }) => status === 'requires_action');
      const trace = await run.handle.query<string>('__stack_trace');
      expect(trace).toMatch(/workflows\/run\/workflow\.ts:\d+/);
      for (const stack of trace.split('\n\n')) expect(stack.split('\n').length).toBeLessThanOrEqual(3);
      await run.answer({ call_id: 'call_person', output: 'blue' });
      await run.result();
    });
  });
});
