/**
 * `npm run bench`: measures, prints a table of ratios, and says what was not measured. `--quick` for a look in a minute,
 * `--json FILE` to keep the figures. Run it on an idle machine; nothing here is asserted by tests.
 */
import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import type { Lag } from './lag.ts';
import { setStage } from './processes.ts';
import { benchRuns, type Row } from './runs.ts';
import { quantile } from './usage.ts';

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } },
});

const figure = (value: number | null | undefined, unit: string): string =>
  value == null
    ? '–'
    : `${value >= 100 ? value.toFixed(0) : value.toFixed(1)}${unit === '' ? '' : ` ${unit}`}`;

const table = (rows: readonly Row[]): string => {
  const lines = rows.map((row) => {
    const ratio = row.bare === null || row.ours === null ? null : row.ours / row.bare;
    const verdict =
      row.target === null || ratio === null
        ? ''
        : ratio <= row.target
          ? `≤ ${row.target} ok`
          : `> ${row.target} MISSED`;
    return [
      row.what,
      figure(row.direct, row.unit),
      figure(row.bare, row.unit),
      figure(row.ours, row.unit),
      ratio === null ? '–' : ratio.toFixed(2),
      verdict,
    ];
  });
  return [
    '| figure | direct loop | bare workflow | durable-runs | ratio to bare | target |',
    '|---|---|---|---|---|---|',
    ...lines.map((cells) => `| ${cells.join(' | ')} |`),
  ].join('\n');
};

const lagLines = (lags: readonly Lag[]): string =>
  (['auto', 'never'] as const)
    .map((how) => {
      const mine = lags.filter((lag) => lag.how === how);
      const ms = mine.map((lag) => lag.lagMs);
      const share = mine.map((lag) => lag.lagMs / lag.ageMs);
      return `detection lag, ${how === 'auto' ? 'event stream' : 'polling'}: p50 ${quantile(ms, 0.5).toFixed(0)} ms, p99 ${quantile(ms, 0.99).toFixed(0)} ms, p50 ${(quantile(share, 0.5) * 100).toFixed(1)} % and at most ${(Math.max(...share) * 100).toFixed(1)} % of the run's age (${mine.length} runs)`;
    })
    .join('\n');

const scale = values.quick
  ? { runs: 30, burst: 100, waiting: 200 }
  : { runs: 100, burst: 400, waiting: 1000 };
const stage = await setStage();
try {
  const { rows, lags } = await benchRuns(stage, scale, (phase) => console.error(`measuring: ${phase}`));
  console.log(
    `node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB; everything on this machine, server in memory`,
  );
  console.log(`\n${table(rows)}\n\n${lagLines(lags)}`);
  if (values.json !== undefined)
    await writeFile(
      values.json,
      `${JSON.stringify({ at: new Date().toISOString(), rows, lags }, null, 2)}\n`,
    );
} finally {
  await stage.close();
}
