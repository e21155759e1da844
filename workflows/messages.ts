/**
 * Defines the signals, updates and queries of the workflows, and decodes signals.
 *
 * Rule: a signal must never fail the workflow task, because Temporal would retry the task with the same signal for
 * ever. So a signal's payload arrives raw; one that cannot be decoded becomes a value that the machine counts and
 * shows. Imported by the two workflows.
 */
import {
  ApplicationFailure,
  defaultPayloadConverter,
  defineQuery,
  defineSignal,
  defineUpdate,
} from '@temporalio/workflow';
import { RawValue, rawValueTypeInfo } from '@temporalio/common';
import type { Decision } from '../protocol/decisions.ts';
import { ANSWER, DECISIONS_QUERY, RUN_QUERY, SUBMIT_TOOL_OUTPUTS } from '../protocol/temporal/names.ts';
import type { AnswerReply, RunSnapshot, SubmitPayload, SubmitReply } from '../protocol/temporal/messages.ts';

import type { AnswerRejection } from './run/answer-checks.ts';

/** The second argument should be an `AnswerOrigin`; it is checked before use. */
export const answerUpdate = defineUpdate<AnswerReply, [unknown, unknown]>(ANSWER);
export const answerSignal = defineSignal<[RawValue]>(ANSWER, {
  typeInfo: { inputTypes: [rawValueTypeInfo] },
});
export const submitUpdate = defineUpdate<SubmitReply, [SubmitPayload, unknown]>(SUBMIT_TOOL_OUTPUTS);
export const runQuery = defineQuery<RunSnapshot>(RUN_QUERY);
export const decisionsQuery = defineQuery<Decision[]>(DECISIONS_QUERY);

/** The error that the sender of a rejected update receives. */
export const toUpdateRejection = ({ failure, message, details }: AnswerRejection): ApplicationFailure => {
  const error = ApplicationFailure.create({
    type: failure,
    message,
    nonRetryable: true,
    ...(details === null ? {} : { details: [details] }),
  });
  // The Web UI prints the stack below the message; our stack does not help a person who mistyped an id.
  error.stack = '';
  return error;
};

export const ANSWER_DESCRIPTION =
  'Answer one call. Paste one JSON object: {"call_id": "…", "output": "…"} for a call that waits for an output, or {"call_id": "…", "decision": "approve"} (optionally "arguments": {…}) or {"call_id": "…", "decision": "deny", "reason": "…"} for one that waits for approval. The ids are in the current details.';
export const SIGNAL_DESCRIPTION = `${ANSWER_DESCRIPTION} A signal gives no reply; prefer the update, which returns whether the answer was accepted.`;
export const SUBMIT_DESCRIPTION =
  'Used by the HTTP API: {"run_id": "…", "tool_outputs": [{"tool_call_id": "…", "output": "…"}]} with an output for every open external call of the round.';

/** The payload of a signal; null when it cannot be decoded. Only the encodings of the default converter are read. */
export const decodeSignalPayload = (raw: unknown): unknown => {
  if (!(raw instanceof RawValue)) return raw ?? null;
  try {
    return defaultPayloadConverter.fromPayload<unknown>(raw.payload) ?? null;
  } catch {
    return null;
  }
};
