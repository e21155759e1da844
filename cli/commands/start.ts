/**
 * `runs start`: starts a run, through the API on `chat`, through Temporal on `assistants`.
 *
 * `--id` makes it repeatable: the same id never starts a second run.
 */
import { defineCommand, type CommandContext, type Outcome } from '../command.ts';
import { EXIT, usageError } from '../../app/exit.ts';
import { connections, withClient, type Connections } from '../connections.ts';
import { resultLines } from '../output/view.ts';
import { idProblem, metadataProblem } from '../../protocol/rules/validation.ts';

export interface StartFlags {
  assistant: string;
  thread?: string;
  message?: string;
  instructions?: string;
  metadata: Record<string, string>;
  id?: string;
  wait?: boolean;
}

export const startCommand = defineCommand<StartFlags>({
  name: 'start',
  summary: 'start a run',
  configure: (command) =>
    command
      .requiredOption('--assistant <id>', 'the assistant that runs')
      .option('--thread <id>', 'the thread to run on; a new one when left out')
      .option('--message <text>', "a user's message, added to the thread first")
      .option('--instructions <text>', "instead of the assistant's own instructions")
      .option('--metadata <key=value>', 'metadata, stored with the run; may be repeated', pair, {})
      .option('--id <id>', 'id of the run; repeating the command with the same id starts no second run')
      .option('--wait', 'wait for the end of the run; exit 0 only when it completed'),
  run: async (context, _args, flags) => {
    const problem = flagsProblem(flags);
    if (problem !== undefined) throw usageError(`${problem}.`);
    const where = await connections(context.io);
    return where.backend === 'assistants'
      ? startByTemporal(context, flags)
      : startByApi(context, flags, where);
  },
});

const pair = (text: string, before: Record<string, string>): Record<string, string> => {
  const at = text.indexOf('=');
  if (at < 1)
    throw usageError(
      `--metadata needs KEY=VALUE, got ${JSON.stringify(text)}. Write it as --metadata order=42.`,
    );
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
};

const flagsProblem = (flags: StartFlags): string | undefined =>
  idProblem('--assistant', flags.assistant) ??
  (flags.thread === undefined ? undefined : idProblem('--thread', flags.thread)) ??
  (flags.id === undefined ? undefined : idProblem('--id', flags.id)) ??
  metadataProblem(flags.metadata) ??
  (flags.message === '' ? '--message is empty. Give a text, or leave the option out' : undefined);

const startByTemporal = (context: CommandContext, flags: StartFlags): Promise<Outcome> =>
  withClient(context.io, async (client) => {
    const { hooksOf } = await import('../../worker/tools-file.ts');
    const { runId, started } = await client.start({
      backend: 'assistants',
      hooks: await hooksOf(context.io.env['RUNS_TOOLS']?.trim() || null),
      assistantId: flags.assistant,
      threadId: flags.thread ?? null,
      metadata: flags.metadata,
      params: {
        ...(flags.message === undefined
          ? {}
          : { additional_messages: [{ role: 'user', content: flags.message }] }),
        ...(flags.instructions === undefined ? {} : { instructions: flags.instructions }),
      },
      ...(flags.id === undefined ? {} : { runId: flags.id }),
    });
    if (flags.wait === true || !started)
      context.say(started ? `started ${runId}` : `run ${runId} exists already; nothing was started`);
    if (flags.wait !== true) return { json: { runId, started }, lines: [runId] };
    const result = await client.result(runId);
    return waited({ runId, started, result }, result, [runId, ...resultLines(result)]);
  });

const startByApi = async (
  context: CommandContext,
  flags: StartFlags,
  where: Connections,
): Promise<Outcome> => {
  const { ApiClient } = await import('../api-client.ts');
  const api = new ApiClient(where.api(), context.io.signal);
  const said = flags.message === undefined ? [] : [{ role: 'user' as const, content: flags.message }];
  const run = await api.startRun(
    flags.thread ?? null,
    {
      assistant_id: flags.assistant,
      metadata: flags.metadata,
      ...(flags.instructions === undefined ? {} : { instructions: flags.instructions }),
      ...(flags.thread === undefined ? { thread: { messages: said } } : { additional_messages: said }),
    },
    flags.id,
  );
  const head = { runId: run.id, threadId: run.thread_id };
  if (flags.wait !== true) return { json: { ...head, run }, lines: [run.id] };
  context.say(`started ${run.id} on thread ${run.thread_id}; Ctrl-C stops waiting, not the run`);
  const { followRun } = await import('../output/follow.ts');
  const ended = await followRun(api, run, context);
  const messages = await api.messages(run.thread_id, run.id);
  return waited({ ...head, run: ended, messages }, ended, [run.id, ended.status, ...messages]);
};

const waited = (json: object, end: { status: string }, lines: string[]): Outcome => ({
  json,
  lines,
  exitCode: end.status === 'completed' ? EXIT.ok : EXIT.runNotCompleted,
});
