/**
 * A kind of drill: the processes that die, and the rows of docs/contributing/faults.md that it tests.
 *
 * Rule: a kind takes every choice from the drill's own random numbers, so a seed repeats the plan; the exact
 * instruction at which a process dies differs.
 */
import type { Random } from '../../support/random.ts';
import type { Violation } from '../audit.ts';
import type { Recovery } from '../recovery.ts';
import type { Story, ToolName } from '../script.ts';
import type { Drill } from '../world.ts';

export interface DrillReport {
  /** What was done to whom, one word each: `kill worker`, `reset`. */
  faults: string[];
  /** How long runs stood still after deaths of workers, where that was measured. */
  recoveries: Recovery[];
  violations: Violation[];
}

export interface DrillKind {
  name: string;
  /** Rows of docs/contributing/faults.md. */
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
