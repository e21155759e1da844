/**
 * `runs answer [RUN] [CALL]`: sends a person's answer to a waiting call, as an update of Temporal or over the HTTP API, so
 * that a rejection is reported at once.
 *
 * Rule: repeating the same answer is harmless; a different one is rejected. At a terminal it asks for missing parts.
 */
import { EXIT, usageError } from '../../app/exit.ts';
import { answerPayload, decisionsIn, type AnswerOptions } from '../answer-options.ts';
import { defineCommand, type CommandContext, type Outcome } from '../command.ts';
import { withClient } from '../connections.ts';
import { wrapped } from '../output/format.ts';
import {
  API_OPTION,
  approvalMeant,
  approvalsApi,
  approvalsMeant,
  sendDecision,
  type WaitingApproval,
} from '../approvals-api.ts';
import type { ApiClient } from '../api-client.ts';
import type { AskedAnswer } from '../ask-answer.ts';
import { candidateCalls, findCallByText } from '../meant-call.ts';
import type { WaitingCall } from '../waiting-calls.ts';
import { sendAndLook, editRefused } from '../send-answer.ts';
import type { AnswerReply } from '../../protocol/temporal/messages.ts';

interface Options extends AnswerOptions {
  api?: boolean;
}

export const answerCommand = defineCommand<Options>({
  name: 'answer',
  summary: 'answer, approve or deny a waiting call',
  configure: (command) =>
    command
      .argument(
        '[run]',
        'id of the run, the first characters of the id, or the code of a call; without it, the command asks at a terminal',
      )
      .argument('[call]', 'id or code of the call; not needed when only one waits')
      .option('--output <text>', "the call's output, as the model will read it")
      .option('--approve', 'let the tool run')
      .option('--arguments <json>', 'with --approve: run it with these arguments instead (a JSON object)')
      .option('--digest <hex>', 'digest of the arguments that you read; refused when the call has others')
      .option('--deny', 'do not let the tool run')
      .option(
        '--delegate <names>',
        'hand the decision over: names of people, and of groups with "@" before them, separated by commas',
      )
      .option('--reason <text>', 'with --deny: the reason, which the model reads')
      .option('--by <name>', 'your name; stored with the answer, not verified by a key')
      .option('--note <text>', 'a note, stored with the decision; the model does not read it')
      .option('--api', API_OPTION),
  run: async (context, [run, call], options) => {
    const asks = context.io.ask !== undefined && !context.json;
    // Contradictions are refused before a server is asked.
    if (decisionsIn(options) !== 0 || !asks) answerPayload('', '', options);
    if (run === undefined && !asks)
      throw usageError(
        'answer needs a run, or the code of a call: "runs list --waiting" shows both. At a terminal it asks.',
      );
    const asked = { run, call, options };
    // An output goes through Temporal: the API takes it from the caller of the run only.
    const isOutput = options.output !== undefined && options.api !== true;
    const api = isOutput ? null : await approvalsApi(context.io, options.api);
    if (api !== null) return answerOverApi(context, api, asked);
    return withClient(context.io, async (client) => {
      if (run !== undefined && decisionsIn(options) > 0)
        return replied(await sendAndLook(client, await findCallByText(client, run, call), options));
      const answer = await askFor(context, asked, await candidateCalls(client, run, call));
      if (answer === null) return NOTHING_ANSWERED;
      return askedAndSent(context, answer, (final) => sendAndLook(client, answer, final));
    });
  },
});

interface Asked {
  run: string | undefined;
  call: string | undefined;
  options: Options;
}

const NOTHING_ANSWERED: Outcome = {
  json: null,
  lines: ['Nothing was answered.'],
  exitCode: EXIT.interrupted,
};

const answerOverApi = async (context: CommandContext, api: ApiClient, asked: Asked): Promise<Outcome> => {
  const { run, call, options } = asked;
  if (run !== undefined && decisionsIn(options) > 0)
    return replied(await sentOverApi(api, await approvalMeant(api, run, call), options));
  const waiting = await approvalsMeant(api, run, call);
  const answer = await askFor(context, asked, waiting);
  const chosen = waiting.find(
    ({ runId, callId }) => answer !== null && runId === answer.runId && callId === answer.callId,
  );
  if (answer === null || chosen === undefined) return NOTHING_ANSWERED;
  return askedAndSent(context, answer, (final) => sentOverApi(api, chosen, final));
};

const sentOverApi = async (
  api: ApiClient,
  call: WaitingApproval,
  options: AnswerOptions,
): Promise<AnswerReply> => {
  const callId = call.callId ?? '';
  const { reply, refused } = await sendDecision(api, call, answerPayload(call.runId, callId, options));
  if (refused !== null) throw editRefused(callId, refused);
  return reply;
};

/** Sends what was answered to the questions; arguments are edited first, until they are taken. */
const askedAndSent = async (
  { io, say }: CommandContext,
  { options, edit }: AskedAnswer,
  send: (options: AnswerOptions) => Promise<AnswerReply>,
): Promise<Outcome> => {
  if (edit === undefined) return replied(await send(options));
  const { editUntilTaken, textEditor } = await import('../edit-arguments.ts');
  const ask = async (question: string, given?: string): Promise<string | null> =>
    (await io.ask?.(question, given)) ?? null;
  const reply = await editUntilTaken({
    text: edit,
    editor: textEditor(io.env, ask),
    send: (text) => send({ ...options, arguments: text }),
    ask,
    say: (line) => {
      for (const part of wrapped(line, io.columns())) say(part);
    },
  });
  return reply === null ? NOTHING_ANSWERED : replied(reply);
};

const replied = (reply: AnswerReply): Outcome => ({ json: reply, lines: replyLines(reply) });

/** At a terminal, asks for the call and the answer where the command line leaves them open. */
const askFor = async (
  { io, say }: CommandContext,
  { options }: Asked,
  waiting: readonly WaitingCall[],
): Promise<AskedAnswer | null> => {
  const { askForAnswer } = await import('../ask-answer.ts');
  return askForAnswer({
    waiting,
    options,
    now: Date.now(),
    say,
    ask: async (question) => (await io.ask?.(question)) ?? null,
  });
};

const replyLines = (reply: AnswerReply): string[] => {
  const notes = reply.notes === undefined || reply.notes.length === 0 ? '' : ` (${reply.notes.join(', ')})`;
  const what =
    reply.result === 'repeated' ? 'had the same answer before; nothing changed' : `accepted${notes}`;
  const { votes_needed: needed } = reply;
  if (needed !== undefined)
    return [
      `${reply.call_id}  ${what}`,
      `The call keeps waiting: ${needed} more vote${needed === 1 ? '' : 's'} for the same arguments would approve it. "runs show ${reply.run_id}" shows the votes.`,
    ];
  return [`${reply.call_id}  ${what}`, nextStepText(reply)];
};

const nextStepText = ({ run_id: runId, late, waiting, follow_up_run_id: next }: AnswerReply): string => {
  if (next !== undefined) return `Run ${runId} had ended; the answer starts ${next}.`;
  if (late === true)
    return `Run ${runId} continued without it; a new run will carry the answer, and "runs show ${runId}" names it.`;
  return waiting.length === 0
    ? 'No other call waits; the run goes on.'
    : `Still waiting: ${waiting.join(', ')}`;
};
