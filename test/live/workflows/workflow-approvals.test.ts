/** Approvals with digests and with a person's own arguments, on a real server: updates, signals, hooks, late ones. */
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ANSWER, FAILURES, followUpWorkflowId } from '../../../protocol/temporal/names.ts';
import type {
  CallOutcome,
  PlannedCall,
  ToolActivityInput,
  WaitPolicy,
} from '../../../protocol/tool-calls.ts';
import { approval } from '../../support/run-stubs.ts';
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

const DIGEST = 'ab'.repeat(16);
const gated = (wait: Partial<WaitPolicy> = {}): PlannedCall => {
  const { plan, ...call } = approval('call_a', wait);
  if (plan.kind !== 'approval') throw new Error('no approval');
  const schema = {
    type: 'object',
    properties: { q: { type: 'number', minimum: 0 } },
    required: ['q'],
    additionalProperties: false,
  };
  return { ...call, plan: { ...plan, schema }, argumentsDigest: DIGEST, digestRequired: true };
};

/** A tool whose own check takes even numbers only; for a person's arguments it says so to people. */
const evenOnly = async ({ arguments: json, edited }: ToolActivityInput): Promise<CallOutcome> => {
  const { q } = JSON.parse(json) as { q: number };
  if (q % 2 === 0 || edited !== true) return { output: `paid ${q}`, ok: true };
  return { output: 'error', ok: false, notes: ['invalid_arguments'], refusedEdit: `q: ${q} is odd` };
};

const failureOf = async (attempt: Promise<unknown>): Promise<ApplicationFailure> => {
  const error: unknown = await attempt.catch((reason: unknown) => reason);
  const cause = error instanceof WorkflowUpdateFailedError ? error.cause : error;
  if (!(cause instanceof ApplicationFailure)) throw new Error('The update was accepted.', { cause: error });
  return cause;
};
const approve = (more: object = {}) => ({ call_id: 'call_a', decision: 'approve', by: 'ada', ...more });

test('decisions without the digest that they need, or with another, are refused and leave no event', async () => {
  await withRun(live, { rounds: [[gated()]] }, {}, async (run) => {
    await run.until((now) => now.calls[0]?.state === 'waiting');
    const before = (await run.events()).length;
    expect((await failureOf(run.answer(approve()))).type).toBe(FAILURES.refusedDigest);
    const other = await failureOf(run.answer(approve({ arguments_digest: 'cd'.repeat(16) })));
    expect([other.type, other.details?.[0]]).toEqual([
      FAILURES.refusedDigest,
      { expected: DIGEST, got: 'cd'.repeat(16) },
    ]);
    const wrong = await failureOf(run.answer(approve({ arguments: { q: -1 } })));
    expect([wrong.type, wrong.details?.[0]]).toEqual([
      FAILURES.refusedArguments,
      { field: 'q', problem: 'must be at least 0; got -1' },
    ]);
    const misspelled = await failureOf(run.answer(approve({ arguments: { q: 1, qq: 2 } })));
    expect(misspelled.details?.[0]).toMatchObject({ field: 'qq' });
    expect((await run.events()).length).toBe(before);

    await run.handle.signal(ANSWER, approve({ arguments: { q: -1 } }));
    const now = await run.until(({ unusable }) => unusable.count === 1);
    expect(now.unusable.latest[0]).toMatchObject({ reason: 'arguments_refused', by: 'ada' });
    expect(now.calls[0]).toMatchObject({ state: 'waiting', argumentsDigest: DIGEST });

    await run.answer(approve({ arguments_digest: DIGEST }));
    await run.result();
    expect(run.asked.tools.map(({ arguments: json, edited }) => [json, edited])).toEqual([
      ['{"q":1}', undefined],
    ]);
  });
});

test('a person’s arguments go back to the person when only the tool can refuse them', async () => {
  await withRun(
    live,
    { rounds: [[gated()]], tool: evenOnly },
    { hooks: { onWaiting: true, onEnd: false }, searchAttributes: true },
    async (run) => {
      await run.until((now) => now.calls[0]?.state === 'waiting');
      expect(await run.answer(approve({ arguments: { q: 3 } }))).toMatchObject({ result: 'accepted' });
      const again = await run.until((now) => now.calls[0]?.refusedEdit !== undefined);
      expect(again.calls[0]).toMatchObject({
        state: 'waiting',
        arguments: '{"q":1}',
        refusedEdit: { count: 1, problem: 'q: 3 is odd', by: 'ada' },
      });
      // The same words again are another attempt, not a repeat of the one that was not used.
      expect(await run.answer(approve({ arguments: { q: 3 } }))).toMatchObject({ result: 'accepted' });
      await run.until((now) => now.calls[0]?.refusedEdit?.count === 2);
      await run.answer(approve({ arguments: { q: 4 } }));
      const result = await run.result();
      expect(result).toMatchObject({
        status: 'completed',
        calls: [{ callId: 'call_a', ok: true, by: 'ada' }],
        unusedAnswers: [{ reason: 'arguments_refused' }, { reason: 'arguments_refused' }],
      });
      expect(run.asked.submits).toEqual([
        { round: 1, outputs: [{ tool_call_id: 'call_a', output: 'paid 4' }] },
      ]);
      expect(run.asked.waiting.map(({ calls }) => calls[0]?.refusedEdit?.count ?? 0)).toEqual([0, 1, 2]);
    },
  );
});

test('a person’s arguments that come late go back to the person as well', async () => {
  await withRun(
    live,
    { rounds: [[gated({ onDeadline: 'follow-up', answerWithinMs: 200 })]], tool: evenOnly },
    {},
    async (run) => {
      await run.result();
      const later = live.client.workflow.getHandle(followUpWorkflowId(run.runId));
      const say = (payload: object) => later.executeUpdate(ANSWER, { args: [payload] });
      expect((await failureOf(say(approve({ arguments: { q: -1 } })))).type).toBe(FAILURES.refusedArguments);
      await say(approve({ arguments: { q: 3 } }));
      // The update is accepted as soon as the tool has refused the arguments of the one before.
      const retry = async (): Promise<unknown> =>
        say(approve({ arguments: { q: 4 } })).catch(async (error: unknown) => {
          if ((await failureOf(Promise.reject(error))).type !== FAILURES.refusedConflict) throw error;
          return await retry();
        });
      await retry();
      expect(await later.result()).toMatchObject({ unanswered: [], linkedRuns: [expect.any(String)] });
      expect(run.asked.linked.map(({ outcome }) => outcome)).toEqual([{ output: 'paid 4', ok: true }]);
      expect(run.asked.tools.map(({ arguments: json }) => json)).toEqual(['{"q":3}', '{"q":4}']);
    },
  );
});
