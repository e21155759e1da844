/**
 * Lets others of the process have their turn while much is read that has already arrived: promises that are ready follow one
 * another without one. Imports Node only. Readers of answers in `backends/` import it.
 */
import { setImmediate as immediate } from 'node:timers/promises';

/** Longest that one reader goes on, in milliseconds. */
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
