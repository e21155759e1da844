/**
 * Turns a late answer into a tool outcome, and into the message that carries it to the thread.
 *
 * Rule: the rules are those of the run itself: the first answer stands and a repeat is acknowledged. The calls enter a
 * run's state as late calls, and `step` of the machine applies the answers.
 * Pure. Imported by the follow-up workflow and tests.
 */
import type { CallOutcome } from '../../protocol/tool-calls.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { withEntry } from '../../protocol/rules/ballot.ts';
import type { AnswerPayload, FollowUpInput, LateCallInput } from '../../protocol/temporal/messages.ts';
import { outcomeOfAnswer, answerDigest } from '../run/evaluate-answer.ts';
import { requestOf } from '../run/call-state.ts';
import { withRefusedEdit } from '../run/decisions.ts';
import { decisionsText, waitingCallsDetails, rejectedSignalsText } from '../run/current-details.ts';
import { initialState } from '../run/state.ts';
import type { LateCall, MachineState } from '../run/state.ts';

const DAYS_POLICY = { onDeadline: 'follow-up', answerWithinMs: null } as const;

const lateCall = (call: LateCallInput, at: number): LateCall => ({
  ...requestOf(call),
  ...(call.round === undefined ? {} : { round: call.round }),
  plan:
    call.kind === 'approval' && call.policy !== undefined
      ? {
          kind: 'approval',
          policy: call.policy,
          wait: DAYS_POLICY,
          ...(call.schema === undefined ? {} : { schema: call.schema }),
          ...(call.approvers === undefined ? {} : { approvers: call.approvers }),
          ...(call.requestedBy === undefined ? {} : { requestedBy: call.requestedBy }),
        }
      : { kind: 'external', wait: DAYS_POLICY },
  ...(call.refusedEdit === undefined ? {} : { refusedEdit: call.refusedEdit }),
  ...(call.ballot === undefined ? {} : { ballot: call.ballot }),
  ...(call.given === undefined
    ? {}
    : {
        given: {
          payload: call.given,
          answer: {
            digest: answerDigest(call.given),
            at,
            ...(call.given.by == null ? {} : { by: call.given.by }),
          },
          ...(call.decision === undefined ? {} : { decision: call.decision }),
        },
      }),
});

/** The run's state, reduced to the fields that late answers need. */
export const lateState = (input: FollowUpInput, at: number): MachineState => ({
  ...initialState({ ...input, params: {}, busy: 'fail', expiresAt: null, createdAt: null }),
  startedAt: at,
  ...(input.decisions === undefined ? {} : { decisions: input.decisions }),
  late: input.calls.map((call) => lateCall(call, at)),
});

/** The tool refused the arguments of a late approval: the call waits again. */
export const waitsAgain = (
  state: MachineState,
  callId: string,
  problem: string,
  at: number,
): MachineState => {
  const refused = state.late.find((call) => call.callId === callId);
  const { round = 0, ballot } = refused ?? {};
  const recorded = withRefusedEdit(state, { callId, round, ballot }, problem, at);
  const entry = recorded.decisions?.at(-1);
  return {
    ...recorded,
    late: state.late.map((call): LateCall => {
      if (call !== refused) return call;
      const { given, ...waiting } = call;
      const by = given?.answer.by === undefined ? {} : { by: given.answer.by };
      const count = (call.refusedEdit?.count ?? 0) + 1;
      return {
        ...waiting,
        refusedEdit: { count, problem, at, ...by },
        ...(ballot === undefined || entry?.refusedEdit === undefined
          ? {}
          : { ballot: withEntry(ballot, entry) }),
      };
    }),
  };
};

export const isDenial = (payload: AnswerPayload): boolean => payload.decision === 'deny';

export const lateOutcome = (payload: AnswerPayload, by: string | undefined): CallOutcome =>
  isDenial(payload)
    ? {
        output: payload.reason ? `Denied: ${payload.reason}` : 'Denied.',
        ok: false,
        notes: ['denied'],
        ...(by === undefined ? {} : { by }),
      }
    : outcomeOfAnswer(payload, by);

/** Characters kept free for the text around the output. */
const FRAME_CHARS = 2000;

/** The message that starts the follow-up run. */
export const lateMessage = (call: LateCall, outcome: CallOutcome): string => {
  const most = LIMITS.messageChars - FRAME_CHARS;
  const output =
    outcome.output.length > most
      ? `${outcome.output.slice(0, most)}\n[truncated: the first ${most} of ${outcome.output.length} characters]`
      : outcome.output;
  const asks = call.arguments.length > 1000 ? `${call.arguments.slice(0, 1000)}…` : call.arguments;
  return `The answer to your earlier call of ${call.name} (${call.callId}) has come. You called it with: ${asks}\n\nAnswer:\n${output}`;
};

/** Markdown for the current details of the waiting workflow. */
export const lateDetails = (state: MachineState, answerBy: number): string => {
  const open = state.late.filter((call) => call.given === undefined);
  return [
    open.length === 0
      ? 'All late answers have arrived.'
      : `Run \`${state.about.runId}\` continued without these answers. Each late answer starts a new run on the thread.`,
    ...waitingCallsDetails(
      state,
      open.map((call) => [call, answerBy] as const),
    ),
    ...(state.decisions === undefined ? [] : [decisionsText(state.decisions)]),
    ...(state.unusable.count === 0 ? [] : [rejectedSignalsText(state.unusable)]),
  ].join('\n\n');
};
