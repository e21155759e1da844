/**
 * Simulated schedules by hand: one seed with its trace, or a campaign with a table of verdicts.
 *
 *   npx tsx scripts/simulate.ts --seed 4711                    one schedule, event by event
 *   npx tsx scripts/simulate.ts --seed 1 --count 100000        a campaign
 *   options: --level fast|full (default fast), --jobs N processes (default 1), --json,
 *            --seconds N (begin no further schedule after N seconds; the count says how many there were)
 *
 * Rule: exit 0 only when nothing was violated; a failing seed is printed with the command that shows it again. Coverage is
 * part of the verdict from 50,000 schedules at the fast level on, as in the tests.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { failureText, faultsMissing, mergeReports, runCampaign } from '../test/simulation/campaign.ts';
import type { CampaignReport, Level } from '../test/simulation/campaign.ts';
import { runFast } from '../test/simulation/fast/schedule.ts';
import { runFull } from '../test/simulation/full/schedule.ts';
import { judgeCoverage } from '../test/simulation/reachable.ts';

const LEVELS: Record<string, Level> = { fast: runFast, full: runFull };
const COVERAGE_FROM = 50_000;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '1' },
    level: { type: 'string', default: 'fast' },
    jobs: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '86400' },
    json: { type: 'boolean', default: false },
  },
});

const whole = (name: 'seed' | 'count' | 'jobs' | 'seconds'): number => {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value >= (name === 'seed' ? 0 : 1)) return value;
  console.error(`--${name} needs a whole number; got ${JSON.stringify(values[name])}.`);
  return process.exit(2);
};

const level = LEVELS[values.level];
if (level === undefined) {
  console.error(
    `--level must be one of ${Object.keys(LEVELS).join(', ')}; got ${JSON.stringify(values.level)}.`,
  );
  process.exit(2);
}
const seed = whole('seed');
const count = whole('count');
const jobs = Math.min(whole('jobs'), count);
const atMost = whole('seconds');

/** One schedule, with everything that happened in it. */
const showOne = async (): Promise<void> => {
  const one = await level(seed, { trace: true });
  if (values.json) console.log(JSON.stringify({ ...one, injected: [...one.injected], felt: [...one.felt] }));
  else {
    for (const line of one.trace) console.log(line);
    console.log(`seed ${seed} (${one.about}): ${one.status} after ${one.lasted} virtual ms`);
    for (const { invariant, message } of one.violations) console.log(`VIOLATION ${invariant}: ${message}`);
  }
  process.exitCode = one.violations.length > 0 ? 1 : 0;
};

/** A slice of the campaign in a process of its own. */
const slice = (from: number, size: number): Promise<CampaignReport> =>
  new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), [], {
      execArgv: process.execArgv,
      env: {
        ...process.env,
        SIMULATE_SLICE: JSON.stringify({ from, size, level: values.level, seconds: atMost }),
      },
      serialization: 'advanced',
    });
    child.once('message', (report) => resolve(report as CampaignReport));
    child.once('exit', (code) => reject(new Error(`A process of the campaign ended with ${code}.`)));
  });

const rows = (counts: ReadonlyMap<string, number>): string[] =>
  [...counts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, times]) => `  ${String(times).padStart(9)}  ${key}`);

const campaign = async (): Promise<void> => {
  const size = Math.ceil(count / jobs);
  const slices = Array.from({ length: jobs }, (_, index) => ({
    from: seed + index * size,
    size: Math.min(size, count - index * size),
  })).filter((part) => part.size > 0);
  const began = performance.now();
  const reports =
    jobs === 1
      ? [
          await runCampaign(level, seed, count, {
            seconds: atMost,
            progress: (done) => process.stderr.write(`\r${done} of ${count} schedules`),
          }),
        ]
      : await Promise.all(slices.map((part) => slice(part.from, part.size)));
  const report = mergeReports(reports);
  const seconds = (performance.now() - began) / 1000;
  const coverage = judgeCoverage(report.coverage);
  const demanded = values.level === 'fast' && report.schedules >= COVERAGE_FROM;
  const missing = demanded ? [...coverage.missing, ...coverage.surprising, ...faultsMissing(report)] : [];
  const ok = report.failed === 0 && missing.length === 0;
  if (values.json)
    console.log(
      JSON.stringify({
        ok,
        level: values.level,
        seed,
        count: report.schedules,
        seconds,
        virtualHours: report.hours,
        failed: report.failed,
        failures: report.failures,
        coverage: { ...coverage, cells: Object.fromEntries(report.coverage) },
        endings: Object.fromEntries(report.endings),
        injected: Object.fromEntries(report.injected),
        felt: Object.fromEntries(report.felt),
      }),
    );
  else {
    console.log(`\nendings\n${rows(report.endings).join('\n')}`);
    console.log(`faults injected, by place\n${rows(report.injected).join('\n')}`);
    console.log(`felt\n${rows(report.felt).join('\n')}`);
    console.log(`transitions covered: ${coverage.reached} of ${coverage.demanded}`);
    for (const cell of missing) console.log(`  not covered: ${cell}`);
    if (report.failures.length > 0) console.log(failureText(report, values.level));
    console.log(
      `${ok ? 'PASS' : 'FAIL'}: ${report.schedules} schedules from seed ${seed} at the ${values.level} level, ${report.failed} with violations, ` +
        `${report.hours.toFixed(0)} virtual hours in ${seconds.toFixed(1)} s (${Math.round(report.schedules / seconds)} a second)`,
    );
  }
  process.exitCode = ok ? 0 : 1;
};

const asked = process.env['SIMULATE_SLICE'];
if (asked !== undefined) {
  const part = JSON.parse(asked) as { from: number; size: number; level: string; seconds: number };
  const report = await runCampaign(LEVELS[part.level] ?? level, part.from, part.size, {
    seconds: part.seconds,
  });
  process.send?.(report, () => process.exit(0));
} else if (count === 1) await showOne();
else await campaign();
