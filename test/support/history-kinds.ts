/**
 * Every kind of run whose history is kept, each played on a real server.
 *
 * Rule: short in real time, and the same each time as far as the workflow can see. Kinds are added, never changed: files
 * are named after them. The recorder imports it, and the test that demands a file for every kind.
 */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { Client } from '@temporalio/client';
import { ANSWER, FAILURES, followUpWorkflowId } from '../../protocol/temporal/names.ts';
import type { CallOutcome, PlannedCall, ToolActivityInput } from '../../protocol/tool-calls.ts';
import type { RunInput } from '../../protocol/temporal/messages.ts';
import { deferred } from './deferred.ts';
import type { LiveRun } from './run-on-server.ts';
import { POLICY, WAIT, approval, automatic, external, votable } from './run-stubs.ts';
import type { Script } from './run-stubs.ts';

interface Kind {
  script(): Script;
  input?(): Partial<RunInput>;
  /** Plays the run to its end. */
  play(run: LiveRun, client: Client): Promise<unknown>;
}

const RUN = { backendRunId: 'run_backend', threadId: 'thread_1' };
const toEnd = (run: LiveRun): Promise<unknown> => run.result();
const toCancel = async (run: LiveRun): Promise<void> => {
  await run.handle.cancel();
  await run.result().catch(() => undefined);
};
const waits = (run: LiveRun): Promise<unknown> =>
  run.until((now) => now.calls.some((call) => call.state === 'waiting') && now.phase === 'calling');

/** Waits for the attempt's cancellation, with heartbeats that let it hear of it. */
const untilCancelled = async (): Promise<void> => {
  const beat = setInterval(() => Context.current().heartbeat(), 100);
  try {
    await Context.current().cancelled;
  } finally {
    clearInterval(beat);
  }
};

/** A tool that never answers. */
const untilCancelledThenNothing = async (): Promise<CallOutcome> => {
  await untilCancelled();
  return { output: '', ok: true };
};

const DIGEST = 'ab'.repeat(32);
/** A call with all that a plan may carry for an approval. */
const GATED: PlannedCall = {
  callId: 'call_a',
  name: 'pay',
  arguments: '{"q":1}',
  plan: {
    kind: 'approval',
    policy: POLICY,
    wait: WAIT,
    schema: { type: 'object', properties: { q: { type: 'number' } }, additionalProperties: false },
  },
  argumentsDigest: DIGEST,
  digestRequired: true,
};
const refusesEdits = async ({ edited }: ToolActivityInput): Promise<CallOutcome> =>
  edited === true
    ? { output: 'error', ok: false, notes: ['invalid_arguments'], refusedEdit: 'q: not today' }
    : { output: 'done', ok: true };

const SEARCHABLE = (): Partial<RunInput> => ({ searchAttributes: true });
/** An expiry that comes while one looks, but not before the worker is up. */
const LIFE_MS = 4000;
const soon = (): number => Date.now() + LIFE_MS;
const native = (): Partial<RunInput> => {
  const now = Date.now();
  return { backend: 'chat', createdAt: now, expiresAt: now + LIFE_MS, searchAttributes: true };
};
const failure = (type: string): ApplicationFailure =>
  ApplicationFailure.create({ type, message: 'as the recorder wishes', nonRetryable: true });

const votes = (decision: 'approve' | 'deny', by: string, more: object = {}): object => ({
  call_id: 'call_a',
  decision,
  by,
  ...more,
});

/** Holds the submit of one kind until its late answer has come. */
const answeredLate = deferred();

