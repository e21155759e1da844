/**
 * Keeps the decisions about calls: in the state for readers of the run, and as entries for the store on the `chat`
 * backend.
 *
 * Rule: append-only and bounded. The state drops long texts, never a decision. An entry reaches the store with the
 * outputs of its round, or earlier when the tool takes time.
 * Imports protocol and the state, no SDK.
 */
import { isVerdict, mayDecide, stripTexts } from '../../protocol/decisions.ts';
import type { AnswerSource, Decision } from '../../protocol/decisions.ts';
import { jsonObject } from '../../protocol/rules/validation.ts';
import type { AnswerPayload } from '../../protocol/temporal/messages.ts';
import type { Ballot } from '../../protocol/rules/ballot.ts';
import type { AcceptedAnswer, DecisionState, LateCall, MachineState } from './state.ts';
import { DECISIONS_KEPT_CHARS, DECISIONS_SENT_CHARS } from './timeouts.ts';

/** The source of an update that carries none: it came from Temporal directly. */
export const UNKNOWN_SENDER: AnswerSource = { door: 'temporal_update' };

/** The name that signs. The name of an API key wins over a name in the payload. */
export const signature = (
  source: AnswerSource,
  by: string | null | undefined,
): Pick<AcceptedAnswer, 'by' | 'verified'> => {
  if (source.keyName !== undefined) return { by: source.keyName, verified: true };
  return by == null ? {} : { by };
};

/** Edited arguments as JSON text; null when the payload has none. */
export const editedArguments = (payload: AnswerPayload): string | null => {
  const edited = jsonObject(payload.arguments);
  return edited === null ? null : JSON.stringify(edited);
};

/** True when the key of `source` may not decide calls of this tool. */
export const isForbidden = (payload: AnswerPayload, source: AnswerSource, tool: string): boolean =>
  payload.decision !== undefined && !mayDecide(source.tools, tool);

export const decisionOf = (
  call: Pick<LateCall, 'callId' | 'name' | 'arguments'>,
  payload: AnswerPayload & { decision: NonNullable<AnswerPayload['decision']> },
  answer: AcceptedAnswer,
  more: { round: number; source: AnswerSource; late: boolean },
): Decision => {
  const edited = editedArguments(payload);
  return {
    callId: call.callId,
    name: call.name,
    round: more.round,
    decision: payload.decision,
    at: answer.at,
    door: more.source.door,
    ...(answer.by === undefined ? {} : { by: answer.by }),
    ...(answer.verified === undefined ? {} : { verified: true }),
    arguments: call.arguments,
    ...(edited === null ? {} : { editedArguments: edited }),
    ...(payload.reason == null ? {} : { reason: payload.reason }),
    ...(payload.note == null ? {} : { note: payload.note }),
    ...(payload.arguments_digest == null ? {} : { shownDigest: payload.arguments_digest }),
    ...(more.late ? { late: true } : {}),
  };
};

const chars = (value: unknown): number => JSON.stringify(value).length;

export const withDecision = (state: MachineState, decision: Decision): MachineState => {
  const kept = state.decisions ?? [];
  const fits = chars(kept) + chars(decision) <= DECISIONS_KEPT_CHARS;
  return { ...state, decisions: [...kept, fits ? decision : stripTexts(decision)] };
};

/** Records that the tool refused the arguments of the latest decision about the call. */
export const withRefusedEdit = (
  state: MachineState,
  call: { callId: string; round: number; ballot?: Ballot | undefined },
  problem: string,
  at: number,
): MachineState => {
  const before = state.decisions?.findLast(
    (item) => item.callId === call.callId && item.round === call.round && isVerdict(item),
  );
  if (before === undefined) return state;
  const { stored: _stored, ...decision } = before;
  const number = decision.entry === undefined ? {} : { entry: call.ballot?.entries ?? decision.entry + 1 };
  return withDecision(state, { ...stripTexts(decision), ...number, at, refusedEdit: problem });
};

/** Decisions as readers receive them. */
export const decisionsOf = (state: MachineState): Decision[] =>
  (state.decisions ?? []).map(({ stored: _stored, ...decision }) => decision);

/** A decision without the model's arguments, which the store has already. */
export const toStore = (decision: Decision): Decision => ({ ...decision, arguments: null });

/**
 * The decisions that the store lacks, for an operation that can carry them. Long texts are left out when there are
 * many.
 */
export const unstored = (state: MachineState): Decision[] => {
  if (state.about.backend !== 'chat') return [];
  const owed = (state.decisions ?? [])
    .filter(({ stored }) => stored !== true)
    .map(({ stored: _stored, ...decision }) => toStore(decision));
  return chars(owed) <= DECISIONS_SENT_CHARS ? owed : owed.map(stripTexts);
};

export const markStored = (
  state: MachineState,
  isStored: (decision: DecisionState) => boolean,
): MachineState =>
  state.decisions === undefined
    ? state
    : {
        ...state,
        decisions: state.decisions.map((decision) =>
          decision.stored !== true && isStored(decision) ? { ...decision, stored: true } : decision,
        ),
      };
