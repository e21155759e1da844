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
import type { FailureType } from '../../protocol/temporal/names.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { outputBytesOverLimit } from '../../protocol/rules/tool-outputs.ts';
import { answerPayloadProblem, jsonObject, quote } from '../../protocol/rules/validation.ts';
import type { AnswerPayload, UnusedAnswer } from '../../protocol/temporal/messages.ts';
import { approvalFault } from './approvals.ts';
import { earlierAnswer, earlierAnswerText } from './earlier-answer.ts';
import { isExpired } from './deadline.ts';
import { UNKNOWN_SENDER, editedArguments, isForbidden, signature } from './decisions.ts';
import { contentDigest } from './content-digest.ts';
import { MAX_PAYLOAD_BYTES, storedBytes } from './fit-outputs.ts';
import type { Output } from './fit-outputs.ts';
import { apiStatus, recordedCalls, takesAnswers, waitingCalls } from './state.ts';
import type { AcceptedAnswer, CallState, MachineState } from './state.ts';

export interface AnswerRejection {
  verdict: 'refuse';
  failure: FailureType;
  /** The reason in the list of rejected signals. */
  reason: UnusedAnswer['reason'];
  message: string;
  details: unknown;
  callId: string;
  by?: string;
}

export type AnswerEvaluation =
  | { verdict: 'accept'; payload: AnswerPayload; answer: AcceptedAnswer; notes: OutcomeNote[]; late: boolean }
  | { verdict: 'repeat'; payload: AnswerPayload; notes: OutcomeNote[] }
  | AnswerRejection;

export const rejectionText = (
  failure: FailureType,
  reason: UnusedAnswer['reason'],
  message: string,
  about: { callId?: string; by?: string; details?: unknown } = {},
): AnswerRejection => ({
  verdict: 'refuse',
  failure,
  reason,
  message,
  details: about.details ?? null,
  callId: about.callId ?? '',
  ...(about.by === undefined ? {} : { by: about.by }),
});

/** The text that the model reads for an `output`. */
export const outputText = (output: unknown): { text: string; notes: OutcomeNote[] } =>
  typeof output === 'string'
    ? { text: output, notes: [] }
    : { text: JSON.stringify(output) ?? 'null', notes: ['serialised'] };

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
  const about = { callId: payload.call_id, ...(signed.by === undefined ? {} : { by: signed.by }) };
  const { runId } = state.about;
  if (payload.run_id != null && payload.run_id !== runId && payload.run_id !== state.run?.backendRunId)
    return rejectionText(
      FAILURES.refusedUnknownCall,
      'unknown_call',
      `This is run ${quote(runId)}; the answer names run ${quote(payload.run_id)}. Send it there.`,
      about,
    );

  const serialised = payload.decision === undefined ? outputText(payload.output).notes : [];
  // A digest reads the whole text, so it is computed only for answers that are compared or stored.
  const accept = (late: boolean): AnswerEvaluation => ({
    verdict: 'accept',
    payload,
    answer: { digest: answerDigest(payload), at, ...signed },
    notes: serialised,
    late,
  });
  const against = (first: string): AnswerEvaluation => {
    if (first === answerDigest(payload)) return { verdict: 'repeat', payload, notes: serialised };
    const earlier = earlierAnswer(state, payload.call_id);
    return rejectionText(
      FAILURES.refusedConflict,
      'conflict',
      `Call ${quote(payload.call_id)} ${earlier === null ? 'was answered before' : earlierAnswerText(earlier)}; this answer is another one. The first answer stands; nothing was changed.`,
      { ...about, details: earlier },
    );
  };

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
      `Call ${quote(payload.call_id)} is of tool ${quote(forbidden.name)}; the key of ${quote(source.keyName ?? null)} may decide calls of ${list(source.tools ?? [])}. Use a key that has the tool.`,
      about,
    );
  if (call !== undefined) {
    if (call.answer !== undefined) return against(call.answer.digest);
    if (call.status === 'waiting') {
      const fault = kindMismatch(call, payload, about);
      if (fault !== null) return fault;
      if (!takesAnswers(state) || isExpired(state, at)) return tooLate(state, payload, about, at);
      return (
        unapprovable(runId, call, payload, about) ??
        payloadTooLarge(state, call, payload, about) ??
        accept(false)
      );
    }
    if (late === undefined)
      return call.plan.kind === 'automatic' || call.plan.kind === 'refused'
        ? rejectionText(
            FAILURES.refusedWrongKind,
            'wrong_kind',
            `Call ${quote(call.callId)} (${call.name}) is carried out by the worker; it takes no answer. Open calls: ${list(openIds(state))}.`,
            about,
          )
        : tooLate(state, payload, about, at);
  }
  if (late !== undefined) {
    if (late.given !== undefined) return against(late.given.answer.digest);
    if (state.ending !== null || state.closing !== null)
      return kindMismatch(late, payload, about) ?? tooLate(state, payload, about, at);
    return (
      kindMismatch(late, payload, about) ??
      unapprovable(runId, late, payload, about) ??
      payloadTooLarge(state, late, payload, about) ??
      accept(true)
    );
  }
  if (past?.digest !== undefined) return against(past.digest);
  if (past !== undefined) return tooLate(state, payload, about, at);
  const open = openIds(state);
  return rejectionText(
    FAILURES.refusedUnknownCall,
    'unknown_call',
    `Run ${quote(runId)} has no call ${quote(payload.call_id)}. Calls that wait for an answer now: ${list(open)}.`,
    { ...about, details: open },
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
      ? `${run} hands it over to workflow ${quote(followUpWorkflowId(state.about.runId))}. Send the answer there.`
      : isExpired(state, at) && state.ending === null
        ? `${run} has expired. Start a new run on the thread to carry it on.`
        : `${run} is ${quote(apiStatus(state))} and went on without it. Start a new run on the thread to carry it on.`;
  return rejectionText(
    FAILURES.refusedTooLate,
    'too_late',
    `Call ${quote(payload.call_id)} takes no answer here any more: ${why}`,
    about,
  );
};

