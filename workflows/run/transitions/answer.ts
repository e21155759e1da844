/**
 * Applies answers and outcomes to calls: from people, from the API's caller, from tools.
 *
 * Rule: `evaluateAnswer` and `evaluateSubmit` decide whether an answer is acceptable. Rejected signals are counted.
 * Imports the machine's pure parts, no SDK. Imported by the machine.
 */
import type { CallOutcome } from '../../../protocol/tool-calls.ts';
import type { Decision } from '../../../protocol/decisions.ts';
import { withEntry } from '../../../protocol/rules/ballot.ts';
import type { BallotOutcome } from '../../../protocol/rules/ballot.ts';
import type { AnswerPayload } from '../../../protocol/temporal/messages.ts';
import { outcomeOfAnswer, outputDigest, evaluateAnswer } from '../evaluate-answer.ts';
import type { AnswerRejection } from '../answer-checks.ts';
import { deniedOutcome, requestOf, startCall } from '../call-state.ts';
import {
  UNKNOWN_SENDER,
  signature,
  decisionOf,
  editedArguments,
  withDecision,
  withRefusedEdit,
} from '../decisions.ts';
import { advanceRound } from './round.ts';
import { sendLatest } from './send-decision.ts';
import { takesAnswers, waitingCalls } from '../state.ts';
import type { CallState, Input, LateCall, MachineState } from '../state.ts';
import { evaluateSubmit } from '../evaluate-submit.ts';
import { MAX_REJECTED_SIGNALS } from '../timeouts.ts';

export const applyAnswer = (state: MachineState, input: Extract<Input, { type: 'answer' }>): MachineState => {
  const { at, source = UNKNOWN_SENDER } = input;
  const judgement = evaluateAnswer(state, input.payload, at, source);
  if (judgement.verdict === 'repeat') return state;
  if (judgement.verdict === 'refuse') return unusable(state, judgement, at);
  const { answer, payload: said, late, cast } = judgement;
  const call = state.calls.find((item) => item.callId === said.call_id);
  const lateCall = state.late.find((item) => item.callId === said.call_id);
  const subject = late ? lateCall : call;
  if (subject === undefined) return state;
  // A late call of an earlier version has no round.
  const round = late ? (lateCall?.round ?? 0) : state.round;
  const decision =
    cast?.entry ?? (isDecision(said) ? decisionOf(subject, said, answer, { round, source, late }) : null);
  const decided = decision === null ? state : withKept(state, decision, input.records === true);
  const ballot = cast === undefined ? {} : { ballot: cast.ballot };
  if (cast?.entry.undecided === true)
    return late
      ? withLate(decided, said.call_id, (item) => ({ ...item, ...ballot }))
      : advanceRound(call === undefined ? state : replaced(decided, { ...call, ...ballot }), at);
  const payload = cast === undefined ? said : decidedPayload(said, cast.outcome);
  if (!late)
    return call === undefined ? state : applied(decided, { ...call, ...ballot, answer }, payload, at);
  const given = { payload, answer, ...(decision === null ? {} : { decision }) };
  return withLate(decided, said.call_id, (item) => ({ ...item, ...ballot, given }));
};

const withLate = (
  state: MachineState,
  callId: string,
  change: (call: LateCall) => LateCall,
): MachineState => ({
  ...state,
  late: state.late.map((item) => (item.callId === callId ? change(item) : item)),
});

/** What the votes decided, as the answer that decides: the arguments that they agree on, or the reasons of the denials. */
const decidedPayload = (
  { arguments: _sent, reason: _own, ...said }: AnswerPayload,
  outcome: BallotOutcome,
): AnswerPayload =>
  outcome.kind === 'approved'
    ? { ...said, ...(outcome.arguments === undefined ? {} : { arguments: outcome.arguments }) }
    : {
        ...said,
        ...(outcome.kind === 'denied' && outcome.reason !== undefined ? { reason: outcome.reason } : {}),
      };

const isDecision = (payload: AnswerPayload): payload is AnswerPayload & { decision: 'approve' | 'deny' } =>
  payload.decision !== undefined;

/** `records`: this execution sends each decision to the store at once. */
const withKept = (state: MachineState, decision: Decision, records: boolean): MachineState =>
  sendLatest(withDecision(records ? { ...state, recordsDecisions: true } : state, decision), decision);

