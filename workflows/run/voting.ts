/**
 * Weighs a decision about a call that several people decide, or that is handed over: refused, repeated, or one more entry of
 * the call's ballot, with what the votes decide now.
 *
 * Rule: `protocol/rules/ballot.ts` is the rule, by the policy that is recorded with the call. A vote to approve counts for the
 * arguments that it sends, or that it names by their digest; without either, for the model's.
 * Pure; imports protocol and the state. Imported by `evaluate-answer.ts`, the machine and tests.
 */
import type { AnswerSource, Decision, HandOver } from '../../protocol/decisions.ts';
import { ARGUMENT_LIMITS, BALLOT_LIMITS } from '../../protocol/limits.ts';
import {
  ANYBODY,
  EMPTY_BALLOT,
  admitHandOver,
  admitVote,
  proposedArguments,
  verdictOf,
  withEntry,
} from '../../protocol/rules/ballot.ts';
import type { Ballot, BallotOutcome, Vote } from '../../protocol/rules/ballot.ts';
import { sha256Hex } from '../../protocol/rules/sha256.ts';
import { canonicalJson, parseEditedArguments } from '../../protocol/rules/tool-arguments.ts';
import { quote } from '../../protocol/rules/validation.ts';
import type { ApprovalPolicy } from '../../protocol/tool-calls.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import type { AnswerPayload } from '../../protocol/temporal/messages.ts';
import { rejectionText } from './answer-checks.ts';
import type { AnswerRejection } from './answer-checks.ts';
import { decisionOf } from './decisions.ts';
import type { AcceptedAnswer, CallState, LateCall } from './state.ts';

export interface CastVote {
  verdict: 'cast';
  entry: Decision;
  ballot: Ballot;
  outcome: BallotOutcome;
}

type Asked = Pick<
  CallState | LateCall,
  'callId' | 'name' | 'arguments' | 'plan' | 'argumentsDigest' | 'ballot'
>;
type DecisionPayload = AnswerPayload & { decision: NonNullable<AnswerPayload['decision']> };

/** The policy that counts votes about this call; null = the first decision decides. */
export const countingPolicy = ({ plan }: Pick<Asked, 'plan'>): ApprovalPolicy | null =>
  plan.kind === 'approval' ? (plan.approvers ?? null) : null;

/** Is the decision one entry of a ballot? All others decide at once. */
export const isBallotEntry = (
  call: Pick<Asked, 'plan'>,
  payload: AnswerPayload,
): payload is DecisionPayload =>
  payload.decision === 'delegate' || (payload.decision !== undefined && countingPolicy(call) !== null);

/** The arguments for which a vote to approve counts. */
const chosenArguments = (
  call: Asked,
  { arguments: edited, arguments_digest: named }: AnswerPayload,
): { digest: string; arguments?: string } | { tooLong: number } => {
  const own = call.argumentsDigest ?? '';
  if (edited == null) {
    const digest = named ?? own;
    const proposed = digest === own ? undefined : proposedArguments(call.ballot ?? EMPTY_BALLOT, digest);
    return proposed === undefined ? { digest: own } : { digest, arguments: proposed };
  }
  const parsed = parseEditedArguments(edited);
  const text = parsed.ok ? canonicalJson(parsed.value) : '{}';
  if (text.length > BALLOT_LIMITS.chars) return { tooLong: text.length };
  const digest = sha256Hex(text).slice(0, ARGUMENT_LIMITS.digestChars);
  return digest === own ? { digest } : { digest, arguments: text };
};

const sameVote = (one: Vote, other: Decision): boolean =>
  one.by === other.by &&
  one.decision === other.decision &&
  one.digest === other.countsFor &&
  one.arguments === (other.editedArguments ?? undefined) &&
  (one.reason ?? '') === (other.reason ?? '') &&
  one.verified === other.verified;

const sameNames = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((name) => other.includes(name));

/** Does the ballot hold this entry already? */
const isRepeat = (ballot: Ballot, entry: Decision): boolean => {
  const { to } = entry;
  if (to === undefined) return ballot.votes.some((vote) => sameVote(vote, entry));
  const from = entry.inPlaceOf ?? entry.by;
  const before = ballot.handedOver.find((item) => item.from === from)?.to;
  return before !== undefined && sameNames(before.people, to.people) && sameNames(before.groups, to.groups);
};

