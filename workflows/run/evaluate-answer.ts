/**
 * Evaluates answers. Signal, update and validator share it, so they never disagree.
 *
 * Rule: the state decides; the first answer stands; an identical repeat is acknowledged; a rejection names subject,
 * state, value and fix. Evaluating changes nothing; the machine applies accepted answers.
 * Imports protocol and the state, no SDK.
 */
import type { CallOutcome, OutcomeNote } from '../../protocol/tool-calls.ts';
import type { AnswerSource } from '../../protocol/decisions.ts';
import { FAILURES, followUpWorkflowId } from '../../protocol/temporal/names.ts';
import { answerPayloadProblem, jsonObject, quote } from '../../protocol/rules/validation.ts';
import type { AnswerPayload } from '../../protocol/temporal/messages.ts';
import { kindMismatch, outputText, payloadTooLarge, rejectionText, unapprovable } from './answer-checks.ts';
import type { AnswerRejection } from './answer-checks.ts';
import { evaluateVote, isBallotEntry } from './voting.ts';
import type { CastVote } from './voting.ts';
import { earlierAnswer, earlierAnswerText } from './earlier-answer.ts';
import { isExpired } from './deadline.ts';
import { UNKNOWN_SENDER, editedArguments, isForbidden, signature } from './decisions.ts';
import { contentDigest } from './content-digest.ts';
import { apiStatus, takesAnswers, waitingCalls } from './state.ts';
import type { AcceptedAnswer, CallState, LateCall, MachineState } from './state.ts';

export type AnswerEvaluation =
  | {
      verdict: 'accept';
      payload: AnswerPayload;
      answer: AcceptedAnswer;
      notes: OutcomeNote[];
      late: boolean;
      /** One entry of the call's ballot; absent = the answer decides at once. */
      cast?: CastVote;
    }
  | { verdict: 'repeat'; payload: AnswerPayload; notes: OutcomeNote[] }
  | AnswerRejection;

/** The answer without its sender: the same answer from a second person is a repeat. */
const canonicalAnswer = (payload: AnswerPayload): string =>
  payload.decision === undefined
    ? `output:${outputText(payload.output).text}`
    : `${payload.decision}:${editedArguments(payload) ?? ''}:${payload.reason ?? ''}`;

export const answerDigest = (payload: AnswerPayload): string => contentDigest(canonicalAnswer(payload));
/** An output sent by `submitToolOutputs` equals the same output sent by `answer`. */
export const outputDigest = (output: string): string => contentDigest(`output:${output}`);

/** People paste JSON into text fields, and tools send text where JSON is expected; both are accepted. */
const parseJsonText = (value: unknown): unknown =>
  typeof value === 'string' ? (jsonObject(value) ?? value) : value;

const list = (ids: readonly string[]): string =>
  ids.length === 0 ? 'none' : ids.map((id) => quote(id)).join(', ');

/** An answer that has the shape of one, with the run that it was sent to. */
interface CheckedAnswer {
  state: MachineState;
  payload: AnswerPayload;
  at: number;
  /** Call and sender, for rejections. */
  about: { callId: string; by?: string };
  signed: ReturnType<typeof signature>;
  source: AnswerSource;
  notes: OutcomeNote[];
}

export const evaluateAnswer = (
  state: MachineState,
  value: unknown,
  at: number,
  source: AnswerSource = UNKNOWN_SENDER,
): AnswerEvaluation => {
  const candidate = parseJsonText(value);
  const problem = answerPayloadProblem(candidate);
  if (problem !== undefined) {
    const callId = jsonObject(candidate)?.['call_id'];
    return rejectionText(FAILURES.refusedMalformed, 'malformed', problem, {
      callId: typeof callId === 'string' ? callId.slice(0, 128) : '',
    });
  }
  const payload = candidate as AnswerPayload;
  const signed = signature(source, payload.by);
  const checked: CheckedAnswer = {
    state,
    payload,
    at,
    about: { callId: payload.call_id, ...(signed.by === undefined ? {} : { by: signed.by }) },
    signed,
    source,
    notes: payload.decision === undefined ? outputText(payload.output).notes : [],
  };
  return otherRun(checked) ?? evaluateForCall(checked);
};

