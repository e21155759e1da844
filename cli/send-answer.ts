/**
 * Sending a person's answer, and what comes back: taken, or refused with the field and the problem.
 *
 * Rule: arguments that a person gave are checked by the run's schema and then by the tool; both refusals are errors here, and
 * the call waits on. Imported by `answer` and the demo.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { CliError, EXIT } from '../app/exit.ts';
import type { RunsClient } from '../client/index.ts';
import { RunsError } from '../protocol/errors.ts';
import { visible } from '../protocol/rules/visible.ts';
import { FAILURES } from '../protocol/temporal/names.ts';
import type { AnswerReply } from '../protocol/temporal/messages.ts';
import { answerPayload, type AnswerOptions } from './answer-options.ts';

export const sendAndLook = async (
  client: RunsClient,
  { runId, callId }: { runId: string; callId: string },
  options: AnswerOptions,
): Promise<AnswerReply> => {
  const payload = answerPayload(runId, callId, options);
  const reply = await client.answer(runId, payload, { origin: { door: 'cli' } });
  // A vote that decides nothing starts no tool: what the call shows of one is of an earlier decision.
  const undecided = reply.votes_needed !== undefined;
  const refused = payload.arguments == null || undecided ? null : await refusedByTool(client, runId, callId);
  if (refused !== null) throw editRefused(callId, refused);
  return reply;
};

export const editRefused = (callId: string, problem: string): CliError =>
  new CliError(
    EXIT.refused,
    'arguments_refused',
    `The approval was not used, and call ${JSON.stringify(callId)} keeps waiting: the arguments of the approval do not match the tool's parameters: ${visible(problem)}. The tool has not run. Correct the arguments and answer again.`,
  );

/** How often and how far apart a run is looked at for what the tool makes of a person's arguments: milliseconds. */
const DECISION_POLLS = { count: 8, everyMs: 250 };

/**
 * What only the tool can check it checks after the answer was taken. Its refusal comes within a moment, where a worker is
 * free; later the run's page, `runs show` and the hook tell it.
 */
const refusedByTool = async (client: RunsClient, runId: string, callId: string): Promise<string | null> => {
  for (let look = 0; look < DECISION_POLLS.count; look += 1) {
    const run = await client.get(runId).catch(() => null);
    const call = run?.calls.find((item) => item.callId === callId);
    if (call === undefined || call.state === 'done') return null;
    if (call.state === 'waiting') return call.refusedEdit?.problem ?? null;
    await pause(DECISION_POLLS.everyMs);
  }
  return null;
};

/** Codes of errors: our own, and the API's. */
const ARGUMENTS_PROBLEMS: ReadonlySet<string> = new Set(['arguments_refused', 'invalid_arguments']);

/** Is the error about the arguments that a person gave, so that others may be taken? */
export const isArgumentsProblem = (error: unknown): error is Error =>
  error instanceof CliError
    ? ARGUMENTS_PROBLEMS.has(error.code) || error.exitCode === EXIT.usage
    : error instanceof RunsError && error.failure === FAILURES.refusedArguments;
