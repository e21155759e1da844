/**
 * `runs list`: the runs that Temporal knows, newest first; `--waiting` only those that wait for an answer. Over the HTTP API
 * `--waiting` lists the calls that wait for an approval.
 */
import type { ApiClient } from '../api-client.ts';
import { API_OPTION, approvalsApi, waitingApprovals } from '../approvals-api.ts';
import { defineCommand, type Outcome } from '../command.ts';
import { usageError } from '../../app/exit.ts';
import { summarizeArguments } from '../../protocol/rules/show-arguments.ts';
import { duration, oneLine, table } from '../output/format.ts';
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
      .option('--limit <number>', 'at most so many', '100')
      .option('--api', `with --waiting: ${API_OPTION}`),
  run: async ({ io }, _args, options) => {
    const limit = Number(options.limit);
    if (!Number.isInteger(limit) || limit < 1)
      throw usageError(
        `--limit must be a whole number above 0, got ${JSON.stringify(options.limit)}. Give one, such as --limit 20.`,
      );
    const api = options.waiting === true ? await approvalsApi(io, options.api) : null;
    if (api !== null) return waitingOverApi(api, options, limit);
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
    return {
      json: { runs: items, ...(calls === null ? {} : { calls }) },
      lines:
        items.length === 0
          ? [noRuns(place, options)]
          : calls === null
            ? listLines(items, now)
            : waitingLines(calls, now),
    };
  },
});

const waitingOverApi = async (api: ApiClient, options: Options, limit: number): Promise<Outcome> => {
  if (options.status !== undefined)
    throw usageError('--status needs Temporal: name it by TEMPORAL_ADDRESS, or leave --status out.');
  const calls = (await waitingApprovals(api))
    .filter(({ threadId }) => options.thread === undefined || threadId === options.thread)
    .slice(0, limit);
  return {
    json: { calls },
    lines:
      calls.length === 0 ? ['No call waits for an approval by this key.'] : waitingLines(calls, Date.now()),
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
  return deadline > now ? `${duration(deadline - now)} left` : 'past its deadline';
};

export const listLines = (items: readonly RunListItem[], now: number): string[] => {
  const rows = items.map((item) => [
    item.runId,
    item.followUp ? 'awaits late answers' : item.status,
    `${duration(now - item.startedAt)} ago`,
    item.waitingFor.map((name) => oneLine(name, 64)).join(', '),
    item.closedAt === null ? left(item.deadline, now) : '',
  ]);
  return table([['RUN', 'STATUS', 'STARTED', 'WAITING FOR', 'DEADLINE'], ...rows]);
};

/** One line for each call that waits. */
export const waitingLines = (calls: readonly WaitingCall[], now: number): string[] => {
  const rows = calls.map((call) => [
    call.code ?? '',
    oneLine(call.tool, 32),
    call.arguments === null ? 'no worker tells' : summarizeArguments(call.arguments, 64),
    left(call.answerBy, now),
    call.runId,
  ]);
  return table([['CALL', 'TOOL', 'ARGUMENTS', 'DEADLINE', 'RUN'], ...rows]);
};
