/**
 * Yields to the event loop while a reader works through bytes that have already arrived: ready promises follow each other
 * without a pause, and a large chunk can hold thousands of events.
 * Imports Node only. Imported by readers of answers in `backends/`.
 */
import { setImmediate as immediate } from 'node:timers/promises';

/** The longest time without a yield, in milliseconds, apart from one piece. */
const TURN_MS = 10;
/** An event takes at least three bytes and some microseconds, so a piece of this size takes some milliseconds. */
const PIECE_BYTES = 8_192;

/** `next` resolves at once, or after a turn of the event loop when the last one was long ago. */
const loopTurns = (turnMs: number): { next(): Promise<void> } => {
  let began = performance.now();
  return {
    async next() {
      if (performance.now() - began < turnMs) return;
      await immediate();
      began = performance.now();
    },
  };
};

/** The same bytes in small pieces, with a yield before a piece when one is due. */
export async function* inTurns(
  chunks: AsyncIterable<Uint8Array>,
  turnMs = TURN_MS,
): AsyncGenerator<Uint8Array> {
  const turns = loopTurns(turnMs);
  for await (const chunk of chunks)
    for (let from = 0; from < chunk.byteLength; from += PIECE_BYTES) {
      await turns.next();
      yield chunk.subarray(from, from + PIECE_BYTES);
    }
}
