import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure, RawValue } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ANSWER, FAILURES, followUpWorkflowId } from '../../../protocol/temporal/names.ts';
import type { FollowUpResult } from '../../../protocol/temporal/messages.ts';
import { deferred } from '../../support/deferred.ts';
import { approval, automatic, external } from '../../support/run-stubs.ts';
import type { Script } from '../../support/run-stubs.ts';
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

const refusal = async (
  attempt: Promise<unknown>,
): Promise<{ type: string; message: string; details: unknown }> => {
  const error = await attempt.then(
    () => new Error('The update was accepted.'),
    (reason: unknown) => reason,
  );
  const cause = error instanceof WorkflowUpdateFailedError ? error.cause : error;
  if (!(cause instanceof ApplicationFailure)) throw error;
  return { type: cause.type ?? '', message: cause.message, details: cause.details?.[0] };
};

describe('updates', () => {
  test('are refused with the reason, leave no event, and never stop the run', async () => {
    await withRun(
      live,
      { rounds: [[external('call_a'), approval('call_b'), automatic('call_c')]] },
      {},
      async (run) => {
        await run.until((now) => now.calls.some((call) => call.state === 'done'));
        const before = (await run.events()).length;
        const cases: [unknown, string, RegExp][] = [
          [{ call_id: 'call_x', output: 'x' }, FAILURES.refusedUnknownCall, /"call_x".*"call_a", "call_b"/],
          [{ call_id: 'call_a', decision: 'approve' }, FAILURES.refusedWrongKind, /waits for an output/],
          [{ call_id: 'call_b', output: 'yes' }, FAILURES.refusedWrongKind, /waits for an approval/],
          [{ call_id: 'call_c', output: 'x' }, FAILURES.refusedWrongKind, /runs on the worker/],
          [{ call_id: 'call_a' }, FAILURES.refusedMalformed, /needs output or decision/],
          ['yes', FAILURES.refusedMalformed, /got "yes"/],
          [[1], FAILURES.refusedMalformed, /got \[1\]/],
          [
            { call_id: 'call_a', output: 'x', run_id: 'run_other' },
            FAILURES.refusedUnknownCall,
            /"run_other"/,
          ],
          [
            { call_id: 'call_b', decision: 'approve', arguments: '[1]' },
            FAILURES.refusedMalformed,
            /JSON object/,
          ],
          [{ call_id: 'call_a', output: 'x'.repeat(512_000) }, FAILURES.refusedMalformed, /512000 bytes/],
        ];
        for (const [payload, type, message] of cases) {
          const failure = await refusal(run.answer(payload));
          expect(failure.type).toBe(type);
          expect(failure.message).toMatch(message);
        }
        expect((await run.events()).length).toBe(before);

        const first = await run.answer({ call_id: 'call_a', output: { colour: 'blue' }, by: 'ada' });
        expect(first).toMatchObject({ result: 'accepted', notes: ['serialised'], waiting: ['call_b'] });
        expect(await run.answer({ call_id: 'call_a', output: '{"colour":"blue"}', by: 'bob' })).toMatchObject(
          {
            result: 'repeated',
          },
        );
        expect((await refusal(run.answer({ call_id: 'call_a', output: 'red' }))).type).toBe(
          FAILURES.refusedConflict,
        );
        await run.answer('{"call_id": "call_b", "decision": "approve", "arguments": "{\\"q\\": 2}"}');
        expect((await run.result()).status).toBe('completed');
        expect(run.asked.tools.map(({ callId, arguments: args }) => [callId, args])).toEqual([
          ['call_c', '{"q":1}'],
          ['call_b', '{"q":2}'],
        ]);
        expect(run.asked.submits[0]?.outputs.map(({ output }) => output)).toEqual([
          '{"colour":"blue"}',
          'done call_b',
          'done call_c',
        ]);
      },
    );
  });

  test('submitToolOutputs covers all open external calls; a repeat is acknowledged after the run has moved on', async () => {
    const rounds = [[external('call_a'), external('call_b')], [external('call_c')]];
    await withRun(live, { rounds }, { backend: 'chat' }, async (run) => {
      await run.until((now) => now.status === 'requires_action');
      const part = await refusal(run.submit({ tool_outputs: [{ tool_call_id: 'call_a', output: '1' }] }));
      expect(part.type).toBe(FAILURES.refusedCallIds);
      expect(part.details).toEqual({ expected: ['call_a', 'call_b'], got: ['call_a'] });

      await run.answer({ call_id: 'call_a', output: '1' });
      await run.until(() => run.asked.recorded.length === 1);
      const both = {
        tool_outputs: [
          { tool_call_id: 'call_a', output: '1' },
          { tool_call_id: 'call_b', output: '2' },
        ],
      };
      const other = await refusal(
        run.submit({
          tool_outputs: [
            { tool_call_id: 'call_a', output: 'other' },
            { tool_call_id: 'call_b', output: '2' },
          ],
        }),
      );
      expect(other.type).toBe(FAILURES.refusedConflict);
      expect(await run.submit(both)).toEqual({ run_id: run.runId, round: 1, result: 'accepted' });
      await run.until((now) => now.round === 2 && now.status === 'requires_action');
      expect(await run.submit(both)).toEqual({ run_id: run.runId, round: 1, result: 'repeated' });
      await run.submit({ tool_outputs: [{ tool_call_id: 'call_c', output: '3' }] });
      expect((await run.result()).status).toBe('completed');
      expect(run.asked.submits.map(({ outputs }) => outputs)).toEqual([
        both.tool_outputs,
        [{ tool_call_id: 'call_c', output: '3' }],
      ]);
    });
  });
});

