/**
 * Decides about answers: one judgement for signal, update and its validator, so the three never disagree.
 *
 * Rule: the state decides, the first answer stands, an identical repeat is acknowledged, and a refusal names subject,
 * state, value and fix. Judging changes nothing; the machine applies what was accepted.
 * Imports protocol and the state, no SDK.
 */
import type { CallOutcome, OutcomeNote } from '../../protocol/calls.ts';
import { FAILURES, followUpWorkflowId } from '../../protocol/names.ts';
import type { FailureType } from '../../protocol/names.ts';
import { LIMITS, answerPayloadProblem, jsonObject, shown } from '../../protocol/problems.ts';
import type { AnswerPayload, UnusedAnswer } from '../../protocol/workflow.ts';
import { expired } from './deadline.ts';
import { digest } from './digest.ts';
import { PAYLOAD_MOST_BYTES, storedBytes, utf8Bytes } from './outputs.ts';
import type { Output } from './outputs.ts';
import { apiStatus, recordedCalls, takesAnswers, waitingCalls } from './state.ts';
import type { AcceptedAnswer, CallState, RunState } from './state.ts';

export interface Refusal {
  verdict: 'refuse';
  failure: FailureType;
  /** How it is listed when it came by signal. */
  reason: UnusedAnswer['reason'];
  message: string;
  details: unknown;
  callId: string;
  by?: string;
}

export type Judgement =
  | { verdict: 'accept'; payload: AnswerPayload; answer: AcceptedAnswer; notes: OutcomeNote[]; late: boolean }
  | { verdict: 'repeat'; payload: AnswerPayload; notes: OutcomeNote[] }
  | Refusal;

export const refusal = (
  failure: FailureType,
  reason: UnusedAnswer['reason'],
  message: string,
  about: { callId?: string; by?: string; details?: unknown } = {},
): Refusal => ({
  verdict: 'refuse',
  failure,
  reason,
  message,
  details: about.details ?? null,
  callId: about.callId ?? '',
  ...(about.by === undefined ? {} : { by: about.by }),
});

/** The text that the model will read for a given `output`. */
export const outputText = (output: unknown): { text: string; notes: OutcomeNote[] } =>
  typeof output === 'string'
    ? { text: output, notes: [] }
    : { text: JSON.stringify(output) ?? 'null', notes: ['serialised'] };

/** Edited arguments as JSON text, or null when there are none. */
export const editedArguments = (payload: AnswerPayload): string | null => {
  const edited = jsonObject(payload.arguments);
  return edited === null ? null : JSON.stringify(edited);
};

/** What was said, `by` left out: the same answer from another desk is a repeat. */
const said = (payload: AnswerPayload): string =>
  payload.decision === undefined
    ? `output:${outputText(payload.output).text}`
    : `${payload.decision}:${editedArguments(payload) ?? ''}:${payload.reason ?? ''}`;

export const digestOf = (payload: AnswerPayload): string => digest(said(payload));
/** An output that came by `submitToolOutputs` is the same answer as one given by `answer`. */
export const digestOfOutput = (output: string): string => digest(`output:${output}`);

/** People paste JSON into fields that expect text, and tools send text where JSON is expected: both are understood. */
const lenient = (value: unknown): unknown =>
  typeof value === 'string' ? (jsonObject(value) ?? value) : value;

const list = (ids: readonly string[]): string =>
  ids.length === 0 ? 'none' : ids.map((id) => shown(id)).join(', ');

export const judge = (state: RunState, value: unknown, at: number): Judgement => {
  const candidate = lenient(value);
  const problem = answerPayloadProblem(candidate);
  if (problem !== undefined) {
    const callId = jsonObject(candidate)?.['call_id'];
    return refusal(FAILURES.refusedMalformed, 'malformed', problem, {
      callId: typeof callId === 'string' ? callId.slice(0, 128) : '',
    });
  }
  const payload = candidate as AnswerPayload;
  const about = { callId: payload.call_id, ...(payload.by == null ? {} : { by: payload.by }) };
  const { runId } = state.about;
  if (payload.run_id != null && payload.run_id !== runId && payload.run_id !== state.run?.backendRunId)
    return refusal(
      FAILURES.refusedUnknownCall,
      'unknown_call',
      `This is run ${shown(runId)}; the answer names run ${shown(payload.run_id)}. Send it there.`,
      about,
    );

  const serialised = payload.decision === undefined ? outputText(payload.output).notes : [];
  // A digest reads the whole text: only for what is compared or kept.
  const accept = (late: boolean): Judgement => ({
    verdict: 'accept',
    payload,
    answer: { digest: digestOf(payload), at, ...(payload.by == null ? {} : { by: payload.by }) },
    notes: serialised,
    late,
  });
  const against = (first: string): Judgement =>
    first === digestOf(payload)
      ? { verdict: 'repeat', payload, notes: serialised }
      : refusal(
          FAILURES.refusedConflict,
          'conflict',
          `Call ${shown(payload.call_id)} was answered before, differently. The first answer stands; nothing was changed.`,
          about,
        );

  const late = state.late.find((call) => call.callId === payload.call_id);
  const call = state.calls.find((item) => item.callId === payload.call_id);
  if (call !== undefined) {
    if (call.answer !== undefined) return against(call.answer.digest);
    if (call.status === 'waiting') {
      const fault = unfit(call, payload, about);
      if (fault !== null) return fault;
      if (!takesAnswers(state) || expired(state, at)) return tooLate(state, payload, about, at);
      return tooMuch(state, call, payload, about) ?? accept(false);
    }
    if (late === undefined)
      return call.plan.kind === 'automatic' || call.plan.kind === 'refused'
        ? refusal(
            FAILURES.refusedWrongKind,
            'wrong_kind',
            `Call ${shown(call.callId)} (${call.name}) is carried out by the worker; it takes no answer. Open calls: ${list(openIds(state))}.`,
            about,
          )
        : tooLate(state, payload, about, at);
  }
  if (late !== undefined) {
    if (late.given !== undefined) return against(late.given.answer.digest);
    if (state.ending !== null || state.closing !== null)
      return unfit(late, payload, about) ?? tooLate(state, payload, about, at);
    return unfit(late, payload, about) ?? tooMuch(state, late, payload, about) ?? accept(true);
  }
  const past = state.past.findLast((item) => item.callId === payload.call_id);
  if (past?.digest !== undefined) return against(past.digest);
  if (past !== undefined) return tooLate(state, payload, about, at);
  const open = openIds(state);
  return refusal(
    FAILURES.refusedUnknownCall,
    'unknown_call',
    `Run ${shown(runId)} has no call ${shown(payload.call_id)}. Calls that wait for an answer now: ${list(open)}.`,
    { ...about, details: open },
  );
};