/** Rejects an answer of the wrong kind, or one that is too large. */
const kindMismatch = (
  call: Pick<CallState, 'callId' | 'name' | 'plan'>,
  payload: AnswerPayload,
  about: { callId: string; by?: string },
): AnswerRejection | null => {
  const subject = `Call ${quote(call.callId)} (${call.name})`;
  if (call.plan.kind === 'approval' && payload.decision === undefined)
    return rejectionText(
      FAILURES.refusedWrongKind,
      'wrong_kind',
      `${subject} waits for an approval, not for an output; got output ${quote(payload.output)}. Send "decision": "approve" or "deny".`,
      about,
    );
  if (call.plan.kind === 'external' && payload.decision !== undefined)
    return rejectionText(
      FAILURES.refusedWrongKind,
      'wrong_kind',
      `${subject} waits for an output, not for a decision; got decision ${quote(payload.decision)}. Send "output".`,
      about,
    );
  const size = outputBytesOverLimit([
    payload.decision === undefined ? outputText(payload.output).text : (editedArguments(payload) ?? ''),
  ]);
  if (size !== null)
    return rejectionText(
      FAILURES.refusedMalformed,
      'malformed',
      `${subject}: the answer has ${size} bytes; all outputs of a round together must be less than ${LIMITS.combinedOutputBytes}. Send less, or a link to it.`,
      about,
    );
  return null;
};

/** Rejects a decision with a wrong digest, or with arguments that the tool's schema refuses. */
const unapprovable = (
  runId: string,
  call: Parameters<typeof approvalFault>[1],
  payload: AnswerPayload,
  about: { callId: string; by?: string },
): AnswerRejection | null => {
  const fault = approvalFault(runId, call, payload);
  return fault === null
    ? null
    : rejectionText(fault.failure, fault.reason, fault.message, { ...about, details: fault.details });
};

/** The stored size of the round with these outputs, when it exceeds one payload; else null. */
export const bytesOverLimit = (state: MachineState, added: readonly Output[]): number | null => {
  const ids = new Set(added.map(({ callId }) => callId));
  const standing = recordedCalls(state)
    .filter(({ callId }) => !ids.has(callId))
    .map(({ callId, outcome }) => ({ callId, output: outcome?.output ?? '' }));
  const bytes = storedBytes([...standing, ...added]);
  return state.about.backend === 'chat' && bytes > MAX_PAYLOAD_BYTES ? bytes : null;
};

/** Rejects an answer when the stored answers would exceed one payload. Earlier answers stand. */
const payloadTooLarge = (
  state: MachineState,
  call: Pick<CallState, 'callId' | 'name' | 'plan'>,
  payload: AnswerPayload,
  about: { callId: string; by?: string },
): AnswerRejection | null => {
  const late = state.late.some(({ callId }) => callId === call.callId);
  if (!late && (call.plan.kind !== 'external' || payload.decision !== undefined)) return null;
  const bytes = late
    ? storedBytes([...state.late, payload])
    : bytesOverLimit(state, [{ callId: call.callId, output: outputText(payload.output).text }]);
  return bytes === null || bytes <= MAX_PAYLOAD_BYTES
    ? null
    : rejectionText(
        FAILURES.refusedMalformed,
        'malformed',
        `Call ${quote(call.callId)} (${call.name}): with this answer, ${late ? 'the late answers' : 'the answers of the round'} take ${bytes} bytes as they are stored; together they may take ${MAX_PAYLOAD_BYTES}. What was answered before stands. Send less, or a link to it.`,
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
