/**
 * Checks what a person or the API's caller sends to a run, before it is sent. Pure.
 *
 * Rule: shape only. Whether the call is open, and of which kind, is the workflow's to say.
 * Imported by the client only.
 */
import {
  answerPayloadProblem,
  idProblem,
  RunsError,
  quote,
  submitPayloadProblem,
  type AnswerPayload,
  type SubmitPayload,
} from '../protocol/index.ts';

const refuse = (what: string, problem: string | undefined): void => {
  if (problem !== undefined) throw new RunsError('invalid_input', `${what} not sent: ${problem}.`);
};

const otherRun = (runId: string, named: string | undefined): string | undefined =>
  named === undefined || named === runId
    ? undefined
    : `it is for run ${quote(named)}, not for ${quote(runId)}`;

/** Run ids become workflow ids: checked on every call. */
export const checkRunId = (runId: string): void => {
  const problem = idProblem('runId', runId);
  if (problem !== undefined) throw new RunsError('invalid_input', `${problem}.`);
};

export const checkAnswerPayload = (runId: string, payload: AnswerPayload): void => {
  checkRunId(runId);
  refuse('The answer was', answerPayloadProblem(payload) ?? otherRun(runId, payload.run_id));
};

export const checkSubmitPayload = (runId: string, payload: SubmitPayload): void => {
  checkRunId(runId);
  refuse('The outputs were', submitPayloadProblem(payload) ?? otherRun(runId, payload.run_id));
};
