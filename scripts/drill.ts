/**
 * `npm run drill`: random drills with real processes, from a seed. Exit code 1 when anything that must hold did not.
 *
 *   npm run drill -- --seed 7 --drills 40               forty drills of all kinds
 *   npm run drill -- --seed 7 --drills 40 --kind kill   of one kind (or several, with commas)
 *   npm run drill -- --seed 7 --drills 300 --minutes 20 --lanes 6   none begins after twenty minutes
 *   npm run drill -- --kind kill --drill 700021         one drill again
 *   npm run drill -- --seed 7 --drills 4 --keep         keeps the directories of the drills
 *
 *   npm run drill -- --seed 7 --drills 40 --record drills.jsonl   a line of JSON for each verdict, as it comes
 *   npm run drill -- --report a.jsonl,b.jsonl           the tables of recorded campaigns, nothing is run
 *
 * Servers listen on loopback, processes are ended by their pid, and everything lives in a temporary directory.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { openWorld, runCampaign, runDrill, type DrillVerdict } from '../test/chaos/campaign.ts';
import { KINDS } from '../test/chaos/kinds/index.ts';
import { badArgument, scriptArgs } from '../test/support/script-args.ts';
import { faultCounts, recoveryTable, verdictTable, violationText } from '../test/chaos/report.ts';

const { values } = scriptArgs(import.meta.url, {
  options: {
    seed: { type: 'string' },
    drills: { type: 'string', default: '20' },
    kind: { type: 'string' },
    drill: { type: 'string' },
    lanes: { type: 'string', default: '4' },
    minutes: { type: 'string' },
    record: { type: 'string' },
    report: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});

const whole = (name: string, text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0)
    return badArgument(`--${name} must be a whole number; got ${JSON.stringify(text)}.`);
  return value;
};
const named = values.kind?.split(',') ?? KINDS.map(({ name }) => name);
const unknown = named.filter((name) => KINDS.every((kind) => kind.name !== name));
if (unknown.length > 0)
  badArgument(
    `No kind of drill is named ${JSON.stringify(unknown[0])}. Kinds: ${KINDS.map(({ name }) => name).join(', ')}.`,
  );
const kinds = KINDS.filter(({ name }) => named.includes(name));

const seed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : whole('seed', values.seed);
const began = Date.now();
const line = (verdict: DrillVerdict): string =>
  `${verdict.violations.length === 0 ? 'held    ' : 'VIOLATED'}  ${verdict.kind} ${verdict.seed}  ${(verdict.ms / 1000).toFixed(1)} s  ${verdict.faults.join(', ') || 'no fault fell'}`;

const shown = ({ recoveries }: DrillVerdict): string =>
  recoveries.length === 0
    ? ''
    : `  stood still ${recoveries.map(({ ms }) => (ms / 1000).toFixed(1)).join(', ')} s`;

const recordOf = (verdict: DrillVerdict): string => {
  const { notes: _notes, dir: _dir, ...kept } = verdict;
  return `${JSON.stringify({ at: new Date().toISOString(), ...kept })}\n`;
};
const recorded = (files: string): DrillVerdict[] =>
  files
    .split(',')
    .flatMap((file) => readFileSync(file, 'utf8').split('\n'))
    .filter((text) => text !== '')
    .map((text) => ({ ...(JSON.parse(text) as Omit<DrillVerdict, 'notes' | 'dir'>), notes: [], dir: '' }));

// Each of a drill's processes is ended with this one, however it ends.
process.setMaxListeners(0);

const run = async (): Promise<DrillVerdict[]> => {
  const world = await openWorld();
  try {
    if (values.drill === undefined) {
      console.log(`seed ${seed}, ${values.drills} drills of ${named.join(', ')}, ${values.lanes} at a time`);
      return await runCampaign(world, {
        seed,
        drills: whole('drills', values.drills),
        kinds,
        lanes: whole('lanes', values.lanes),
        keep: values.keep,
        ...(values.minutes === undefined
          ? {}
          : { beginBefore: began + whole('minutes', values.minutes) * 60_000 }),
        onVerdict: (verdict, done) => {
          console.log(`${String(done).padStart(4)}  ${line(verdict)}${shown(verdict)}`);
          if (verdict.violations.length > 0) console.log(violationText(verdict));
          if (values.record !== undefined) appendFileSync(values.record, recordOf(verdict));
        },
      });
    }
    const [kind] = kinds;
    if (kind === undefined || values.kind === undefined) return badArgument('--drill needs --kind.');
    const verdict = await runDrill(world, kind, whole('drill', values.drill), true);
    console.log(`${line(verdict)}${shown(verdict)}`, `\n${verdict.notes.join('\n')}\n${verdict.dir}`);
    return [verdict];
  } finally {
    await world.close();
  }
};

const verdicts = values.report === undefined ? await run() : recorded(values.report);
const violated = verdicts.filter(({ violations }) => violations.length > 0);
console.log(`\n${verdictTable(verdicts)}\n\n${faultCounts(verdicts)}\n\n${recoveryTable(verdicts)}`);
if (values.report === undefined) console.log(`${Math.round((Date.now() - began) / 1000)} s`);
for (const verdict of violated) console.log(`\n${violationText(verdict)}`);
if (violated.length > 0) {
  console.log(`\nseed ${seed}: ${violated.length} of ${verdicts.length} drills violated what must hold`);
  process.exitCode = 1;
}
