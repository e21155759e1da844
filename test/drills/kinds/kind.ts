/**
 * A kind of drill: what dies, and which rows of docs/FAULTS.md it is about.
 *
 * Rule: a kind decides everything by the drill's own random numbers, so that a seed gives the same plan again; what the
 * machine makes of the plan's moments is its own affair.
 */
import type { Random } from '../random.ts';
import type { Violation } from '../audit.ts';
import type { DrillProcess } from '../processes.ts';
import type { Lane } from '../lane.ts';
import type { Story, ToolName } from '../script.ts';
import type { Drill } from '../world.ts';

export interface DrillReport {
  /** What was done to whom, one word each: `kill worker`, `reset`. */
  faults: string[];
  /** From the death of the only worker (or the readiness of its successor) to the successor's first deed. Milliseconds. */
  recoveries: number[];
  violations: Violation[];
}

export interface DrillKind {
  name: string;
  /** Rows of docs/FAULTS.md. */
  rows: readonly number[];
  about: string;
  run(drill: Drill): Promise<DrillReport>;
}

const AUTOMATIC: readonly ToolName[] = ['keyed', 'slow', 'flaky', 'once'];
const HUMAN: readonly ToolName[] = ['ask', 'approve'];

/** `tools`: what each round draws from, one call at least from the first. */
export const storyOf = (
  random: Random,
  { rounds = [1, 3], human = 0.4 }: { rounds?: readonly [number, number]; human?: number } = {},
): Story => ({
  delayMs: random.ms(0, 400),
  rounds: Array.from({ length: random.int(...rounds) }, () =>
    Array.from({ length: random.int(1, 3) }, () =>
      random.chance(human) ? random.pick(HUMAN) : random.pick(AUTOMATIC),
    ),
  ),
});

/** How long `successor` took to its first deed after `dead` had gone; null when nothing was left to do. */
export const recoveryOf = (lane: Lane, dead: DrillProcess, successor: DrillProcess): number | null => {
  const { endedAt } = dead;
  const { readyAt } = successor;
  if (endedAt === null || readyAt === null) return null;
  const from = Math.max(endedAt, readyAt);
  const deeds = [
    ...lane.sandbox.requests.flatMap(({ at, headers }) =>
      headers['x-drill-worker'] === successor.label ? [at] : [],
    ),
    ...lane.ledger.read().flatMap(({ at, pid }) => (pid === successor.pid ? [at] : [])),
  ];
  return deeds.length === 0 ? null : Math.max(0, Math.min(...deeds) - from);
};

export const compact = (values: readonly (number | null)[]): number[] =>
  values.filter((value) => value !== null);
