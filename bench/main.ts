/**
 * `npm run bench`: measures, prints tables of ratios, and lists the targets that were met. README.md lists what is not
 * measured.
 *
 * `--suite runs` (cost of a run on an assistants backend), `--suite server` (the runs server), `--suite hostile`
 * (cost of hostile input), `--suite models` (cost of adapters), `--suite waiting` (cost of runs that wait) or `--suite console`
 * (the pages where people decide) measures one suite; the last four are part of no other. `--quick` takes two minutes for each. `--only
 * TEXT` measures the parts of the suites server and console whose name contains TEXT. `--before DIR` measures the models suite beside
 * the adapter of a checkout of 89741aa. `--json FILE` writes the figures. Run it on an idle machine; no test asserts a
 * figure.
 */
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { badArgument, scriptArgs } from '../test/support/script-args.ts';
import { benchHostile, hostileTable, type HostileRow } from './hostile/suite.ts';
import { benchConsole } from './console/suite.ts';
import { idleRows } from './idle/rows.ts';
import { idleServer } from './idle/server.ts';
import type { Lag } from './lag.ts';
import { benchModels, modelTable, type ModelRow } from './models/suite.ts';
import { setStage } from './processes.ts';
import type { Row } from './row.ts';
import { benchRuns } from './runs.ts';
import { figureTable, type Figure } from './server-figures.ts';
import { benchServer } from './server.ts';
import { figureText } from './table.ts';
import { quantile } from './usage.ts';

const { values } = scriptArgs(import.meta.url, {
  options: {
    suite: { type: 'string', default: 'all' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    before: { type: 'string' },
    json: { type: 'string' },
  },
});
if (!['all', 'runs', 'server', 'hostile', 'models', 'waiting', 'console'].includes(values.suite))
  badArgument(
    `--suite is "runs", "server", "hostile", "models", "waiting", "console" or "all"; got ${JSON.stringify(values.suite)}.`,
  );

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
      figureText(row.direct, row.unit),
      figureText(row.bare, row.unit),
      figureText(row.ours, row.unit),
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

const told = (phase: string): void => console.error(`measuring: ${phase}`);

const runsSuite = async (): Promise<{ rows: Row[]; lags: Lag[] }> => {
  const scale = values.quick
    ? { runs: 30, burst: 100, waiting: 200 }
    : { runs: 100, burst: 400, waiting: 1000 };
  const stage = await setStage();
  try {
    const { rows, lags } = await benchRuns(stage, scale, told);
    console.log(`\n${table(rows)}\n\n${lagLines(lags)}`);
    return { rows, lags };
  } finally {
    await stage.close();
  }
};

const serverSuite = async (): Promise<{ server: Figure[] }> => {
  const scale = values.quick
    ? { runs: 40, burst: 150, get: { turns: 2, ms: 2000 }, waiting: 200, streams: 2000 }
    : { runs: 200, burst: 600, get: { turns: 4, ms: 5000 }, waiting: 1000, streams: 2000 };
  const server = await benchServer(scale, told, values.only);
  console.log(`\n${figureTable(server)}`);
  return { server };
};

const hostileSuite = async (): Promise<{ hostile: HostileRow[] }> => {
  const hostile = await benchHostile({ generated: values.quick ? 40 : 300 }, values.only, told);
  console.log(`\n${hostileTable(hostile)}`);
  return { hostile };
};

const modelsSuite = async (): Promise<{ models: ModelRow[] }> => {
  const models = await benchModels(values.quick ? 100 : 400, values.before ?? null, told);
  console.log(`\n${modelTable(models)}`);
  return { models };
};

const waitingSuite = async (): Promise<{ waiting: Figure[] }> => {
  const scale = values.quick
    ? { rows: [1_000, 10_000], server: { waiting: 1_000, starts: 40, idleMs: 60_000 } }
    : { rows: [1_000, 10_000, 100_000], server: { waiting: 10_000, starts: 100, idleMs: 120_000 } };
  const waiting: Figure[] = [];
  if ('rows'.includes(values.only)) waiting.push(...(await idleRows(scale.rows, told)));
  if ('processes'.includes(values.only)) waiting.push(...(await idleServer(scale.server, told)));
  console.log(`\n${figureTable(waiting)}`);
  return { waiting };
};

const consoleSuite = async (): Promise<{ console: Figure[] }> => {
  const scale = values.quick
    ? { decisions: 20, rows: 20, viewers: [500], idleMs: 60_000, calls: 5_000, paints: 3 }
    : { decisions: 100, rows: 100, viewers: [50, 2_000], idleMs: 180_000, calls: 5_000, paints: 10 };
  const figures = await benchConsole(scale, values.only, told);
  console.log(`\n${figureTable(figures)}`);
  return { console: figures };
};

// How busy others keep the machine: above one or two, the absolute figures are theirs as much as ours.
const busy = loadavg()[0] ?? 0;
console.log(
  `node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, load before ${busy.toFixed(1)}; everything on this machine, Temporal in memory`,
);
const found = {
  ...(['all', 'runs'].includes(values.suite) ? await runsSuite() : {}),
  ...(['all', 'server'].includes(values.suite) ? await serverSuite() : {}),
  ...(values.suite === 'hostile' ? await hostileSuite() : {}),
  ...(values.suite === 'models' ? await modelsSuite() : {}),
  ...(values.suite === 'waiting' ? await waitingSuite() : {}),
  ...(values.suite === 'console' ? await consoleSuite() : {}),
};
if (values.json !== undefined)
  await writeFile(
    values.json,
    `${JSON.stringify({ at: new Date().toISOString(), load: busy, ...found }, null, 2)}\n`,
  );