/** Finds the call that the answer names: of this round, late, or of an earlier round. */
const evaluateForCall = (checked: CheckedAnswer): AnswerEvaluation => {
  const { state, payload, about, at, source } = checked;
  const late = state.late.find((call) => call.callId === payload.call_id);
  const call = state.calls.find((item) => item.callId === payload.call_id);
  const past = state.past.findLast((item) => item.callId === payload.call_id);
  // A later round may reuse an id: a key must be allowed to decide every call that the id names.
  const forbidden = [call, late, past].find(
    (item) => item !== undefined && isForbidden(payload, source, item.name),
  );
  if (forbidden !== undefined)
    return rejectionText(
      FAILURES.refusedNotAllowed,
      'not_allowed',
      `Call ${quote(payload.call_id)} calls tool ${quote(forbidden.name)}; the API key of ${quote(source.keyName ?? null)} may decide calls of ${list(source.tools ?? [])}. Use a key that may decide calls of this tool.`,
      about,
    );
  if (call !== undefined && (late === undefined || call.answer !== undefined || call.status === 'waiting'))
    return evaluateForCurrentCall(checked, call);
  if (late !== undefined) return evaluateForLateCall(checked, late);
  if (past?.digest !== undefined) return compareWithFirst(checked, past.digest);
  if (past !== undefined) return tooLate(state, payload, about, at);
  const open = openIds(state);
  return rejectionText(
    FAILURES.refusedUnknownCall,
    'unknown_call',
    `Run ${quote(state.about.runId)} has no call ${quote(payload.call_id)}. Calls that wait for an answer now: ${list(open)}.`,
    { ...about, details: open },
  );
};

const evaluateForCurrentCall = (checked: CheckedAnswer, call: CallState): AnswerEvaluation => {
  const { state, payload, about, at } = checked;
  if (call.answer !== undefined) return compareWithDecided(checked, call, call.answer);
  if (call.status === 'waiting') {
    const fault = kindMismatch(call, payload, about);
    if (fault !== null) return fault;
    if (!takesAnswers(state) || isExpired(state, at)) return tooLate(state, payload, about, at);
    return acceptFor(checked, call, false);
  }
  return call.plan.kind === 'automatic' || call.plan.kind === 'refused'
    ? rejectionText(
        FAILURES.refusedWrongKind,
        'wrong_kind',
        `Call ${quote(call.callId)} (${call.name}) runs on the worker; it takes no answer. Open calls: ${list(openIds(state))}.`,
        about,
      )
    : tooLate(state, payload, about, at);
};

const evaluateForLateCall = (checked: CheckedAnswer, late: LateCall): AnswerEvaluation => {
  const { state, payload, about, at } = checked;
  if (late.given !== undefined) return compareWithDecided(checked, late, late.given.answer);
  const fault = kindMismatch(late, payload, about);
  if (fault !== null) return fault;
  if (state.ending !== null || state.closing !== null) return tooLate(state, payload, about, at);
  return acceptFor(checked, late, true);
};

/** Accepts the answer unless the tool or the size of the round forbids it. */
const acceptFor = (checked: CheckedAnswer, call: CallState | LateCall, late: boolean): AnswerEvaluation => {
  const { state, payload, about, at, signed, notes } = checked;
  const fault =
    unapprovable(state.about.runId, call, payload, about) ?? payloadTooLarge(state, call, payload, about);
  if (fault !== null) return fault;
  // A digest reads the whole text, so it is computed only for answers that are compared or stored.
  const answer = { digest: answerDigest(payload), at, ...signed };
  const accepted = { verdict: 'accept' as const, payload, answer, notes, late };
  const cast = weighed(checked, call, late, answer);
  if (cast === null) return accepted;
  if (cast.verdict === 'repeat') return { verdict: 'repeat', payload, notes };
  return cast.verdict === 'refuse' ? cast : { ...accepted, cast };
};