const refused = (
  call: Asked,
  policy: ApprovalPolicy,
  why: string,
  about: { callId: string; by?: string },
): AnswerRejection => {
  const requestedBy = call.plan.kind === 'approval' ? (call.plan.requestedBy ?? null) : null;
  return rejectionText(
    FAILURES.refusedNoVote,
    'no_vote',
    `Call ${quote(call.callId)} (${call.name}) keeps waiting: ${why}.`,
    { ...about, details: { policy, requestedBy } },
  );
};

const tooMuch = (call: Asked, chars: number, about: { callId: string; by?: string }): AnswerRejection =>
  rejectionText(
    FAILURES.refusedMalformed,
    'malformed',
    `Call ${quote(call.callId)} (${call.name}) keeps waiting: with this vote, its votes and the arguments that they propose have ${chars} characters; they may have ${BALLOT_LIMITS.chars}. Propose shorter arguments.`,
    about,
  );

/** What this decision does to the ballot of its call. */
export const evaluateVote = (
  call: Asked,
  payload: DecisionPayload,
  sender: {
    source: AnswerSource;
    answer: AcceptedAnswer;
    about: { callId: string; by?: string };
    round: number;
    late: boolean;
  },
): CastVote | { verdict: 'repeat' } | AnswerRejection => {
  const { source, answer, about, round, late } = sender;
  const policy = countingPolicy(call) ?? ANYBODY;
  const ballot = call.ballot ?? EMPTY_BALLOT;
  const requestedBy = call.plan.kind === 'approval' ? call.plan.requestedBy : undefined;
  const { by, verified } = answer;
  const voter = {
    ...(by === undefined ? {} : { by }),
    ...(verified === undefined ? {} : { verified }),
    ...(source.groups === undefined ? {} : { groups: source.groups }),
  };
  const chosen = payload.decision === 'approve' ? chosenArguments(call, payload) : null;
  if (chosen !== null && 'tooLong' in chosen) return tooMuch(call, chosen.tooLong, about);
  const { editedArguments: _sent, ...said } = decisionOf(call, payload, answer, { round, source, late });
  const to: HandOver | null =
    payload.to == null ? null : { people: payload.to.people ?? [], groups: payload.to.groups ?? [] };
  const made: Decision = {
    ...said,
    ...(chosen?.arguments === undefined ? {} : { editedArguments: chosen.arguments }),
    ...(chosen === null ? {} : { countsFor: chosen.digest }),
    ...(to === null ? {} : { to }),
    entry: ballot.entries,
  };
  // A repeat is acknowledged before it is weighed: who has handed a vote over has none any more.
  if (isRepeat(ballot, made)) return { verdict: 'repeat' };
  const admitted = (to === null ? admitVote : admitHandOver)(policy, ballot, requestedBy, voter);
  if (!admitted.ok) return refused(call, policy, admitted.why, about);
  const named: Decision =
    admitted.inPlaceOf === undefined ? made : { ...made, inPlaceOf: admitted.inPlaceOf };
  if (isRepeat(ballot, named)) return { verdict: 'repeat' };
  const next = withEntry(ballot, named);
  const chars = JSON.stringify(next).length;
  if (chars > BALLOT_LIMITS.chars) return tooMuch(call, chars, about);
  const outcome = verdictOf(policy, next);
  const open = to !== null || outcome.kind === 'undecided';
  return { verdict: 'cast', entry: open ? { ...named, undecided: true } : named, ballot: next, outcome };
};

/** Moments at which the policies of these calls want somebody to be told: unix ms, with what is due then. */
export const noticesOf = (
  call: Pick<CallState, 'plan' | 'ballot' | 'waitStart'>,
): { at: number; reason: 'remind' | 'escalate' }[] => {
  const policy = countingPolicy(call);
  const { waitStart, ballot = EMPTY_BALLOT } = call;
  if (policy === null || waitStart === undefined) return [];
  const { remindAfterMs, escalateAfterMs } = policy;
  return [
    ...(remindAfterMs === null || ballot.remindedAt !== undefined
      ? []
      : [{ at: waitStart + remindAfterMs, reason: 'remind' as const }]),
    ...(escalateAfterMs === null || ballot.escalatedAt !== undefined
      ? []
      : [{ at: waitStart + escalateAfterMs, reason: 'escalate' as const }]),
  ];
};
