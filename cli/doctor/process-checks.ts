/**
 * Checks of the processes that run in this folder: that they agree with one another, and that their API answers.
 *
 * Rule: read only. Imported by `runs doctor`.
 */
import type { ProcessRecord } from '../../app/process-file.ts';
import { TEMPORAL_CHOICE } from '../../app/temporal-env.ts';
import { duration } from '../output/format.ts';
import { ok, problem, skipped, type Check, type Finding } from './check.ts';
import type { DoctorGround } from './ground.ts';

export interface ProcessGround extends DoctorGround {
  /** The shell's own environment. */
  shell: DoctorGround['env'];
}

export const processChecks = (ground: ProcessGround): Check[] => [
  { name: 'process', needs: [], run: async () => processFinding(ground, Date.now()) },
];

export const apiChecks = (ground: ProcessGround): Check[] => [
  { name: 'api', needs: [], run: () => apiCheck(ground) },
];

const nameOf = ({ role, pid }: ProcessRecord): string => `runs ${role} (pid ${pid})`;

/** What all processes of a folder must have in common. */
const SHARED = ['RUNS_BACKEND', 'RUNS_TASK_QUEUE', 'RUNS_DATA_CONVERTER'] as const;

const sharedOf = ({ settings, temporal }: ProcessRecord): Record<string, string> => ({
  ...Object.fromEntries(SHARED.map((name) => [name, settings[name] ?? 'not set'])),
  'Temporal address': temporal.address,
  'Temporal namespace': temporal.namespace,
});

const disagreements = (processes: readonly ProcessRecord[]): string[] => {
  const [first, ...others] = processes;
  if (first === undefined) return [];
  const wanted = sharedOf(first);
  return others.flatMap((other) =>
    Object.entries(sharedOf(other))
      .filter(([name, value]) => wanted[name] !== value)
      .map(
        ([name, value]) =>
          `${name} is ${JSON.stringify(wanted[name])} in ${nameOf(first)} and ${JSON.stringify(value)} in ${nameOf(other)}`,
      ),
  );
};

/** Settings that this shell holds with another value: they are not what the process uses. */
const ignored = ({ process, shell }: ProcessGround): string[] =>
  process === null
    ? []
    : Object.entries(process.settings)
        .filter(([name]) => !TEMPORAL_CHOICE.some((choice) => choice === name))
        .filter(([name, value]) => {
          const here = shell[name]?.trim() ?? '';
          // Files are absolute in the record.
          return here !== '' && here !== value && !value.endsWith(here.replace(/^\.\//, ''));
        })
        .map(([name]) => name);

/** What a shell names about Temporal wins, for the doctor as for every command. */
const otherTemporal = ({ process, shell }: ProcessGround): string[] => {
  const here = shell['TEMPORAL_ADDRESS']?.trim() ?? '';
  return process === null || here === '' || here === process.temporal.address
    ? []
    : [
        `it uses Temporal at ${process.temporal.address}; this shell names ${here}, which is checked in its place`,
      ];
};

export const processFinding = (ground: ProcessGround, now: number): Finding => {
  const { process, processes, missing } = ground;
  const differ = disagreements(processes);
  if (differ.length > 0)
    return problem(differ.join('; '), 'start the processes of this folder again with the same values');
  if (process === null)
    return skipped(
      `${processes.length === 0 ? 'no process of this folder runs' : `no "runs ${ground.role}" of this folder runs`}: the environment of this shell is checked`,
    );
  const others = processes.filter((one) => one !== process).map(nameOf);
  const notes = [
    ...(others.length === 0 ? [] : [`beside it ${others.join(', ')}`]),
    ...otherTemporal(ground),
    ...ignored(ground).map((name) => `this shell has another ${name}, which is not checked`),
    ...missing.map((name) => `it has ${name}, and this shell does not`),
  ];
  return ok(
    `${nameOf(process)}, ready for ${duration(now - process.readyAt)}: its settings are checked${notes.length === 0 ? '' : ` (${notes.join('; ')})`}`,
  );
};

const API_MS = 5_000;

/** `http://h:1/v1` → `http://h:1`. */
const rootOf = (url: string): string => url.replace(/\/+$/, '').replace(/\/v1$/, '');

const problemsIn = (body: unknown): string => {
  const problems =
    typeof body === 'object' && body !== null && 'problems' in body ? body.problems : undefined;
  return Array.isArray(problems) ? problems.filter((item) => typeof item === 'string').join('; ') : '';
};

const apiCheck = async ({ process, processes, shell }: ProcessGround): Promise<Finding> => {
  const here = process?.apiUrl ?? processes.find(({ apiUrl }) => apiUrl !== null)?.apiUrl ?? null;
  const named = shell['RUNS_URL']?.trim() ?? '';
  const url = named === '' ? here : named;
  if (url === null) return skipped('no API of this folder runs, and RUNS_URL is not set');
  const root = rootOf(url);
  let response: Response;
  try {
    response = await fetch(`${root}/readyz`, { signal: AbortSignal.timeout(API_MS) });
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return problem(
      `${root} does not answer: ${cause instanceof Error ? cause.message : String(cause)}`,
      named === ''
        ? 'start it again ("runs serve" or "runs dev")'
        : 'start "runs serve" there, or correct RUNS_URL',
    );
  }
  const body: unknown = await response.json().catch(() => null);
  if (response.ok) return ok(`${root} is ready`);
  const why = problemsIn(body);
  return problem(
    `${root} is not ready (HTTP ${response.status})${why === '' ? '' : `: ${why}`}`,
    why === '' ? 'correct RUNS_URL: the server there is not "runs serve"' : 'fix what it reports',
  );
};
