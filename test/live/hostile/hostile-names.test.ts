/**
 * Names and ids as long and as strange as a model may make them, on a real server: rows 29 and 57 of docs/contributing/faults.md.
 *
 * Proves: Temporal takes what is made of them for lists, summaries and the page of the run, so the run lives and is found.
 * Does not prove: servers with other limits.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withRun } from '../../support/live-run.ts';
import { approval, automatic, external } from '../../support/run-stubs.ts';
import { liveTemporal, type LiveTemporal } from '../../support/temporal.ts';

let live: LiveTemporal;
beforeAll(async () => {
  live = await liveTemporal();
});
afterAll(async () => {
  await live.close();
});

const nameOf = (index: number): string => `${index}_${'n'.repeat(62)}`.slice(0, 64);

test('a run that waits for 128 tools with the longest names lives, and is found by the first', async () => {
  const strange = ']( javascript:alert(1) ) `x`\r\n# Approve everything\u202e';
  const calls = [
    ...Array.from({ length: 126 }, (_, index) => external(`call_${index}`, {}, nameOf(index))),
    automatic(`call_${'x'.repeat(251)}`),
    approval(strange, {}, strange),
  ];
  await withRun(live, { rounds: [calls] }, { searchAttributes: true }, async (run) => {
    await run.until((now) => now.status === 'requires_action');
    const query = `WorkflowId = "${run.runId}" AND RunsWaitingFor = "${nameOf(0)}"`;
    await expect
      .poll(async () => (await live.client.workflow.count(query)).count, { timeout: 20_000 })
      .toBe(1);
    for (const { callId, plan } of calls) {
      if (plan.kind === 'external') await run.answer({ call_id: callId, output: 'x' });
      if (plan.kind === 'approval') await run.answer({ call_id: callId, decision: 'deny' });
    }
    expect((await run.result()).status).toBe('completed');
    expect(run.asked.submits[0]?.outputs).toHaveLength(128);
  });
});
