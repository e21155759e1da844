/**
 * `runs answer RUN CALL`: a person's answer to a waiting call, by Temporal's update, so that a refusal is told at once.
 *
 * Repeating the same answer is harmless; a different one is refused.
 */
import { defineCommand } from '../command.ts';
import { usageError } from '../../app/exit.ts';
import { withClient } from '../connections.ts';
import type { AnswerPayload, AnswerReply } from '../../protocol/temporal/messages.ts';

export interface AnswerOptions {
  output?: string;
  approve?: boolean;
  arguments?: string;
  deny?: boolean;
  reason?: string;
  by?: string;
}

export const answerCommand = defineCommand<AnswerOptions>({
  name: 'answer',
  summary: 'answer, approve or deny a waiting call',
  configure: (command) =>
    command
      .argument('<run>', 'id of the run')
      .argument('<call>', 'id of the call; `runs show RUN` names those that wait')
      .option('--output <text>', "the call's output, as the model will read it")
      .option('--approve', 'let the tool run')
      .option('--arguments <json>', 'with --approve: run it with these arguments instead (a JSON object)')
      .option('--deny', 'do not let the tool run')
      .option('--reason <text>', 'with --deny: told to the model')
      .option('--by <name>', 'who answers; kept with the answer'),
  run: async ({ io }, [runId = '', callId = ''], options) => {
    const payload = answerPayload(runId, callId, options);
    const reply = await withClient(io, (client) => client.answer(runId, payload));
    return { json: reply, lines: replyLines(reply) };
  },
});

/** The message that these options mean; throws a usage error when they contradict each other. */
export const answerPayload = (runId: string, callId: string, options: AnswerOptions): AnswerPayload => {
  const chosen = [options.output !== undefined, options.approve === true, options.deny === true];
  if (chosen.filter(Boolean).length !== 1)
    throw usageError(
      `answer needs exactly one of --output, --approve and --deny, got ${chosen.filter(Boolean).length}. Use --output TEXT for a call that waits for an answer, --approve or --deny for one that waits for an approval.`,
    );
  if (options.arguments !== undefined && options.approve !== true)
    throw usageError('--arguments goes with --approve only. Leave it out, or add --approve.');
  if (options.reason !== undefined && options.deny !== true)
    throw usageError('--reason goes with --deny only. Leave it out, or add --deny.');
  const base = { call_id: callId, run_id: runId, ...(options.by === undefined ? {} : { by: options.by }) };
  if (options.output !== undefined) return { ...base, output: options.output };
  if (options.deny === true)
    return { ...base, decision: 'deny', ...(options.reason === undefined ? {} : { reason: options.reason }) };
  return {
    ...base,
    decision: 'approve',
    ...(options.arguments === undefined ? {} : { arguments: jsonObject(options.arguments) }),
  };
};

const jsonObject = (text: string): object => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw usageError(
    `--arguments must be a JSON object, got ${JSON.stringify(text)}. Quote it for the shell, such as --arguments '{"amount": 20}'.`,
  );
};

const replyLines = (reply: AnswerReply): string[] => {
  const notes = reply.notes === undefined || reply.notes.length === 0 ? '' : ` (${reply.notes.join(', ')})`;
  const what = reply.result === 'repeated' ? 'was answered so already; nothing changed' : `accepted${notes}`;
  const rest =
    reply.waiting.length === 0
      ? 'Nothing else is awaited; the run goes on.'
      : `Still awaited: ${reply.waiting.join(', ')}`;
  return [`${reply.call_id}  ${what}`, rest];
};
