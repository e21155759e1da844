/**
 * Checks what a person or the API's caller sends to a run, before it is sent. Pure.
 *
 * Rule: shape only. Whether the call is open, and of which kind, is the workflow's to say.
 * Imported by the client only.
 */
import { idProblem, RunsError, shown, type AnswerPayload, type SubmitPayload } from '../protocol/index.ts';
import { answerPayloadSchema, toolOutputSchema } from '../protocol/schemas.ts';

const refuse = (what: string, problem: string): never => {
  throw new RunsError('invalid_input', `${what} was not sent: ${problem}.`);
};

const issues = (error: { issues: { path: PropertyKey[]; message: string }[] }): string =>
  error.issues
    .slice(0, 5)
    .map(({ path, message }) => `${path.length === 0 ? '' : `${path.map(String).join('.')}: `}${message}`)
    .join('; ');

/** Run ids become workflow ids: checked on every call. */
export const checkRunId = (runId: string): void => {
  const problem = idProblem('runId', runId);
  if (problem !== undefined) throw new RunsError('invalid_input', problem);
};

export const checkAnswer = (runId: string, payload: AnswerPayload): void => {
  checkRunId(runId);
  const parsed = answerPayloadSchema.safeParse(payload);
  if (!parsed.success) refuse('The answer', issues(parsed.error));
  const decided = payload.decision !== undefined;
  if (decided === (payload.output !== undefined)) {
    refuse(
      'The answer',
      `it needs either "output" (for a call that waits for its output) or "decision" (for one that waits for approval), and ${decided ? 'has both' : 'has neither'}`,
    );
  }
  if (payload.arguments !== undefined && payload.decision !== 'approve')
    refuse('The answer', `"arguments" goes with decision "approve" only; got ${shown(payload.decision)}`);
  if (payload.reason !== undefined && payload.decision !== 'deny')
    refuse('The answer', `"reason" goes with decision "deny" only; got ${shown(payload.decision)}`);
  if (payload.run_id !== undefined && payload.run_id !== runId)
    refuse('The answer', `it is for run ${shown(payload.run_id)}, not for ${shown(runId)}`);
};

export const checkSubmit = (runId: string, payload: SubmitPayload): void => {
  checkRunId(runId);
  if (payload.run_id !== runId)
    refuse('The outputs', `they are for run ${shown(payload.run_id)}, not for ${shown(runId)}`);
  const parsed = toolOutputSchema.array().safeParse(payload.tool_outputs);
  if (!parsed.success) refuse('The outputs', issues(parsed.error));
};
