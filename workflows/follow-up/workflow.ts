/**
 * The workflow `followUp`: it outlives a run, waits for answers that missed their deadline, and starts a follow-up run
 * for each.
 *
 * Rule: follow-up runs start one after the other, since a thread runs one at a time. A busy thread is a retryable
 * failure of the activity, so Temporal waits. The workflow makes the new run's id, so a retried start finds the run of
 * the first attempt.
 * Exported by workflows/index.ts only.
 */
import {
  ActivityCancellationType,
  allHandlersFinished,
  condition,
  continueAsNew,
  isCancellation,
  patched,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import { idempotencyKey } from '../../protocol/tool-calls.ts';
import type { CallOutcome, ToolActivityInput } from '../../protocol/tool-calls.ts';
import { readOutcome } from '../../protocol/temporal/payloads.ts';
import type { OutcomePayload } from '../../protocol/temporal/payloads.ts';
import { sourceOf } from '../../protocol/decisions.ts';
import type { AnswerSource, Decision } from '../../protocol/decisions.ts';
import { TOOL_ACTIVITY_PREFIX } from '../../protocol/temporal/names.ts';
import type {
  AnswerPayload,
  AnswerReply,
  FollowUpInput,
  FollowUpResult,
} from '../../protocol/temporal/messages.ts';
import type { RunActivities } from '../../protocol/temporal/activities.ts';
import { toActivityFailureInfo } from '../failure.ts';
import {
  ANSWER_DESCRIPTION,
  SIGNAL_DESCRIPTION,
  answerSignal,
  answerUpdate,
  decisionsQuery,
  decodeSignalPayload,
  toUpdateRejection,
} from '../messages.ts';
import { evaluateAnswer } from '../run/evaluate-answer.ts';
import type { AnswerEvaluation } from '../run/evaluate-answer.ts';
import type { AnswerRejection } from '../run/answer-checks.ts';
import { failedOutcome } from '../run/call-state.ts';
import { decisionsOf, editedArguments, toStore } from '../run/decisions.ts';
import { signedPayload } from '../run/follow-up-input.ts';
import { SIGNAL_SOURCE, answerReply } from '../run/message-handlers.ts';
import { step } from '../run/machine.ts';
import { decisionOptions, hasWorkerBeats, toolActivityOptions } from '../run/activity-options.ts';
import type { LateCall, MachineState } from '../run/state.ts';
import {
  FOLLOW_UP_RUN_START_TO_CLOSE_MS,
  FOLLOW_UP_RUN_RETRY,
  FOLLOW_UP_RUN_SCHEDULE_TO_CLOSE_MS,
} from '../run/timeouts.ts';
import { lateDetails, lateMessage, lateOutcome, lateState, waitsAgain } from './late-answers.ts';

const activities = proxyActivities<Pick<RunActivities, 'startFollowUpRun'>>({
  scheduleToCloseTimeout: FOLLOW_UP_RUN_SCHEDULE_TO_CLOSE_MS,
  startToCloseTimeout: FOLLOW_UP_RUN_START_TO_CLOSE_MS,
  retry: FOLLOW_UP_RUN_RETRY,
  // A start that was sent may have taken effect, so a cancelled workflow waits for its outcome.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

const recorder = proxyActivities<Pick<RunActivities, 'recordDecisions'>>(decisionOptions);

/** The workflow that waits for late answers of an ended run, and starts a follow-up run for each. */
export async function followUp(input: FollowUpInput): Promise<FollowUpResult> {
  let state = lateState(input, Date.now());
  const linkedRuns = [...(input.linkedRuns ?? [])];
  const unanswered = [...(input.unanswered ?? [])];
  const handled = new Set<string>();
  let recorded = input.decisions?.length ?? 0;
  const show = (): void => setCurrentDetails(lateDetails(state, input.answerBy));
  const open = (): LateCall[] => state.late.filter((call) => call.given === undefined);
  /** Entries of ballots that decided nothing: a deciding one is recorded before it is acted on. */
  const owed = (): Decision[] =>
    decisionsOf(state)
      .slice(recorded)
      .filter((entry) => entry.undecided === true);
  const recordOwed = async (): Promise<void> => {
    for (let entries = owed(); entries.length > 0; entries = owed()) {
      recorded = decisionsOf(state).length;
      for (const entry of entries) await recordDecision(input, entry);
    }
  };
  const next = (): LateCall | undefined =>
    state.late.find((call) => call.given !== undefined && !handled.has(call.callId));

  handleMessages(
    input.runId,
    () => state,
    (payload, source) => {
      state = step(state, { type: 'answer', payload, source, at: Date.now() }).state;
      show();
    },
    open,
  );
  show();

  while (handled.size < state.late.length) {
    await recordOwed();
    const call = next();
    if (call === undefined) {
      const left = input.answerBy - Date.now();
      if (left <= 0) break;
      const isDue = (): boolean => next() !== undefined || owed().length > 0;
      await condition(() => isDue() || workflowInfo().continueAsNewSuggested, left);
      if (!isDue() && workflowInfo().continueAsNewSuggested) {
        await condition(allHandlersFinished);
        await continueAsNew<typeof followUp>({
          ...input,
          linkedRuns,
          unanswered,
          ...continuedCalls(input, state, handled),
        });
      }
      continue;
    }
    handled.add(call.callId);
    const linked = await carry(input, call);
    if (linked !== null && typeof linked === 'object') {
      handled.delete(call.callId);
      state = waitsAgain(state, call.callId, linked.refusedEdit, Date.now());
      await recordDecision(input, decisionsOf(state).at(-1));
      show();
    } else if (linked === null) unanswered.push(call.callId);
    else linkedRuns.push(linked);
  }
  await recordOwed();
  await condition(allHandlersFinished);
  unanswered.push(...open().map((call) => call.callId));
  return { runId: input.runId, linkedRuns, unanswered };
}

/** Registers the handlers of answers and of the query of decisions. `take` applies an answer, and counts a rejected signal. */
const handleMessages = (
  runId: string,
  state: () => MachineState,
  take: (payload: unknown, source: AnswerSource) => void,
  open: () => LateCall[],
): void => {
  const evaluate = (payload: unknown, source: AnswerSource): Exclude<AnswerEvaluation, AnswerRejection> => {
    const evaluation = evaluateAnswer(state(), payload, Date.now(), source);
    if (evaluation.verdict === 'refuse') throw toUpdateRejection(evaluation);
    return evaluation;
  };
  setHandler(
    answerUpdate,
    (payload, origin): AnswerReply => {
      const source = sourceOf(origin);
      const evaluation = evaluate(payload, source);
      take(payload, source);
      return answerReply(runId, evaluation, open());
    },
    {
      description: ANSWER_DESCRIPTION,
      validator: (payload, origin) => void evaluate(payload, sourceOf(origin)),
    },
  );
  setHandler(answerSignal, (raw: unknown) => take(decodeSignalPayload(raw), SIGNAL_SOURCE), {
    description: SIGNAL_DESCRIPTION,
  });
  setHandler(decisionsQuery, () => decisionsOf(state()), {
    description: 'The decisions about late calls of this workflow, oldest first.',
  });
};

/** The calls that are not handled and the decisions, for the next execution. */
const continuedCalls = (
  input: FollowUpInput,
  state: MachineState,
  handled: ReadonlySet<string>,
): Pick<FollowUpInput, 'calls' | 'decisions'> => ({
  ...(state.decisions === undefined ? {} : { decisions: decisionsOf(state) }),
  calls: input.calls
    .filter((item) => !handled.has(item.callId))
    .map((item) =>
      withGiven(
        item,
        state.late.find((late) => late.callId === item.callId),
      ),
    ),
});

const withGiven = (
  { given: _before, decision: _decided, ...call }: FollowUpInput['calls'][number],
  late: LateCall | undefined,
): FollowUpInput['calls'][number] => ({
  ...call,
  ...(late?.given === undefined ? {} : { given: signedPayload(late.given) }),
  ...(late?.given?.decision === undefined ? {} : { decision: toStore(late.given.decision) }),
  ...(late?.refusedEdit === undefined ? {} : { refusedEdit: late.refusedEdit }),
  ...(late?.ballot === undefined ? {} : { ballot: late.ballot }),
});

/**
 * Starts the follow-up run that carries one answer, and returns its id; null when the start failed for good. Returns
 * `refusedEdit` when the tool refused the arguments of an approval.
 */
const carry = async (
  input: FollowUpInput,
  call: LateCall,
): Promise<string | { refusedEdit: string } | null> => {
  if (call.given === undefined) return null;
  const { payload, answer, decision } = call.given;
  await recordDecision(input, decision);
  const outcome =
    payload.decision === 'approve' ? await approved(input, call, payload) : lateOutcome(payload, answer.by);
  if (outcome.refusedEdit !== undefined && editedArguments(payload) !== null)
    return { refusedEdit: outcome.refusedEdit };
  try {
    const { runId } = await activities.startFollowUpRun({
      backend: input.backend,
      newRunId: `run_${uuid4().replaceAll('-', '').slice(0, 24)}`,
      of: input,
      callId: call.callId,
      outcome,
      message: lateMessage(call, outcome),
    });
    return runId;
  } catch (error) {
    if (isCancellation(error) || toActivityFailureInfo(error) === null) throw error;
    return null;
  }
};

/** Stores the decision before it is acted on. A store that is unreachable for too long does not hold up the answer. */
const recordDecision = async (
  { backend, runId }: FollowUpInput,
  decision: Decision | undefined,
): Promise<void> => {
  if (backend !== 'chat' || decision === undefined || !patched('decisions-in-store')) return;
  try {
    await recorder.recordDecisions({ backend, runId, decisions: [toStore(decision)] });
  } catch (error) {
    if (isCancellation(error) || toActivityFailureInfo(error) === null) throw error;
  }
};

/** A late approval runs the tool now; the tool's outcome is the answer. */
const approved = async (
  input: FollowUpInput,
  call: LateCall,
  payload: AnswerPayload,
): Promise<CallOutcome> => {
  if (call.plan.kind !== 'approval') return lateOutcome(payload, call.given?.answer.by);
  const { policy } = call.plan;
  const edited = editedArguments(payload);
  const effect = {
    type: 'runTool' as const,
    callId: call.callId,
    name: call.name,
    arguments: edited ?? call.arguments,
    policy,
    endBy: null,
  };
  const tools = proxyActivities<Record<string, (of: ToolActivityInput) => Promise<OutcomePayload>>>(
    toolActivityOptions(effect, input.settings, Date.now()),
  );
  const type = `${TOOL_ACTIVITY_PREFIX}${call.name}`;
  const run = tools[type];
  if (run === undefined) throw new Error(`No activity function for ${type}.`);
  try {
    const sent: ToolActivityInput = {
      runId: input.runId,
      threadId: input.threadId,
      assistantId: input.assistantId,
      callId: call.callId,
      name: call.name,
      idempotencyKey: idempotencyKey(input.runId, call.callId),
      arguments: effect.arguments,
      deadline: null,
      atMostOnce: policy.atMostOnce,
      ...(edited === null ? {} : { edited: true }),
      ...(hasWorkerBeats(policy) ? { workerBeats: true } : {}),
      metadata: input.metadata,
    };
    return readOutcome(await run(sent));
  } catch (error) {
    const failure = toActivityFailureInfo(error);
    if (isCancellation(error) || failure === null) throw error;
    return failedOutcome(
      { callId: call.callId, name: call.name, arguments: call.arguments, plan: call.plan, status: 'running' },
      failure,
    );
  }
};
