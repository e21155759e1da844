/**
 * Mutants of the parts that only the full level runs: attempts, the backend's requests, tools, and their reports.
 *
 * Rule: each mutant changes one decision, and some schedule must find it; otherwise the workload or the auditor has a
 * gap. Only `test/simulation/full` and tests import it.
 */
import { ACTIVITIES, TOOL_ACTIVITY_PREFIX } from '../../../protocol/temporal/names.ts';
import type { Mutant } from '../mutant.ts';
import { MUTANTS } from '../mutants.ts';

export interface AttemptInfo {
  attempt: number;
  activityType: string;
  heartbeatDetails: unknown;
  heartbeatTimeoutMs: number | undefined;
}

export interface Broken extends Mutant {
  /** What an attempt is told about itself. */
  info?: (info: AttemptInfo) => Partial<AttemptInfo>;
  /** Stands around an activity. */
  activity?: (type: string, input: unknown, run: (input: unknown) => Promise<unknown>) => Promise<unknown>;
  /** The body of a request, on its way out. */
  body?: (path: string, body: string) => string;
  /** What a tool takes for its idempotency key. */
  key?: (key: string, attempt: number) => string;
  /** A log line, before it is written. */
  logged?: (message: string, secret: string) => string;
  /** The message of a failure, before it goes into history. */
  failed?: (message: string, secret: string) => string;
}

export interface KnownBreak {
  name: string;
  /** Any of these may be first to notice. */
  caughtBy: readonly string[];
  make(): Broken;
}

const FROM_THE_MACHINE = [
  'an acknowledged answer is dropped',
  'every end is told as a completion',
  'a round is answered in parts',
];

const forgetful =
  (...types: string[]): NonNullable<Broken['info']> =>
  ({ activityType }) =>
    types.includes(activityType) ? { attempt: 1, heartbeatDetails: undefined } : {};

export const BREAKS: readonly KnownBreak[] = [
  ...MUTANTS.filter(({ name }) => FROM_THE_MACHINE.includes(name)),
  {
    name: 'a create that is tried again does not look first',
    caughtBy: ['I1'],
    make: () => ({ info: forgetful(ACTIVITIES.createRun) }),
  },
  {
    name: 'the last output stays behind in the request',
    caughtBy: ['I2'],
    make: () => ({
      body(path, text) {
        if (!path.endsWith('/submit_tool_outputs')) return text;
        const given = JSON.parse(text) as { tool_outputs: unknown[] };
        return JSON.stringify({ ...given, tool_outputs: given.tool_outputs.slice(0, -1) });
      },
    }),
  },
  {
    name: 'a run is called cancelled without asking the server',
    caughtBy: ['I5'],
    make: () => ({
      activity: (type, input, run) =>
        type === ACTIVITIES.closeRun
          ? Promise.resolve({
              status: 'cancelled',
              run: (input as { target: { run?: unknown } }).target.run ?? null,
            })
          : run(input),
    }),
  },
  {
    name: 'an at-most-once tool does not know of its lost attempt',
    caughtBy: ['I4'],
    make: () => ({
      options: (options, type) =>
        type.startsWith(TOOL_ACTIVITY_PREFIX)
          ? { ...options, retry: { ...options.retry, attempts: 5 } }
          : options,
      info: ({ activityType }) => (activityType.startsWith(TOOL_ACTIVITY_PREFIX) ? { attempt: 1 } : {}),
    }),
  },
  {
    name: 'the idempotency key depends on the attempt',
    caughtBy: ['I4'],
    make: () => ({ key: (key, attempt) => `${key}:${attempt}` }),
  },
  {
    name: 'the API key is in a log line',
    caughtBy: ['I10'],
    make: () => ({ logged: (message, secret) => `${message} ${secret}` }),
  },
  {
    name: 'the API key is in the text of a failure',
    caughtBy: ['I10'],
    make: () => ({ failed: (message, secret) => `${message} ${secret}` }),
  },
];