const openIds = (state: RunState): string[] => [
  ...waitingCalls(state).map((call) => call.callId),
  ...state.late.filter((call) => call.given === undefined).map((call) => call.callId),
];

const tooLate = (
  state: RunState,
  payload: AnswerPayload,
  about: { callId: string; by?: string },
  at: number,
): Refusal => {
  const run = `run ${shown(state.about.runId)}`;
  const why =
    state.op?.kind === 'startFollowUp'
      ? `${run} hands it over to workflow ${shown(followUpWorkflowId(state.about.runId))}. Send the answer there.`
      : expired(state, at) && state.ending === null
        ? `${run} has expired. Start a new run on the thread to carry it on.`
        : `${run} is ${shown(apiStatus(state))} and went on without it. Start a new run on the thread to carry it on.`;
  return refusal(
    FAILURES.refusedTooLate,
    'too_late',
    `Call ${shown(payload.call_id)} takes no answer here any more: ${why}`,
    about,
  );
};

/** Does the answer fit the kind of call, and is it small enough? */
const unfit = (
  call: Pick<CallState, 'callId' | 'name' | 'plan'>,
  payload: AnswerPayload,
  about: { callId: string; by?: string },
): Refusal | null => {
  const subject = `Call ${shown(call.callId)} (${call.name})`;
  if (call.plan.kind === 'approval' && payload.decision === undefined)
    return refusal(
      FAILURES.refusedWrongKind,
      'wrong_kind',
      `${subject} waits for an approval, not for an output; got output ${shown(payload.output)}. Send "decision": "approve" or "deny".`,
      about,
    );
  if (call.plan.kind === 'external' && payload.decision !== undefined)
    return refusal(
      FAILURES.refusedWrongKind,
      'wrong_kind',
      `${subject} waits for an output, not for a decision; got decision ${shown(payload.decision)}. Send "output".`,
      about,
    );
  const size = utf8Bytes(
    payload.decision === undefined ? outputText(payload.output).text : (editedArguments(payload) ?? ''),
  );
  if (size >= LIMITS.combinedOutputBytes)
    return refusal(
      FAILURES.refusedMalformed,
      'malformed',
      `${subject}: the answer has ${size} bytes; all outputs of a round together must be less than ${LIMITS.combinedOutputBytes}. Send less, or a link to it.`,
      about,
    );
  return null;
};

/** How much is kept of a round with these outputs among what stands, when that is more than may be; else null. */
export const excess = (state: RunState, added: readonly Output[]): number | null => {
  const ids = new Set(added.map(({ callId }) => callId));
  const standing = recordedCalls(state)
    .filter(({ callId }) => !ids.has(callId))
    .map(({ callId, outcome }) => ({ callId, output: outcome?.output ?? '' }));
  const bytes = storedBytes([...standing, ...added]);
  return state.about.backend === 'chat' && bytes > PAYLOAD_MOST_BYTES ? bytes : null;
};

/** Would there be more answers than one payload holds? What was answered before stays. */
const tooMuch = (
  state: RunState,
  call: Pick<CallState, 'callId' | 'name' | 'plan'>,
  payload: AnswerPayload,
  about: { callId: string; by?: string },
): Refusal | null => {
  const late = state.late.some(({ callId }) => callId === call.callId);
  if (!late && (call.plan.kind !== 'external' || payload.decision !== undefined)) return null;
  const bytes = late
    ? storedBytes([...state.late, payload])
    : excess(state, [{ callId: call.callId, output: outputText(payload.output).text }]);
  return bytes === null || bytes <= PAYLOAD_MOST_BYTES
    ? null
    : refusal(
        FAILURES.refusedMalformed,
        'malformed',
        `Call ${shown(call.callId)} (${call.name}): with this answer, ${late ? 'the late answers' : 'the answers of the round'} take ${bytes} bytes as they are stored; together they may take ${PAYLOAD_MOST_BYTES}. What was answered before stands. Send less, or a link to it.`,
        about,
      );
};

/** The outcome of an accepted output for an external call. */
export const answeredOutcome = (payload: AnswerPayload): CallOutcome => {
  const { text, notes } = outputText(payload.output);
  return {
    output: text,
    ok: true,
    ...(notes.length === 0 ? {} : { notes }),
    ...(payload.by == null ? {} : { by: payload.by }),
  };
};
