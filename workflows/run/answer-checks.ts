/**
 * Checks whether the content of an answer fits its call: kind, approval and size.
 *
 * Rule: a check rejects with subject, state, value and fix; it changes nothing. The call may be of this round or late.
 * Imports protocol and the state, no SDK. Imported by the evaluations of answers and of submits.
 */
import type { OutcomeNote } from '../../protocol/tool-calls.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import type { FailureType } from '../../protocol/temporal/names.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { outputBytesOverLimit } from '../../protocol/rules/tool-outputs.ts';
import { quote } from '../../protocol/rules/validation.ts';
import type { AnswerPayload, UnusedAnswer } from '../../protocol/temporal/messages.ts';
import { approvalFault } from './approvals.ts';
import { editedArguments } from './decisions.ts';
import { MAX_PAYLOAD_BYTES, storedBytes } from './fit-outputs.ts';
import type { Output } from './fit-outputs.ts';
import { recordedCalls } from './state.ts';
import type { CallState, MachineState } from './state.ts';

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

/** Rejects an answer of the wrong kind, or one that is too large. */
export const kindMismatch = (
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
      `${subject}: the answer has ${size} bytes; all outputs of a round together must have less than ${LIMITS.combinedOutputBytes}. Send a shorter answer, or a link to the data.`,
      about,
    );
  return null;
};

/** Rejects a decision with a wrong digest, or with arguments that the tool's schema refuses. */
export const unapprovable = (
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
export const payloadTooLarge = (
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
        `Call ${quote(call.callId)} (${call.name}): with this answer, ${late ? 'the late answers' : 'the answers of the round'} take ${bytes} bytes in storage; the limit is ${MAX_PAYLOAD_BYTES}. Earlier answers stand. Send a shorter answer, or a link to the data.`,
        about,
      );
};
