/**
 * `runs watch RUN`: live progress until the run has ended: calls, attempts, waits, time left.
 *
 * Attempts come from Temporal; the assistant's messages from the API, where there is one. With `--thread` the API alone
 * is enough. Watching does not touch the run.
 */
import { defineCommand, type CommandContext, type Outcome } from '../command.ts';
import { CliError, EXIT } from '../../app/exit.ts';
import { commandName } from '../output/format.ts';
import { pendingWork } from '../output/pending-activities.ts';
import { findRunByText } from '../meant-run.ts';
import { runMessages } from '../run-messages.ts';
import { connections, withClient, type Connections } from '../connections.ts';
import { createBoard } from '../output/board.ts';
import type { Board } from '../output/progress.ts';
import { finishedRounds } from '../output/rounds.ts';
import type { RunsClient } from '../../client/index.ts';
import type { RunSnapshot } from '../../protocol/temporal/messages.ts';

interface Options {
  thread?: string;
}

/** How often attempts are read while the run itself does not change. */
const POLL_INTERVAL_MS = 500;

export const watch = defineCommand<Options>({
  name: 'watch',
  summary: 'follow a run until it has ended; exit 0 only when it completed',
  stays: true,
  configure: (command) =>
    command
      .argument('<run>', 'id of the run, the first characters of the id, or the code of a waiting call')
      .option('--thread <id>', 'follow by the API alone, without Temporal (not on assistants)'),
  run: async (context, [runId = ''], options) => {
    const where = await connections(context.io);
    return options.thread === undefined
      ? await withClient(context.io, async (client) =>
          byTemporal(context, client, await findRunByText(client, runId)),
        )
      : await byApi(context, where, runId, options.thread);
  },
});

const byApi = async (
  context: CommandContext,
  where: Connections,
  runId: string,
  threadId: string,
): Promise<Outcome> => {
  const { ApiClient } = await import('../api-client.ts');
  const { followRun } = await import('../output/follow.ts');
  const api = new ApiClient(where.api(), context.io.signal);
  const run = await followRun(api, { id: runId, thread_id: threadId }, context);
  const messages = await api.messages(threadId, runId);
  return outcome({ run, messages }, run.status, messages);
};

const byTemporal = async (context: CommandContext, client: RunsClient, runId: string): Promise<Outcome> => {
  const { io } = context;
  const tty = io.stderrIsTty && !context.json;
  const board = createBoard({
    write: io.stderr,
    tty,
    columns: io.columns,
    command: commandName(io.env),
  });
  const finished = tty ? finishedRounds((id) => client.history(id), io.columns) : async () => [];
  let last: RunSnapshot | undefined;
  const looking = new AbortController();
  const attempts = watchAttempts(client, board, () => last, looking.signal);
  try {
    for await (const run of client.watch(runId, { signal: io.signal })) {
      last = run;
      board.note(...(await finished(run)));
      board.update({ run, pending: await pendingWork(client, run) });
    }
  } finally {
    looking.abort();
    await attempts;
    board.end();
  }
  if (last?.result === null || last === undefined)
    throw new CliError(EXIT.interrupted, 'interrupted', 'interrupted; the run goes on');
  const messages = await messagesOf(context, last);
  return outcome({ run: last, messages }, last.result.status, messages);
};

/** Retries change nothing in the run's state, so they are read separately. */
const watchAttempts = async (
  client: RunsClient,
  board: Board,
  current: () => RunSnapshot | undefined,
  signal: AbortSignal,
): Promise<void> => {
  const { setTimeout: pause } = await import('node:timers/promises');
  while (!signal.aborted) {
    await pause(POLL_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    const run = current();
    if (signal.aborted || run === undefined) continue;
    const pending = await pendingWork(client, run);
    // The run may have changed meanwhile; an old state must not replace a newer one.
    if (!signal.aborted && current() === run) board.update({ run, pending });
  }
};

const messagesOf = async (context: CommandContext, run: RunSnapshot): Promise<string[]> => {
  const { messages, note } = await runMessages(context.io, run);
  if (note !== null && run.backend === 'chat') context.say(note);
  return messages.map(({ text }) => text);
};

const outcome = (json: object, status: string, lines: string[]): Outcome => ({
  json,
  lines: lines.length > 0 ? lines : [status],
  exitCode: status === 'completed' ? EXIT.ok : EXIT.runNotCompleted,
});
