/**
 * `runs list`: the runs that Temporal knows, newest first; `--waiting` only those that wait for an answer. Over the HTTP API
 * `--waiting` lists the calls that wait for an approval.
 */
import type { ApiClient } from '../api-client.ts';
import { API_OPTION, approvalsApi, waitingApprovals } from '../approvals-api.ts';
import { defineCommand, type CliIo, type Outcome } from '../command.ts';
import { usageError } from '../../app/exit.ts';
import { summarizeArguments } from '../../protocol/rules/show-arguments.ts';
import { duration, oneLine, table } from '../output/format.ts';
import { shortRun } from '../short-codes.ts';
import { withClient } from '../connections.ts';
import { waitingCallsIn, type WaitingCall } from '../waiting-calls.ts';
import type { RunListItem, RunsClient } from '../../client/index.ts';

interface Options {
  api?: boolean;
  waiting?: boolean;
  status?: string;
  thread?: string;
  limit: string;
}

export const list = defineCommand<Options>({
  name: 'list',
  summary: 'list runs, newest first',
  configure: (command) =>
    command
      .option('--waiting', 'only runs that wait for a person or a caller')
      .option('--status <status>', 'only runs in this status, such as requires_action')
      .option('--thread <id>', 'only runs of this thread')
      .option('--limit <number>', 'maximum number of runs', '100')
      .option('--api', `with --waiting: ${API_OPTION}`),
  run: async ({ io }, _args, options) => {
    const limit = Number(options.limit);
    if (!Number.isInteger(limit) || limit < 1)
      throw usageError(
        `--limit must be a whole number above 0, got ${JSON.stringify(options.limit)}. Give one, such as --limit 20.`,
      );
    const api = options.waiting === true ? await approvalsApi(io, options.api) : null;
    if (api !== null) return waitingOverApi(io, api, options, limit);
    if (options.api === true) throw usageError('--api goes with --waiting only. Add --waiting.');
    const { items, calls, place } = await withClient(io, async (client) => {
      const found: RunListItem[] = [];
      const wanted = {
        limit,
        ...(options.waiting === true ? { waiting: true } : {}),
        ...(options.status === undefined ? {} : { status: options.status }),
        ...(options.thread === undefined ? {} : { threadId: options.thread }),
      };
      for await (const item of client.list(wanted)) found.push(item);
      const waitingCalls = options.waiting === true ? await waitingCallsIn(client, found) : null;
      return { items: found, calls: waitingCalls, place: client.place };
    });
    const now = Date.now();
    const columns = columnsOf(io);
    return {
      json: { runs: items, ...(calls === null ? {} : { calls }) },
      lines:
        items.length === 0
          ? [noRuns(place, options)]
          : calls === null
            ? listLines(items, now, columns)
            : waitingLines(calls, now, columns),
    };
  },
});

/** Of the terminal of a person; null = the output is read by something else. */
const columnsOf = (io: CliIo): number | null => (io.stdoutIsTty === true ? io.columns() : null);

const waitingOverApi = async (
  io: CliIo,
  api: ApiClient,
  options: Options,
  limit: number,
): Promise<Outcome> => {
  if (options.status !== undefined)
    throw usageError('--status needs Temporal: name it by TEMPORAL_ADDRESS, or leave --status out.');
  const calls = await waitingApprovals(api, {
    most: limit,
    ...(options.thread === undefined ? {} : { threadId: options.thread }),
  });
  return {
    json: { calls },
    lines:
      calls.length === 0
        ? ['No call waits for an approval by this key.']
        : waitingLines(calls, Date.now(), columnsOf(io)),
  };
};

/** The address belongs to the result: another server has other runs. */
const noRuns = ({ address, namespace }: RunsClient['place'], options: Options): string => {
  const filtered = options.status !== undefined || options.thread !== undefined;
  const what = options.waiting === true ? 'No run waits for an answer' : filtered ? 'No such run' : 'No runs';
  return `${what} in namespace ${JSON.stringify(namespace)} of Temporal at ${JSON.stringify(address)}.`;
};

const left = (deadline: number | null, now: number): string => {
  if (deadline === null) return '';
  return deadline > now ? duration(deadline - now) : 'over';
};

/** `columns`: of the terminal of a person, where ids are short and no line is wrapped; null = whatever reads it has whole ids. */
export const listLines = (
  items: readonly RunListItem[],
  now: number,
  columns: number | null = null,
): string[] => {
  const rows = items.map((item) => [
    columns === null ? item.runId : shortRun(item.runId),
    item.followUp ? 'awaits late answers' : item.status,
    `${duration(now - item.startedAt)} ago`,
    item.closedAt === null ? left(item.deadline, now) : '',
    item.waitingFor.map((name) => oneLine(name, 64)).join(', '),
  ]);
  return fitted([['RUN', 'STATUS', 'STARTED', 'TIME LEFT', 'WAITING FOR'], ...rows], columns);
};

const ARGUMENTS_COLUMN = 2;
/** As much of a call's arguments as a line of a log gets. */
const MAX_ARGUMENTS_WIDTH = 64;
/** Less than this says nothing; then lines are rather wrapped. */
const MIN_ARGUMENTS_WIDTH = 20;

/** One line for each call that waits. */
export const waitingLines = (
  calls: readonly WaitingCall[],
  now: number,
  columns: number | null = null,
): string[] => {
  const rows = (room: number): string[][] => [
    ['CALL', 'TOOL', 'ARGUMENTS', 'TIME LEFT', 'RUN'],
    ...calls.map((call) => [
      call.code ?? '',
      oneLine(call.tool, 32),
      call.arguments === null ? 'no worker answers' : summarizeArguments(call.arguments, room),
      left(call.answerBy, now),
      columns === null ? call.runId : shortRun(call.runId),
    ]),
  ];
  const widest = table(rows(MAX_ARGUMENTS_WIDTH));
  if (columns === null) return widest;
  const over = Math.max(0, ...widest.map((line) => line.length - columns));
  const taken = Math.max(0, ...rows(MAX_ARGUMENTS_WIDTH).map((row) => row[ARGUMENTS_COLUMN]?.length ?? 0));
  return table(rows(Math.max(MIN_ARGUMENTS_WIDTH, taken - over)));
};

/** The last column gives way. */
const fitted = (rows: readonly (readonly string[])[], columns: number | null): string[] =>
  table(rows).map((line) => (columns === null ? line : oneLine(line, columns)));
