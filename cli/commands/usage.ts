/** `runs usage`: the tokens and the cost of the models by day, tenant and model, or of one thread, from the API. */
import { CliError, EXIT, usageError } from '../../app/exit.ts';
import type { WireUsage } from '../../protocol/wire/objects.ts';
import type { DayUsage } from '../../protocol/wire/usage.ts';
import { defineCommand } from '../command.ts';
import { connections } from '../connections.ts';
import { oneLine, table } from '../output/format.ts';
import { costText, tokenText } from '../output/usage.ts';

interface Options {
  tenant?: string;
  day?: string;
  from?: string;
  to?: string;
  thread?: string;
}

export const usageCommand = defineCommand<Options>({
  name: 'usage',
  summary: 'report tokens and cost of the models, by day and model, or of one thread',
  configure: (command) =>
    command
      .option(
        '--tenant <name>',
        'only this tenant; default: the tenant of the API key, or all tenants if the key has the role operator',
      )
      .option('--day <date>', 'only this UTC day, such as 2026-11-26; default: the last seven days')
      .option('--from <date>', 'first day (UTC)')
      .option('--to <date>', 'last day (UTC), included')
      .option('--thread <id>', 'the total of all runs of one thread'),
  run: async ({ io }, _args, { tenant, day, from, to, thread }) => {
    if (thread !== undefined && [tenant, day, from, to].some((value) => value !== undefined))
      throw usageError('--thread reports the total of one thread: remove --tenant, --day, --from and --to.');
    if (day !== undefined && (from !== undefined || to !== undefined))
      throw usageError("--day can't be combined with --from or --to: use --day alone, or the other two.");
    const place = (await connections(io)).api();
    const { ApiClient } = await import('../api-client.ts');
    const api = new ApiClient(place, io.signal);
    if (thread !== undefined) {
      const report = await api.threadUsage(thread);
      return { json: report, lines: threadLines(report.runs, report.usage) };
    }
    const asked = { tenant, from: day ?? from, to: day ?? to };
    const { data, has_more: more } = await api.usage(asked);
    if (more)
      throw new CliError(
        EXIT.refused,
        'too_many_rows',
        'The report has more rows than the API returns at a time. Name fewer days, or a tenant.',
      );
    return { json: { usage: data }, lines: data.length === 0 ? ['No turns were counted.'] : dayLines(data) };
  },
});

const threadLines = (runs: number, usage: WireUsage | null): string[] =>
  usage === null
    ? ['No turns were counted.']
    : [`${runs} run${runs === 1 ? '' : 's'} · ${tokenText(usage)}${costText(usage, ' · ')}`];

const dayLines = (days: readonly DayUsage[]): string[] =>
  table([
    ['DAY', 'TENANT', 'MODEL', 'TURNS', 'PROMPT', 'CACHED', 'ANSWER', 'REASONING', 'COST'],
    ...days.map(({ day, tenant, model, turns, usage }) => [
      day,
      oneLine(tenant, 30),
      oneLine(model, 40),
      String(turns),
      String(usage.prompt_tokens),
      String(usage.prompt_token_details?.cached_tokens ?? 0),
      String(usage.completion_tokens),
      String(usage.completion_tokens_details?.reasoning_tokens ?? 0),
      costText(usage, ''),
    ]),
  ]);
