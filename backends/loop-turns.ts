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
/** The first piece of a chunk: what stands in front is passed on before the rest is read. */
const FIRST_BYTES = 1_024;

/** The same bytes in small pieces, with a yield before a piece when one is due. */
export async function* inTurns(
  chunks: AsyncIterable<Uint8Array>,
  turnMs = TURN_MS,
): AsyncGenerator<Uint8Array> {
  let began = performance.now();
  for await (const chunk of chunks) {
    let size = FIRST_BYTES;
    for (let from = 0; from < chunk.byteLength;) {
      if (performance.now() - began >= turnMs) {
        await immediate();
        began = performance.now();
      }
      yield chunk.subarray(from, from + size);
      from += size;
      size = Math.min(2 * size, PIECE_BYTES);
    }
  }
}