describe('signals', () => {
  test('that are no answer are counted and shown; the run goes on and takes a good one', async () => {
    await withRun(live, { rounds: [[external('call_a')]] }, {}, async (run) => {
      await run.until((now) => now.status === 'requires_action');
      const bytes = new TextEncoder().encode('not json');
      const encoded = (encoding: string): RawValue =>
        RawValue.fromPayload({
          metadata: {
            encoding: new TextEncoder().encode(encoding),
            messageType: new TextEncoder().encode('x.Y'),
          },
          data: bytes,
        });
      await run.handle.signal(ANSWER, encoded('json/protobuf'));
      await run.handle.signal(ANSWER, encoded('json/plain'));
      await run.handle.signal(ANSWER, encoded('binary/who-knows'));
      await run.handle.signal(ANSWER);
      await run.handle.signal(ANSWER, 'yes');
      await run.handle.signal(ANSWER, ['call_a', 'yes']);
      await run.handle.signal(ANSWER, null);
      await run.handle.signal(ANSWER, { call_id: 'call_x', output: 'y', by: 'eve' });
      const now = await run.until((snapshot) => snapshot.unusable.count === 8);
      expect(now.unusable.latest.map(({ reason }) => reason)).toEqual([
        ...Array.from({ length: 7 }, () => 'malformed'),
        'unknown_call',
      ]);
      const metadata = await run.handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
      expect(metadata.currentDetails).toContain('8 signals could not be used');
      expect(metadata.currentDetails).toContain('{\n  "call_id": "call_a",\n  "output": "your answer"');

      await run.handle.signal(ANSWER, '{"call_id": "call_a", "output": "green"}');
      const result = await run.result();
      expect(result.status).toBe('completed');
      expect(result.unusedAnswers).toHaveLength(8);
      expect(run.asked.submits[0]?.outputs).toEqual([{ tool_call_id: 'call_a', output: 'green' }]);
    });
  });

  test('deny becomes an output that tells the model so', async () => {
    await withRun(live, { rounds: [[approval('call_a')]] }, {}, async (run) => {
      await run.until((now) => now.calls.length === 1);
      await run.handle.signal(ANSWER, { call_id: 'call_a', decision: 'deny', reason: 'too dear', by: 'ada' });
      const result = await run.result();
      expect(result.calls).toEqual([
        {
          callId: 'call_a',
          name: 'pay',
          round: 1,
          kind: 'approval',
          ok: false,
          notes: ['denied'],
          by: 'ada',
        },
      ]);
      expect(run.asked.tools).toEqual([]);
      expect(run.asked.submits[0]?.outputs[0]?.output).toBe(
        '{"error":{"type":"denied","message":"A person denied this call: too dear"}}',
      );
    });
  });
});

describe('an answer that comes after the placeholder, while the run goes on', () => {
  test('is accepted and handed over to the workflow that starts the linked run', async () => {
    const submitted = deferred();
    const script: Script = {
      rounds: [[external('call_a', { onDeadline: 'follow-up', answerWithinMs: 200 })]],
      submit: async () => await submitted.promise,
    };
    await withRun(live, script, { searchAttributes: true }, async (run) => {
      await run.until((now) => now.phase === 'submitting');
      expect(await run.answer({ call_id: 'call_a', output: 'blue' })).toMatchObject({ result: 'accepted' });
      expect(await run.answer({ call_id: 'call_a', output: 'blue' })).toMatchObject({ result: 'repeated' });
      expect((await refusal(run.answer({ call_id: 'call_a', output: 'red' }))).type).toBe(
        FAILURES.refusedConflict,
      );
      submitted.resolve();
      const result = await run.result();
      expect(result).toMatchObject({
        status: 'completed',
        unusedAnswers: [],
        followUp: followUpWorkflowId(run.runId),
      });
      const later = live.client.workflow.getHandle(followUpWorkflowId(run.runId));
      expect(((await later.result()) as FollowUpResult).unanswered).toEqual([]);
      expect(run.asked.linked.map(({ outcome }) => outcome.output)).toEqual(['blue']);
    });
  });
});
