import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ANSWER, followUpWorkflowId } from '../../../protocol/temporal/names.ts';
import type { FollowUpResult } from '../../../protocol/temporal/messages.ts';
import { approval, automatic, external } from '../../support/run-stubs.ts';
import type { Script } from '../../support/run-stubs.ts';
import { withRun } from '../../support/live-run.ts';
import { timeSkipping } from '../../support/temporal.ts';

const MINUTES = 60_000;
const RUN = { backendRunId: 'run_backend', threadId: 'thread_1' };

let env: TestWorkflowEnvironment;
beforeAll(async () => {
  env = await timeSkipping();
});
afterAll(async () => {
  await env.teardown();
});

/** Ten minutes of life from the server's present. */
const lifetime = async (): Promise<{ createdAt: number; expiresAt: number }> => {
  const createdAt = await env.currentTimeMs();
  return { createdAt, expiresAt: createdAt + 10 * MINUTES };
};

describe('when no answer comes in ten minutes', () => {
  test('policy fail asks the server, whose verdict ends the run; an answer taken too late is reported', async () => {
    const life = await lifetime();
    const script: Script = {
      rounds: [[external('call_a'), external('call_b')]],
      ...life,
      follow: async () => ({ status: 'expired', run: RUN }),
    };
    await withRun(env, script, {}, async (run) => {
      await run.until((now) => now.status === 'requires_action');
      await run.answer({ call_id: 'call_a', output: 'in vain' });
      const result = await run.result();
      expect(result).toMatchObject({ status: 'expired', rounds: 1 });
      expect(result.unusedAnswers).toMatchObject([{ callId: 'call_a', reason: 'expired' }]);
      expect(run.asked).toMatchObject({ follows: 1, submits: [], closes: [] });
      expect((await run.events()).filter((name) => name.startsWith('timer'))).toEqual([
        'timerStarted',
        'timerFired',
      ]);
      expect(await env.currentTimeMs()).toBeGreaterThanOrEqual(life.expiresAt);
    });
  });

  test('a server that keeps the run waiting past its own expiry is asked again at growing intervals', async () => {
    const life = await lifetime();
    let looks = 0;
    const times: number[] = [];
    const script: Script = {
      rounds: [[external('call_a')]],
      ...life,
      follow: async () => {
        looks += 1;
        times.push(await env.currentTimeMs());
        return looks < 5
          ? { status: 'requires_action', run: RUN, calls: [external('call_a')], ...life }
          : { status: 'expired', run: RUN };
      },
    };
    await withRun(env, script, {}, async (run) => {
      expect((await run.result()).status).toBe('expired');
      // Skipped time plus what the look itself took, which on a busy machine is more than nothing.
      const gaps = times
        .slice(1)
        .map((time, index) => Math.floor(Math.log2((time - (times[index] ?? 0)) / 1000 + 0.5)));
      expect(gaps).toEqual([2, 3, 4, 5]);
    });
  });

  test('natively the workflow closes the run at its expiry, after a wait of 24 hours too', async () => {
    const createdAt = await env.currentTimeMs();
    const expiresAt = createdAt + 24 * 60 * MINUTES;
    const script: Script = {
      rounds: [[external('call_a', { answerWithinMs: 24 * 60 * MINUTES })]],
      createdAt,
      expiresAt,
    };
    await withRun(
      env,
      script,
      { backend: 'chat', createdAt, expiresAt: createdAt + 10 * MINUTES },
      async (run) => {
        expect((await run.result()).status).toBe('expired');
        expect(run.asked.closes).toMatchObject([{ how: { kind: 'expire' } }]);
        expect(run.asked.submits).toEqual([]);
        expect(await env.currentTimeMs()).toBeGreaterThanOrEqual(expiresAt);
      },
    );
  });

  test('policy placeholder submits the given outputs in time, and an error output for the others', async () => {
    const life = await lifetime();
    let submittedAt = 0;
    const script: Script = {
      rounds: [[external('call_a', { onDeadline: 'placeholder' }), automatic('call_b')]],
      ...life,
      submit: async () => {
        submittedAt = await env.currentTimeMs();
      },
    };
    await withRun(env, script, { backend: 'chat', ...life }, async (run) => {
      const result = await run.result();
      expect(result.status).toBe('completed');
      expect(result.calls[0]).toMatchObject({ callId: 'call_a', ok: false, notes: ['placeholder'] });
      expect(run.asked.submits[0]?.outputs).toEqual([
        {
          tool_call_id: 'call_a',
          output:
            '{"error":{"type":"deadline","message":"Nobody answered in time; go on without the answer."}}',
        },
        { tool_call_id: 'call_b', output: 'done call_b' },
      ]);
      expect(submittedAt).toBeGreaterThan(life.createdAt);
      expect(submittedAt).toBeLessThan(life.expiresAt);
    });
  });

  test('one call that must fail keeps the placeholder of another from being sent', async () => {
    const life = await lifetime();
    const script: Script = {
      rounds: [[external('call_a', { onDeadline: 'placeholder' }), external('call_b')]],
      ...life,
    };
    await withRun(env, script, { backend: 'chat', ...life }, async (run) => {
      expect((await run.result()).status).toBe('expired');
      expect(run.asked.submits).toEqual([]);
    });
  });

  test('policy follow-up goes on with a placeholder; answers that come later start linked runs, one after the other', async () => {
    const life = await lifetime();
    const script: Script = {
      rounds: [
        [
          external('call_a', { onDeadline: 'follow-up' }),
          approval('call_b', { onDeadline: 'follow-up' }),
          external('call_c', { onDeadline: 'follow-up' }),
        ],
      ],
      ...life,
    };
    await withRun(env, script, {}, async (run) => {
      const result = await run.result();
      expect(result).toMatchObject({ status: 'completed', followUp: followUpWorkflowId(run.runId) });
      const later = env.client.workflow.getHandle(followUpWorkflowId(run.runId));
      expect(
        await later.executeUpdate(ANSWER, { args: [{ call_id: 'call_a', output: 'blue', by: 'ada' }] }),
      ).toMatchObject({ result: 'accepted', late: true, waiting: ['call_b', 'call_c'] });
      await later.signal(ANSWER, { call_id: 'call_b', decision: 'approve' });
      await later.signal(ANSWER, 'nonsense');
      const followUp = (await later.result()) as FollowUpResult;
      expect(followUp).toEqual({
        runId: run.runId,
        linkedRuns: [
          expect.stringMatching(/^run_[0-9a-f]{24}$/) as string,
          expect.stringMatching(/^run_[0-9a-f]{24}$/) as string,
        ],
        unanswered: ['call_c'],
      });
      expect(run.asked.linked.map(({ newRunId }) => newRunId)).toEqual(followUp.linkedRuns);
      expect(run.asked.linked[0]?.message).toContain('Answer:\nblue');
      expect(run.asked.linked[1]?.outcome).toEqual({ output: 'done call_b', ok: true });
      expect(run.asked.tools.map(({ idempotencyKey }) => idempotencyKey)).toEqual([`${run.runId}:call_b`]);
    });
  });
});
