/**
 * Evaluates `submitToolOutputs`: the API's caller answers all open external calls of a round at once.
 *
 * Rule: `protocol/rules/tool-outputs.ts` compares ids, outputs and sizes. An accepted submit is acknowledged again,
 * also after the run has moved on.
 * Imports protocol and the state, no SDK.
 */
import { FAILURES } from '../../protocol/temporal/names.ts';
import { LIMITS, NAMED_OFFENDERS } from '../../protocol/limits.ts';
import { compareOutputs, outputBytesOverLimit } from '../../protocol/rules/tool-outputs.ts';
import { quote, submitPayloadProblem } from '../../protocol/rules/validation.ts';
import type { SubmitPayload } from '../../protocol/temporal/messages.ts';
import { outputDigest } from './evaluate-answer.ts';
import { bytesOverLimit, rejectionText } from './answer-checks.ts';
import type { AnswerRejection } from './answer-checks.ts';
import { isExpired } from './deadline.ts';
import { MAX_PAYLOAD_BYTES } from './fit-outputs.ts';
import { apiStatus, takesAnswers } from './state.ts';
import type { MachineState } from './state.ts';

export type SubmitEvaluation =
  /** `callIds`: the open calls that this submit answers. */
  | { verdict: 'accept'; round: number; callIds: string[] }
  | { verdict: 'repeat'; round: number }
  | AnswerRejection;

export const evaluateSubmit = (state: MachineState, value: unknown, at: number): SubmitEvaluation => {
  const problem = submitPayloadProblem(value);
  if (problem !== undefined) return rejectionText(FAILURES.refusedMalformed, 'malformed', problem);
  const payload = value as SubmitPayload;
  const { runId } = state.about;
  if (payload.run_id !== runId && payload.run_id !== state.run?.backendRunId)
    return rejectionText(
      FAILURES.refusedMalformed,
      'malformed',
      `This is run ${quote(runId)}; the outputs name run ${quote(payload.run_id)}. Send them to that run.`,
    );

  const given = new Map(payload.tool_outputs.map((item) => [item.tool_call_id, item.output]));
  const external = state.calls.filter((call) => call.plan.kind === 'external');
  const {
    open: expected,
    duplicate,
    missing,
    unexpected,
    differing,
  } = compareOutputs(
    external.map(({ callId, status, answer }) => ({
      callId,
      matches: status === 'waiting' ? null : (output) => answer?.digest === outputDigest(output),
    })),
    payload.tool_outputs,
  );
  const got = payload.tool_outputs.map((item) => item.tool_call_id);
  const callIds = (what: string): AnswerRejection =>
    rejectionText(
      FAILURES.refusedCallIds,
      'conflict',
      `Run ${quote(runId)} needs exactly the outputs of its open calls ${quote(expected, 400)}; got ${quote(got, 400)}: ${what}`,
      { details: { expected, got: got.slice(0, NAMED_OFFENDERS) } },
    );
  if (duplicate !== undefined) return callIds('send each output once.');

  if (takesAnswers(state) && !isExpired(state, at) && expected.length > 0) {
    // A client that lost the reply to the previous round's submit sends that submit again.
    if (unexpected.length > 0 && isRepeat(state, given, state.round - 1))
      return { verdict: 'repeat', round: state.round - 1 };
    if (missing.length > 0) return callIds(`${quote(missing, 400)} missing.`);
    if (unexpected.length > 0) return callIds(`${quote(unexpected, 400)} not among the open calls.`);
    if (differing.length > 0) return conflict(differing);
    const tooLarge = sizeProblem(state, payload);
    if (tooLarge !== undefined) return rejectionText(FAILURES.refusedMalformed, 'malformed', tooLarge);
    return { verdict: 'accept', round: state.round, callIds: expected };
  }

  if (isRepeat(state, given, state.round)) return { verdict: 'repeat', round: state.round };
  if (isRepeat(state, given, state.round - 1)) return { verdict: 'repeat', round: state.round - 1 };
  const status = isExpired(state, at) && state.ending === null ? 'expired' : apiStatus(state);
  const answered = external.filter(({ callId, answer }) => answer !== undefined && given.has(callId));
  if (takesAnswers(state) && answered.length === given.size)
    return conflict(answered.map((call) => call.callId));
  return rejectionText(
    FAILURES.refusedNotWaiting,
    'too_late',
    `Run ${quote(runId)} is ${quote(status)} and waits for no outputs now; got outputs for ${quote(got, 400)}.`,
    { details: { status } },
  );
};

const sizeProblem = (state: MachineState, { tool_outputs: outputs }: SubmitPayload): string | undefined => {
  const size = outputBytesOverLimit(outputs.map(({ output }) => output));
  if (size !== null)
    return `tool_outputs have ${size} bytes together; they must have less than ${LIMITS.combinedOutputBytes}. Send shorter outputs.`;
  const stored = bytesOverLimit(
    state,
    outputs.map(({ tool_call_id: callId, output }) => ({ callId, output })),
  );
  return stored === null
    ? undefined
    : `With these tool_outputs, the answers of the round take ${stored} bytes in storage; the limit is ${MAX_PAYLOAD_BYTES}. Earlier answers stand. Send shorter outputs.`;
};

const conflict = (ids: string[]): AnswerRejection =>
  rejectionText(
    FAILURES.refusedConflict,
    'conflict',
    `Calls ${quote(ids, 400)} were answered before, with other outputs. The first answers stand; nothing was changed.`,
    { details: { callIds: ids } },
  );

/** True when these outputs are the external answers of that round. */
const isRepeat = (state: MachineState, given: ReadonlyMap<string, string>, round: number): boolean => {
  const known: { callId: string; digest: string | undefined }[] =
    round === state.round && state.calls.length > 0
      ? state.calls
          .filter((call) => call.plan.kind === 'external')
          .map((call) => ({ callId: call.callId, digest: call.answer?.digest }))
      : state.past
          .filter((call) => call.round === round && call.kind === 'external')
          .map((call) => ({ callId: call.callId, digest: call.digest }));
  if (known.length === 0 || known.length < given.size) return false;
  const digests = new Map(known.map((call) => [call.callId, call.digest]));
  return [...given].every(([id, output]) => digests.has(id) && digests.get(id) === outputDigest(output));
};