/** The decision as an entry of the call's ballot; null = it decides at once. */
const weighed = (
  { state, payload, about, source }: CheckedAnswer,
  call: CallState | LateCall,
  late: boolean,
  answer: AcceptedAnswer,
): ReturnType<typeof evaluateVote> | null => {
  if (!isBallotEntry(call, payload)) return null;
  // A late call of an earlier version has no round.
  const round = late && 'round' in call ? (call.round ?? 0) : state.round;
  return evaluateVote(call, payload, { source, answer, about, round, late });
};

/** The call is decided: whoever voted the same before is answered again. */
const compareWithDecided = (
  checked: CheckedAnswer,
  call: CallState | LateCall,
  decided: AcceptedAnswer,
): AnswerEvaluation => {
  const { payload, notes, signed } = checked;
  const own = call.ballot?.votes.some(({ by }) => by === signed.by) === true;
  const answer = { digest: '', at: decided.at, ...signed };
  return own && weighed(checked, call, false, answer)?.verdict === 'repeat'
    ? { verdict: 'repeat', payload, notes }
    : compareWithFirst(checked, decided.digest);
};

/** The first answer stands: an identical one is a repeat, another one is rejected. */
const compareWithFirst = (
  { state, payload, about, notes }: CheckedAnswer,
  first: string,
): AnswerEvaluation => {
  if (first === answerDigest(payload)) return { verdict: 'repeat', payload, notes };
  const earlier = earlierAnswer(state, payload.call_id);
  return rejectionText(
    FAILURES.refusedConflict,
    'conflict',
    `Call ${quote(payload.call_id)} ${earlier === null ? 'was answered before' : earlierAnswerText(earlier)}; this answer is different. The first answer stands; nothing was changed.`,
    { ...about, details: earlier },
  );
};

/** Rejects an answer that names another run. */
const otherRun = ({ state, payload, about }: CheckedAnswer): AnswerRejection | null => {
  const { runId } = state.about;
  return payload.run_id == null || payload.run_id === runId || payload.run_id === state.run?.backendRunId
    ? null
    : rejectionText(
        FAILURES.refusedUnknownCall,
        'unknown_call',
        `This is run ${quote(runId)}; the answer names run ${quote(payload.run_id)}. Send it to that run.`,
        about,
      );
};

const openIds = (state: MachineState): string[] => [
  ...waitingCalls(state).map((call) => call.callId),
  ...state.late.filter((call) => call.given === undefined).map((call) => call.callId),
];

const tooLate = (
  state: MachineState,
  payload: AnswerPayload,
  about: { callId: string; by?: string },
  at: number,
): AnswerRejection => {
  const run = `run ${quote(state.about.runId)}`;
  const why =
    state.op?.kind === 'startFollowUp'
      ? `${run} passes late answers to workflow ${quote(followUpWorkflowId(state.about.runId))}. Send the answer there.`
      : isExpired(state, at) && state.ending === null
        ? `${run} has expired. To use the answer, start a new run on the thread.`
        : `${run} is ${quote(apiStatus(state))} and continued without the answer. To use the answer, start a new run on the thread.`;
  return rejectionText(
    FAILURES.refusedTooLate,
    'too_late',
    `Call ${quote(payload.call_id)} no longer takes an answer: ${why}`,
    about,
  );
};

/** The outcome of an accepted output for an external call. */
export const outcomeOfAnswer = (payload: AnswerPayload, by: string | undefined): CallOutcome => {
  const { text, notes } = outputText(payload.output);
  return {
    output: text,
    ok: true,
    ...(notes.length === 0 ? {} : { notes }),
    ...(by === undefined ? {} : { by }),
  };
};
