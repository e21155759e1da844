/** A campaign in words: the table of verdicts, and how to see a violation again. Pure. */
import type { DrillVerdict } from './campaign.ts';
import type { Recovery } from './recovery.ts';

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

const table = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
        .join('  '),
    )
    .join('\n');
};

/** One line of the table. */
const row = (name: string, some: readonly DrillVerdict[]): string[] => [
  name,
  String(some.length),
  String(some.flatMap(({ faults }) => faults).length),
  String(some.filter(({ faults }) => faults.length === 0).length),
  String(some.flatMap(({ violations }) => violations).length),
  `${(
    quantile(
      some.map(({ ms }) => ms).toSorted((a, b) => a - b),
      0.5,
    ) / 1000
  ).toFixed(1)} s`,
];

export const verdictTable = (verdicts: readonly DrillVerdict[]): string => {
  const kinds = [...new Set(verdicts.map(({ kind }) => kind))];
  return table([
    ['kind', 'drills', 'faults', 'missed', 'violations', 'median'],
    ...kinds.map((kind) =>
      row(
        kind,
        verdicts.filter((verdict) => verdict.kind === kind),
      ),
    ),
    row('all', verdicts),
  ]);
};

/** Faults by what was done, most frequent first. */
export const faultCounts = (verdicts: readonly DrillVerdict[]): string => {
  const counts = new Map<string, number>();
  for (const fault of verdicts.flatMap(({ faults }) => faults))
    counts.set(fault, (counts.get(fault) ?? 0) + 1);
  return table([...counts].toSorted((a, b) => b[1] - a[1]).map(([fault, count]) => [fault, String(count)]));
};

const recoveryRow = (name: string, some: readonly Recovery[]): string[] => {
  const sorted = some.map(({ ms }) => ms).toSorted((a, b) => a - b);
  return [
    name,
    String(some.length),
    ...[0.5, 0.9, 1].map((share) => `${Math.round(quantile(sorted, share))} ms`),
  ];
};

/** How long runs stood still after deaths, by what had been under way. */
export const recoveryTable = (verdicts: readonly Pick<DrillVerdict, 'recoveries'>[]): string => {
  const all = verdicts.flatMap(({ recoveries }) => recoveries);
  if (all.length === 0) return 'recovery: not measured';
  const names = [...new Set(all.map(({ what }) => what))].toSorted();
  return table([
    ['stood still', 'times', 'median', '90 %', 'worst'],
    ...names.map((name) =>
      recoveryRow(
        name,
        all.filter(({ what }) => what === name),
      ),
    ),
    recoveryRow('all', all),
  ]);
};

export const violationText = ({ kind, seed, violations, notes, dir }: DrillVerdict): string =>
  [
    `VIOLATION in drill ${kind}, seed ${seed} (npm run drill -- --kind ${kind} --drill ${seed}); its files: ${dir}`,
    ...violations.map(({ invariant, text }) => `  ${invariant}: ${text}`),
    ...notes.map((note) => `    ${note}`),
  ].join('\n');