/** Applies an accepted answer to a call of the current round. */
const applied = (state: MachineState, call: CallState, said: AnswerPayload, at: number): MachineState => {
  const by = call.answer?.by;
  if (said.decision === 'deny')
    return advanceRound(
      replaced(state, { ...call, status: 'done', outcome: deniedOutcome(said.reason, by) }),
      at,
    );
  if (said.decision === 'approve') {
    const edited = editedArguments(said);
    const ready = startCall(state, edited === null ? call : { ...call, editedArguments: edited }, at);
    return advanceRound(replaced(state, ready), at);
  }
  const outcome = outcomeOfAnswer(said, by);
  return advanceRound(recorded(replaced(state, { ...call, status: 'done', outcome }), said.call_id), at);
};

/** On `chat`, an answer is shown at once while other external calls are open. */
const recorded = (state: MachineState, callId: string): MachineState => {
  const owed = waitingCalls(state).some((call) => call.plan.kind === 'external');
  return state.about.backend === 'chat' && owed
    ? {
        ...state,
        tasks: [...state.tasks, { key: `record:${state.round}:${callId}`, kind: 'recordAnswers', callId }],
      }
    : state;
};

const unusable = (state: MachineState, refused: AnswerRejection, at: number): MachineState => ({
  ...state,
  unusable: {
    count: state.unusable.count + 1,
    latest: [
      ...state.unusable.latest,
      {
        callId: refused.callId,
        ...(refused.by === undefined ? {} : { by: refused.by }),
        reason: refused.reason,
        at,
      },
    ].slice(-MAX_REJECTED_SIGNALS),
  },
});

export const applySubmit = (
  state: MachineState,
  { payload, source = UNKNOWN_SENDER, at }: Extract<Input, { type: 'submit' }>,
): MachineState => {
  const judgement = evaluateSubmit(state, payload, at);
  if (judgement.verdict !== 'accept') return state;
  const outputs = new Map(payload.tool_outputs.map((item) => [item.tool_call_id, item.output]));
  const signed = signature(source, payload.by);
  const by = signed.by === undefined ? {} : { by: signed.by };
  const calls = state.calls.map((call): CallState => {
    const output = judgement.callIds.includes(call.callId) ? outputs.get(call.callId) : undefined;
    return output === undefined
      ? call
      : {
          ...call,
          status: 'done',
          answer: { digest: outputDigest(output), at, ...signed },
          outcome: { output, ok: true, ...by },
        };
  });
  return advanceRound({ ...state, calls }, at);
};

const signed = (call: CallState, outcome: CallOutcome): CallOutcome =>
  call.answer?.by === undefined || outcome.by !== undefined ? outcome : { ...outcome, by: call.answer.by };

export const applyOutcome = (
  state: MachineState,
  callId: string,
  at: number,
  outcomeOf: (call: CallState) => CallOutcome,
): MachineState => {
  const call = state.calls.find((item) => item.callId === callId);
  if (call?.status !== 'running' || !takesAnswers(state)) return state;
  const { refusedEdit } = outcomeOf(call);
  if (refusedEdit !== undefined && call.editedArguments !== undefined)
    return waitsAgain(state, call, refusedEdit, at);
  return advanceRound(
    replaced(state, { ...call, status: 'done', outcome: signed(call, outcomeOf(call)) }),
    at,
  );
};

/**
 * The tool refused a person's arguments before it ran: the approval is reported as unused, and the call waits again.
 */
const waitsAgain = (state: MachineState, call: CallState, problem: string, at: number): MachineState => {
  const by = call.answer?.by === undefined ? {} : { by: call.answer.by };
  const count = (call.refusedEdit?.count ?? 0) + 1;
  const waiting: CallState = {
    ...requestOf(call),
    plan: call.plan,
    status: 'waiting',
    ...(call.waitStart === undefined ? {} : { waitStart: call.waitStart }),
    refusedEdit: { count, problem, at, ...by },
    ...(call.ballot === undefined ? {} : { ballot: call.ballot }),
  };
  const notice = { key: `waiting:${state.round}:${call.callId}:${count}`, kind: 'notifyWaiting' } as const;
  const unused = {
    callId: call.callId,
    ...by,
    reason: 'arguments_refused',
    at: call.answer?.at ?? at,
  } as const;
  const tasks = state.about.onWaiting ? [...state.tasks, notice] : state.tasks;
  const next = { ...replaced(state, waiting), unused: [...state.unused, unused], tasks };
  const { callId, ballot } = call;
  const kept = withRefusedEdit(next, { callId, round: state.round, ballot }, problem, at);
  const entry = kept.decisions?.at(-1);
  const counted =
    ballot === undefined || entry?.refusedEdit === undefined
      ? kept
      : replaced(kept, { ...waiting, ballot: withEntry(ballot, entry) });
  return advanceRound(sendLatest(counted), at);
};

const replaced = (state: MachineState, call: CallState): MachineState => ({
  ...state,
  calls: state.calls.map((item) => (item.callId === call.callId ? call : item)),
});