export const KINDS: Record<string, Kind> = {
  'no-calls': { script: () => ({}), play: toEnd },
  'one-call': { script: () => ({ rounds: [[automatic('call_a')]] }), play: toEnd },
  'parallel-calls': {
    script: () => ({ rounds: [['a', 'b', 'c', 'd', 'e'].map((id) => automatic(`call_${id}`))] }),
    play: toEnd,
  },
  retries: {
    script: () => ({
      rounds: [[automatic('call_a'), automatic('call_b', { maximumAttempts: 2 })]],
      tool: async ({ callId }) => {
        if (callId === 'call_b' || Context.current().info.attempt < 3) throw new Error('not yet');
        return { output: 'at last', ok: true };
      },
    }),
    play: toEnd,
  },
  'lost-attempt': {
    script: () => ({
      rounds: [[automatic('call_a', { atMostOnce: true, maximumAttempts: 1, startToCloseMs: 300 })]],
      tool: untilCancelledThenNothing,
    }),
    play: toEnd,
  },
  rounds: {
    script: () => ({ rounds: [1, 2, 3].map((round) => [automatic(`call_${round}`)]) }),
    play: toEnd,
  },
  'unknown-tool': {
    script: () => ({
      rounds: [
        [
          automatic('call_a'),
          {
            callId: 'call_b',
            name: 'nothing',
            arguments: '{}',
            plan: { kind: 'refused', output: 'no such tool' },
          },
        ],
      ],
    }),
    play: toEnd,
  },
  'new-thread': {
    script: () => ({ rounds: [[external('call_a')]] }),
    input: () => ({ threadId: null, searchAttributes: true }),
    play: async (run) => {
      await waits(run);
      await run.answer({ call_id: 'call_a', output: 'blue' });
      await run.result();
    },
  },
  'answer-by-signal': {
    script: () => ({ rounds: [[external('call_a'), automatic('call_b')]] }),
    input: SEARCHABLE,
    play: async (run) => {
      await waits(run);
      await run.handle.signal(ANSWER, { call_id: 'call_a', output: 'blue', by: 'ada' });
      await run.result();
    },
  },
  'answer-by-update': {
    script: () => ({ rounds: [[external('call_a'), automatic('call_b')]] }),
    input: SEARCHABLE,
    play: async (run) => {
      await waits(run);
      await run.answer({ call_id: 'call_a', output: { colour: 'blue' }, by: 'ada' });
      await run.result();
    },
  },
  'unusable-signals': {
    script: () => ({ rounds: [[external('call_a')]] }),
    input: SEARCHABLE,
    play: async (run) => {
      await waits(run);
      await run.handle.signal(ANSWER);
      await run.handle.signal(ANSWER, 'yes');
      await run.handle.signal(ANSWER, { call_id: 'call_z', output: 'x' });
      await run.handle.signal(ANSWER, { call_id: 'call_a', output: 'blue' });
      await run.result();
    },
  },
  'approve-edited': {
    script: () => ({ rounds: [[approval('call_a')]] }),
    input: SEARCHABLE,
    play: async (run) => {
      await waits(run);
      await run.answer({ call_id: 'call_a', decision: 'approve', arguments: { q: 2 }, by: 'ada' });
      await run.result();
    },
  },
  'approve-by-digest': {
    script: () => ({ rounds: [[GATED]] }),
    input: SEARCHABLE,
    play: async (run) => {
      await waits(run);
      await run.handle.signal(ANSWER, { call_id: 'call_a', decision: 'approve' });
      await run.until((now) => now.unusable.count === 1);
      await run.answer({ call_id: 'call_a', decision: 'approve', arguments_digest: DIGEST, by: 'ada' });
      await run.result();
    },
  },
  'approve-edited-refused-by-tool': {
    script: () => ({ rounds: [[GATED, automatic('call_b')]], tool: refusesEdits }),
    input: () => ({ hooks: { onWaiting: true, onEnd: false }, searchAttributes: true }),
    play: async (run) => {
      await waits(run);
      await run.answer({ call_id: 'call_a', decision: 'approve', arguments: { q: 2 }, by: 'ada' });
      await run.until((now) => now.calls.some(({ refusedEdit }) => refusedEdit !== undefined));
      await run.answer({ call_id: 'call_a', decision: 'approve', arguments_digest: DIGEST, by: 'ada' });
      await run.result();
    },
  },
  deny: {
    script: () => ({ rounds: [[approval('call_a'), automatic('call_b')]] }),
    input: SEARCHABLE,
    play: async (run) => {
      await waits(run);
      await run.answer({ call_id: 'call_a', decision: 'deny', reason: 'too dear', by: 'ada' });
      await run.result();
    },
  },
  'decide-natively': {
    script: () => ({ rounds: [[approval('call_a'), approval('call_b'), external('call_c')]] }),
    input: () => ({ backend: 'chat', searchAttributes: true }),
    play: async (run) => {
      await waits(run);
      await run.answer({ call_id: 'call_a', decision: 'approve', by: 'ada' });
      await run.until(() => run.asked.decisions.length === 1);
      await run.handle.signal(ANSWER, { call_id: 'call_b', decision: 'deny', by: 'bob' });
      await run.until(() => run.asked.decisions.length === 2);
      await run.answer({ call_id: 'call_c', output: 'blue' });
      await run.result();
    },
  },
  'decide-natively-at-last': {
    script: () => ({ rounds: [[approval('call_a')]] }),
    input: () => ({ backend: 'chat', searchAttributes: true }),
    play: async (run) => {
      await waits(run);
      await run.answer({ call_id: 'call_a', decision: 'deny', by: 'ada' });
      await run.result();
    },
  },
  'decide-late-natively': {
    script: () => ({
      rounds: [[approval('call_a', { onDeadline: 'follow-up', answerWithinMs: 300 })]],
    }),
    input: () => ({ backend: 'chat', searchAttributes: true }),
    play: async (run, client) => {
      await run.result();
      const later = client.workflow.getHandle(followUpWorkflowId(run.runId));
      await later.executeUpdate(ANSWER, { args: [{ call_id: 'call_a', decision: 'approve', by: 'ada' }] });
      await later.result();
    },
  },
  'submit-by-caller': {
    script: () => ({
      rounds: [[external('call_a'), external('call_b')], [external('call_c')]],
      expiresAt: null,
    }),
    input: () => ({ backend: 'chat', searchAttributes: true }),
    play: async (run) => {
      await waits(run);
      await run.answer({ call_id: 'call_a', output: '1' });
      await run.submit({
        tool_outputs: [
          { tool_call_id: 'call_a', output: '1' },
          { tool_call_id: 'call_b', output: '2' },
        ],
      });
      await run.until((now) => now.round === 2 && now.phase === 'calling');
      await run.submit({ tool_outputs: [{ tool_call_id: 'call_c', output: '3' }] });
      await run.result();
    },
  },
  hooks: {
    script: () => ({ rounds: [[external('call_a')]] }),
    input: () => ({ hooks: { onWaiting: true, onEnd: true }, searchAttributes: true }),
    play: async (run) => {
      await waits(run);
      await run.answer({ call_id: 'call_a', output: 'blue' });
      await run.result();
    },
  },
  'deadline-fail': {
    script: () => ({
      rounds: [[external('call_a'), external('call_b')]],
      expiresAt: soon(),
      follow: async () => ({ status: 'expired', run: RUN }),
    }),
    input: SEARCHABLE,
    play: async (run) => {
      await waits(run);
      await run.answer({ call_id: 'call_a', output: 'in vain' });
      await run.result();
    },
  },
  'deadline-not-kept': {
    script: () => {
      const expiresAt = soon();
      return {
        rounds: [[external('call_a')]],
        expiresAt,
        follow: async () => ({
          status: 'requires_action',
          run: RUN,
          calls: [external('call_a')],
          expiresAt,
          createdAt: expiresAt - LIFE_MS,
        }),
      };
    },
    input: SEARCHABLE,
    play: async (run) => {
      await run.until(() => run.asked.follows === 1);
      await waits(run);
      await run.answer({ call_id: 'call_a', output: 'late, and taken' });
      await run.result();
    },
  },
  'deadline-answered-elsewhere': {
    script: () => ({
      rounds: [[external('call_a')], []],
      expiresAt: soon(),
      follow: async () => ({
        status: 'requires_action',
        run: RUN,
        calls: [automatic('call_b')],
        expiresAt: null,
        createdAt: Date.now(),
      }),
      submit: async () => ({ status: 'completed', run: RUN }),
    }),
    input: SEARCHABLE,
    play: toEnd,
  },
  'deadline-expire': {
    script: () => ({ rounds: [[external('call_a')]], expiresAt: soon() }),
    input: native,
    play: toEnd,
  },
  'expiry-in-a-turn': {
    script: () => ({ create: untilCancelled }),
    input: () => ({ ...native(), settings: { heartbeatMs: 1000 } }),
    play: toEnd,
  },
  'expiry-with-no-time-for-another-attempt': {
    script: () => ({
      rounds: [[automatic('call_a')]],
      expiresAt: soon(),
      submit: async () => {
        throw ApplicationFailure.create({
          type: FAILURES.backendUnavailable,
          message: 'as the recorder wishes',
          nextRetryDelay: '1 minute',
        });
      },
    }),
    input: native,
    play: toEnd,
  },
  'expiry-of-a-run-that-was-prolonged': {
    script: () => {
      const later = soon() + 4 * LIFE_MS;
      return {
        rounds: [[external('call_a')]],
        create: untilCancelled,
        close: async () => ({
          status: 'requires_action',
          run: RUN,
          calls: [external('call_a')],
          expiresAt: later,
          createdAt: later - 5 * LIFE_MS,
        }),
        submit: async () => ({ status: 'completed', run: RUN }),
      };
    },
    input: () => ({ ...native(), settings: { heartbeatMs: 1000 } }),
    play: async (run) => {
      await waits(run);
      await run.answer({ call_id: 'call_a', output: 'blue' });
      await run.result();
    },
  },
  'deadline-placeholder': {
    script: () => ({
      rounds: [[external('call_a', { onDeadline: 'placeholder', answerWithinMs: 300 }), automatic('call_b')]],
    }),
    input: SEARCHABLE,
    play: toEnd,
  },
  'deadline-follow-up': {
    script: () => ({
      rounds: [
        [
          external('call_a', { onDeadline: 'follow-up', answerWithinMs: 300 }),
          approval('call_b', { onDeadline: 'follow-up', answerWithinMs: 300 }),
        ],
      ],
    }),
    input: SEARCHABLE,
    play: async (run, client) => {
      await run.result();
      const later = client.workflow.getHandle(followUpWorkflowId(run.runId));
      await later.executeUpdate(ANSWER, { args: [{ call_id: 'call_a', output: 'blue' }] });
      await later.signal(ANSWER, 'nonsense');
      await later.signal(ANSWER, { call_id: 'call_b', decision: 'approve' });
      await later.result();
    },
  },
  'deadline-follow-up-edited-refused-by-tool': {
    script: () => {
      const { plan, ...call } = GATED;
      if (plan.kind !== 'approval') throw new Error('no approval');
      const wait = { onDeadline: 'follow-up', answerWithinMs: 300 } as const;
      return { rounds: [[{ ...call, plan: { ...plan, wait } }]], tool: refusesEdits };
    },
    input: SEARCHABLE,
    play: async (run, client) => {
      await run.result();
      const later = client.workflow.getHandle(followUpWorkflowId(run.runId));
      await later.executeUpdate(ANSWER, {
        args: [{ call_id: 'call_a', decision: 'approve', arguments: { q: 2 } }],
      });
      const approved = { call_id: 'call_a', decision: 'approve', arguments_digest: DIGEST };
      // Refused as a conflict until the tool has refused the arguments.
      const approve = (): Promise<unknown> =>
        later.executeUpdate(ANSWER, { args: [approved] }).catch(approve);
      await approve();
      await later.result();
    },
  },
  'deadline-follow-up-meanwhile': {
    script: () => ({
      rounds: [[external('call_a', { onDeadline: 'follow-up', answerWithinMs: 300 })]],
      submit: async () => await answeredLate.promise,
    }),
    input: SEARCHABLE,
    play: async (run, client) => {
      await run.until((now) => now.phase === 'submitting');
      await run.answer({ call_id: 'call_a', output: 'blue' });
      answeredLate.resolve();
      await run.result();
      await client.workflow.getHandle(followUpWorkflowId(run.runId)).result();
    },
  },
  'cancel-while-creating': {
    script: () => ({ create: untilCancelled }),
    input: () => ({ settings: { heartbeatMs: 1000 } }),
    play: async (run) => {
      await run.until(() => run.asked.create === 1);
      await toCancel(run);
    },
  },
  'cancel-while-creating-natively': {
    script: () => ({ create: untilCancelled }),
    input: () => ({ backend: 'chat', settings: { heartbeatMs: 1000 } }),
    play: async (run) => {
      await run.until(() => run.asked.create === 1);
      await toCancel(run);
    },
  },
  'cancel-while-tools-run': {
    script: () => ({
      rounds: [[automatic('call_a', { heartbeatMs: 1000 }), automatic('call_b', { heartbeatMs: 1000 })]],
      tool: untilCancelledThenNothing,
    }),
    play: async (run) => {
      await run.until(() => run.asked.tools.length === 2);
      await toCancel(run);
    },
  },
  'cancel-while-waiting': {
    script: () => ({ rounds: [[external('call_a'), external('call_b')]] }),
    input: SEARCHABLE,
    play: async (run) => {
      await waits(run);
      await run.answer({ call_id: 'call_a', output: 'in vain' });
      await toCancel(run);
    },
  },
  'cancel-while-submitting': {
    script: () => ({ rounds: [[automatic('call_a')]], submit: untilCancelled }),
    input: () => ({ settings: { heartbeatMs: 1000 } }),
    play: async (run) => {
      await run.until(() => run.asked.submits.length === 1);
      await toCancel(run);
    },
  },
  'cancel-after-the-end': {
    script: () => ({
      rounds: [[external('call_a')]],
      close: async () => ({ status: 'completed', run: RUN }),
    }),
    input: SEARCHABLE,
    play: async (run) => {
      await waits(run);
      await toCancel(run);
    },
  },
  'create-refused': {
    script: () => ({
      create: async () => {
        throw failure(FAILURES.backendNotFound);
      },
    }),
    play: toEnd,
  },
  'create-unavailable': {
    script: () => ({
      create: async () => {
        throw failure(FAILURES.backendUnavailable);
      },
    }),
    play: toEnd,
  },
  'submit-conflict': {
    script: () => ({
      rounds: [[automatic('call_a')]],
      submit: async () => {
        throw failure(FAILURES.backendConflict);
      },
    }),
    play: toEnd,
  },
  'over-budget': {
    script: () => ({ rounds: [[automatic('call_a')], [automatic('call_b')]] }),
    input: () => ({ settings: { maxRounds: 1 } }),
    play: toEnd,
  },
  'votes-agree-on-an-edit': {
    script: () => ({ rounds: [[votable('call_a'), automatic('call_b')]] }),
    input: () => ({ backend: 'chat', searchAttributes: true }),
    play: async (run) => {
      await waits(run);
      await run.answer(votes('approve', 'ada'));
      await run.answer(votes('approve', 'bob', { arguments: { q: 2 } }));
      await run.handle.signal(ANSWER, votes('approve', 'ada', { arguments: '{"q":2}' }));
      await run.result();
    },
  },
  'votes-deny-by-majority': {
    script: () => ({ rounds: [[votable('call_a')]] }),
    input: () => ({ backend: 'chat', searchAttributes: true }),
    play: async (run) => {
      await waits(run);
      await run.answer(votes('deny', 'ada', { reason: 'too dear' }));
      await run.answer(votes('approve', 'bob'));
      await run.answer(votes('deny', 'bob', { reason: 'ada is right' }));
      await run.result();
    },
  },
  'votes-handed-over-reminded-escalated': {
    script: () => ({
      rounds: [
        [
          votable('call_a', {
            by: ['leads'],
            veto: true,
            remindAfterMs: 300,
            escalateAfterMs: 600,
            escalateTo: ['heads'],
          }),
        ],
      ],
    }),
    input: () => ({
      backend: 'chat',
      hooks: { onWaiting: true, onEnd: false },
      searchAttributes: true,
    }),
    play: async (run) => {
      await waits(run);
      await run.answer({ ...votes('approve', 'ada'), decision: 'delegate', to: { people: ['bob'] } });
      await run.until((now) => now.calls.some(({ ballot }) => ballot?.escalatedAt !== undefined));
      await run.answer(votes('approve', 'bob'));
      await run.answer(votes('approve', 'cleo'));
      await run.result();
    },
  },
  'votes-again-after-the-tool-refused': {
    script: () => ({ rounds: [[votable('call_a')]], tool: refusesEdits }),
    input: () => ({ backend: 'chat', searchAttributes: true }),
    play: async (run) => {
      await waits(run);
      await run.answer(votes('approve', 'ada', { arguments: { q: 2 } }));
      await run.answer(votes('approve', 'bob', { arguments: { q: 2 } }));
      await run.until((now) => now.calls.some(({ refusedEdit }) => refusedEdit !== undefined));
      await run.answer(votes('approve', 'ada'));
      await run.answer(votes('approve', 'bob'));
      await run.result();
    },
  },
  'votes-late': {
    script: () => ({
      rounds: [[votable('call_a', {}, { onDeadline: 'follow-up', answerWithinMs: 1_500 })]],
    }),
    input: () => ({ backend: 'chat', searchAttributes: true }),
    play: async (run, client) => {
      await waits(run);
      await run.answer(votes('approve', 'ada'));
      await run.result();
      const later = client.workflow.getHandle(followUpWorkflowId(run.runId));
      await later.executeUpdate(ANSWER, { args: [votes('deny', 'cleo')] });
      await later.executeUpdate(ANSWER, { args: [votes('approve', 'bob')] });
      await later.result();
    },
  },
  'votes-over-continue-as-new': {
    script: () => ({ rounds: [[votable('call_a', { quorum: 3 }), external('call_c')]] }),
    input: () => ({
      backend: 'chat',
      settings: { continueAsNewAfterEvents: 30 },
      searchAttributes: true,
    }),
    play: async (run, client) => {
      await waits(run);
      await run.answer(votes('approve', 'ada'));
      await run.answer(votes('deny', 'bob'));
      const latest = client.workflow.getHandle(run.runId);
      for (let count = 0; count < 6; count += 1) {
        await latest.signal(ANSWER, `nonsense ${count}`);
        await run.until((now) => now.unusable.count > count);
      }
      await run.answer(votes('approve', 'cleo'));
      await run.answer({ call_id: 'call_c', output: 'blue' });
      await run.answer(votes('approve', 'bob'));
      await run.result();
    },
  },
  'continue-as-new-in-a-wait': {
    script: () => ({ rounds: [[external('call_a'), external('call_b'), automatic('call_c')]] }),
    input: () => ({ settings: { continueAsNewAfterEvents: 30 }, searchAttributes: true }),
    play: async (run, client) => {
      await run.until((now) => now.calls.some((call) => call.state === 'done'));
      await run.answer({ call_id: 'call_a', output: '1' });
      const latest = client.workflow.getHandle(run.runId);
      for (let count = 0; count < 6; count += 1) {
        await latest.signal(ANSWER, `nonsense ${count}`);
        await run.until((now) => now.unusable.count > count);
      }
      await run.answer({ call_id: 'call_b', output: '2' });
      await run.result();
    },
  },
  'continue-as-new-between-rounds': {
    script: () => ({ rounds: [1, 2, 3, 4].map((round) => [automatic(`call_${round}`)]) }),
    input: () => ({ settings: { continueAsNewAfterEvents: 25 } }),
    play: toEnd,
  },
};
