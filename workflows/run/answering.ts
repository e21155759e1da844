/**
 * Applies what was said about calls: by a person, by the API's caller, by a tool.
 *
 * Rule: nothing here decides whether an answer is good; `judge` and `judgeSubmit` do. What they refuse is counted.
 * Imports the machine's pure parts, no SDK. The machine imports it.
 */
import type { CallOutcome } from '../../protocol/calls.ts';
import type { SubmitPayload } from '../../protocol/workflow.ts';
import { answeredOutcome, digestOfOutput, editedArguments, judge } from './answers.ts';
import type { Refusal } from './answers.ts';
import { deniedOutcome, started } from './calls.ts';
import { advance } from './rounds.ts';
import { takesAnswers, waitingCalls } from './state.ts';
import type { CallState, RunState } from './state.ts';
import { judgeSubmit } from './submits.ts';
import { UNUSABLE_KEPT } from './timeouts.ts';

export const answered = (state: RunState, payload: unknown, at: number): RunState => {
  const judgement = judge(state, payload, at);
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
    return advance(
      replaced(state, { ...taken, status: 'done', outcome: deniedOutcome(said.reason, answer.by) }),
      at,
    );
  if (said.decision === 'approve') {
    const edited = editedArguments(said);
    const ready = started(state, edited === null ? taken : { ...taken, editedArguments: edited }, at);
    return advance(replaced(state, ready), at);
  }
  return advance(
    recorded(replaced(state, { ...taken, status: 'done', outcome: answeredOutcome(said) }), said.call_id),
    at,
  );
};

/** Natively, an answer is shown at once while the caller still owes others. */
const recorded = (state: RunState, callId: string): RunState => {
  const owed = waitingCalls(state).some((call) => call.plan.kind === 'external');
  return state.about.backend === 'chat' && owed
    ? {
        ...state,
        tasks: [...state.tasks, { key: `record:${state.round}:${callId}`, kind: 'recordAnswers', callId }],
      }
    : state;
};

const unusable = (state: RunState, refused: Refusal, at: number): RunState => ({
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
    ].slice(-UNUSABLE_KEPT),
  },
});

export const submitted = (state: RunState, payload: SubmitPayload, at: number): RunState => {
  const judgement = judgeSubmit(state, payload, at);
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
          answer: { digest: digestOfOutput(output), at, ...by },
          outcome: { output, ok: true, ...by },
        };
  });
  return advance({ ...state, calls }, at);
};

const signed = (call: CallState, outcome: CallOutcome): CallOutcome =>
  call.answer?.by === undefined || outcome.by !== undefined ? outcome : { ...outcome, by: call.answer.by };

export const withOutcome = (
  state: RunState,
  callId: string,
  at: number,
  outcomeOf: (call: CallState) => CallOutcome,
): RunState => {
  const call = state.calls.find((item) => item.callId === callId);
  if (call?.status !== 'running' || !takesAnswers(state)) return state;
  return advance(replaced(state, { ...call, status: 'done', outcome: signed(call, outcomeOf(call)) }), at);
};

const replaced = (state: RunState, call: CallState): RunState => ({
  ...state,
  calls: state.calls.map((item) => (item.callId === call.callId ? call : item)),
});
