/**
 * Many schedules: their verdicts, what went wrong in them, and which cells of the machine's table they reached.
 *
 * Rule: a campaign is its first seed and a count; every violation names its seed, and `npm run simulate -- --seed N`
 * (see scripts/simulate.ts) shows that schedule again, event by event. Tests and scripts import it.
 */
import { merge } from './coverage.ts';
import type { Coverage } from './coverage.ts';
import { FINAL_FAULTS, NETWORK_FAULTS, PLACES, WORKER_FAULTS } from './faults.ts';
import type { Violation } from './ledger.ts';
import type { Mutant } from './mutant.ts';

export interface LevelReport {
  seed: number;
  violations: Violation[];
  injected: ReadonlyMap<string, number>;
  felt: ReadonlyMap<string, number>;
  status: string;
  lasted: number;
  trace: string[];
  /** One line: which backend, which faults. */
  about: string;
}

export type Level = (
  seed: number,
  options: { coverage?: Coverage; trace?: boolean; mutant?: Mutant },
) => Promise<LevelReport>;

export interface CampaignReport {
  schedules: number;
  /** Real seconds. */
  seconds: number;
  /** Virtual hours that the schedules lived. */
  hours: number;
  coverage: Coverage;
  injected: Map<string, number>;
  felt: Map<string, number>;
  endings: Map<string, number>;
  /** The first few. */
  failures: { seed: number; about: string; violations: Violation[] }[];
  failed: number;
}

export const runCampaign = async (
  level: Level,
  from: number,
  count: number,
  options: {
    mutant?: () => Mutant;
    stopAfter?: number;
    /** Real seconds after which no further schedule begins. */
    seconds?: number;
    progress?: (done: number) => void;
  } = {},
): Promise<CampaignReport> => {
  const began = performance.now();
  // Refusals are errors, and nobody reads their stacks: taking them costs more than the schedule.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const report: CampaignReport = {
    schedules: 0,
    seconds: 0,
    hours: 0,
    coverage: new Map(),
    injected: new Map(),
    felt: new Map(),
    endings: new Map(),
    failures: [],
    failed: 0,
  };
  try {
    for (let seed = from; seed < from + count; seed += 1) {
      if ((performance.now() - began) / 1000 >= (options.seconds ?? Infinity)) break;
      const mutant = options.mutant?.();
      const one = await level(seed, {
        coverage: report.coverage,
        ...(mutant === undefined ? {} : { mutant }),
      });
      report.schedules += 1;
      report.hours += one.lasted / 3_600_000;
      merge(report.injected, one.injected);
      merge(report.felt, one.felt);
      report.endings.set(one.status, (report.endings.get(one.status) ?? 0) + 1);
      if (one.violations.length > 0) {
        report.failed += 1;
        if (report.failures.length < 10)
          report.failures.push({ seed, about: one.about, violations: one.violations });
        if (report.failed >= (options.stopAfter ?? Infinity)) break;
      }
      if (report.schedules % 1000 === 0) options.progress?.(report.schedules);
      // A schedule need not turn the event loop; whoever watches this process must be heard.
      if (report.schedules % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  report.seconds = (performance.now() - began) / 1000;
  return report;
};

/** Violations as a person reads them, with how to see them again. */
export const failureText = (report: CampaignReport, level: string): string =>
  report.failures
    .map(({ seed, about, violations }) =>
      [
        `seed ${seed} (${about}):`,
        ...violations.map(({ invariant, message }) => `  ${invariant}: ${message}`),
        `  again, with its trace: npx tsx scripts/simulate.ts --level ${level} --seed ${seed}`,
      ].join('\n'),
    )
    .join('\n');

/** Kinds of faults, and places for them, that the campaign did not come to. */
export const faultsMissing = (report: CampaignReport): string[] => {
  const injected = [...report.injected.keys()].map((key) => key.split(' @ '));
  const kinds = new Set(injected.map(([kind]) => kind));
  const places = new Set(injected.map(([, place]) => place));
  return [
    ...[...NETWORK_FAULTS, ...WORKER_FAULTS].filter((kind) => !kinds.has(kind)),
    ...PLACES.filter((place) => !places.has(place)),
  ];
};

/** What the simulated Temporal does about faults; each must have happened to somebody. */
const CONSEQUENCES = [
  'heartbeat timeout',
  'start-to-close timeout',
  'schedule-to-close timeout',
  'late report refused',
  'workflow task lost',
  'workflow evicted',
  'update deduplicated',
] as const;

/**
 * For a level that notes where a fault made a difference: kinds that were never felt, and places where no worker was hit
 * in one of the ways.
 */
export const neverFelt = (report: CampaignReport): string[] => [
  ...[...NETWORK_FAULTS, ...FINAL_FAULTS, ...CONSEQUENCES].filter((kind) => !report.felt.has(kind)),
  ...PLACES.flatMap((place) =>
    // Between the fence and the socket a standstill can't be told from a slow network: only death is drawn there.
    (place === 'before a request' ? (['worker killed'] as const) : WORKER_FAULTS).map(
      (kind) => `${kind} @ ${place}`,
    ),
  ).filter((key) => !report.injected.has(key)),
];

/** One report of several slices of a campaign. */
export const mergeReports = (reports: readonly CampaignReport[]): CampaignReport => {
  const whole: CampaignReport = {
    schedules: 0,
    seconds: 0,
    hours: 0,
    coverage: new Map(),
    injected: new Map(),
    felt: new Map(),
    endings: new Map(),
    failures: [],
    failed: 0,
  };
  for (const report of reports) {
    whole.schedules += report.schedules;
    whole.seconds = Math.max(whole.seconds, report.seconds);
    whole.hours += report.hours;
    merge(whole.coverage, report.coverage);
    merge(whole.injected, report.injected);
    merge(whole.felt, report.felt);
    merge(whole.endings, report.endings);
    whole.failures.push(...report.failures);
    whole.failed += report.failed;
  }
  return whole;
};
