/**
 * Yields to the event loop while a reader works through data that has already arrived: ready promises follow each other
 * without a pause. Imports Node only. Imported by readers of answers in `backends/`.
 */
import { setImmediate as immediate } from 'node:timers/promises';

/** The longest time without a yield, in milliseconds. */
const TURN_MS = 10;

/** `next` resolves at once, or after a turn of the event loop when the last one was long ago. */
export const loopTurns = (turnMs = TURN_MS): { next(): Promise<void> } => {
  let began = performance.now();
  return {
    async next() {
      if (performance.now() - began < turnMs) return;
      await immediate();
      began = performance.now();
    },
  };
};
