/**
 * Applies what was said about calls: by a person, by the API's caller, by a tool.
 *
 * Rule: nothing here decides whether an answer is good; `judge` and `judgeSubmit` do. What they refuse is counted.
 * Imports the machine's pure parts, no SDK. The machine imports it.
 */
import type { CallOutcome } from '../../../protocol/tool-calls.ts';
import type { SubmitPayload } from '../../../protocol/temporal/messages.ts';
import { outcomeOfAnswer, outputDigest, editedArguments, evaluateAnswer } from '../evaluate-answer.ts';
import type { AnswerRejection } from '../evaluate-answer.ts';
import { deniedOutcome, requestOf, startCall } from '../call-state.ts';
import { advanceRound } from './round.ts';
import { takesAnswers, waitingCalls } from '../state.ts';
import type { CallState, MachineState } from '../state.ts';
import { evaluateSubmit } from '../evaluate-submit.ts';
import { MAX_REJECTED_SIGNALS } from '../timeouts.ts';

export const applyAnswer = (state: MachineState, payload: unknown, at: number): MachineState => {
  const judgement = evaluateAnswer(state, payload, at);
  if (judgement.verdict === 'repeat') return state;
  if (judgement.verdict === 'refuse') return unusable(state, judgement, at);
  const { answer, payload: said } = judgement;
  if (judgement.late)
    return {
      ...state,
      late: state.late.map((call) =>
        call.callId === said.call_id ? { ...call, given: { payload: said, answer } } : call,
      ),
    };
  const call = state.calls.find((item) => item.callId === said.call_id);
  if (call === undefined) return state;
  const taken: CallState = { ...call, answer };
  if (said.decision === 'deny')
    return advanceRound(
      replaced(state, { ...taken, status: 'done', outcome: deniedOutcome(said.reason, answer.by) }),
      at,
    );
  if (said.decision === 'approve') {
    const edited = editedArguments(said);
    const ready = startCall(state, edited === null ? taken : { ...taken, editedArguments: edited }, at);
    return advanceRound(replaced(state, ready), at);
  }
  return advanceRound(
    recorded(replaced(state, { ...taken, status: 'done', outcome: outcomeOfAnswer(said) }), said.call_id),
    at,
  );
};

/** Natively, an answer is shown at once while the caller still owes others. */
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

export const applySubmit = (state: MachineState, payload: SubmitPayload, at: number): MachineState => {
  const judgement = evaluateSubmit(state, payload, at);
  if (judgement.verdict !== 'accept') return state;
  const outputs = new Map(payload.tool_outputs.map((item) => [item.tool_call_id, item.output]));
  const by = payload.by == null ? {} : { by: payload.by };
  const calls = state.calls.map((call): CallState => {
    const output = judgement.callIds.includes(call.callId) ? outputs.get(call.callId) : undefined;
    return output === undefined
      ? call
      : {
          ...call,
          status: 'done',
          answer: { digest: outputDigest(output), at, ...by },
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

/** The tool refused a person's arguments before anything ran: the approval is reported as unused, and the call waits on. */
const waitsAgain = (state: MachineState, call: CallState, problem: string, at: number): MachineState => {
  const by = call.answer?.by === undefined ? {} : { by: call.answer.by };
  const count = (call.refusedEdit?.count ?? 0) + 1;
  const waiting: CallState = {
    ...requestOf(call),
    plan: call.plan,
    status: 'waiting',
    ...(call.waitStart === undefined ? {} : { waitStart: call.waitStart }),
    refusedEdit: { count, problem, at, ...by },
  };
  const notice = { key: `waiting:${state.round}:${call.callId}:${count}`, kind: 'notifyWaiting' } as const;
  const unused = {
    callId: call.callId,
    ...by,
    reason: 'arguments_refused',
    at: call.answer?.at ?? at,
  } as const;
  return advanceRound(
    {
      ...replaced(state, waiting),
      unused: [...state.unused, unused],
      tasks: state.about.onWaiting ? [...state.tasks, notice] : state.tasks,
    },
    at,
  );
};

const replaced = (state: MachineState, call: CallState): MachineState => ({
  ...state,
  calls: state.calls.map((item) => (item.callId === call.callId ? call : item)),
});
