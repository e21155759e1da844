/**
 * A kind of drill: what dies, and which rows of docs/contributing/faults.md it is about.
 *
 * Rule: a kind decides everything by the drill's own random numbers, so that a seed gives the same plan again; what the
 * machine makes of the plan's moments is its own affair.
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
