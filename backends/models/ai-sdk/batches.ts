/**
 * Parts of a library's stream, those that are there at the same time together; the first ones alone, so that the first token
 * does not wait for the rest of its chunk.
 *
 * Rule: a slow consumer holds the stream back; leaving the loop cancels it. Imported by the adapter.
 */
import { setImmediate as immediate } from 'node:timers/promises';

/** Parts that wait for the consumer at most. */
const MOST = 512;

/** Parts that readers of the run see. */
const CONTENT: ReadonlySet<unknown> = new Set([
  'text-delta',
  'reasoning-delta',
  'tool-input-start',
  'tool-call',
]);
const isContent = (part: unknown): boolean => CONTENT.has((part as { type?: unknown } | null)?.type);

const nothing = (): void => undefined;

export async function* partBatches(
  stream: ReadableStream<unknown>,
): AsyncGenerator<unknown[], void, undefined> {
  const reader = stream.getReader();
  let waiting: unknown[] = [];
  let ended: { error: unknown } | 'well' | null = null;
  let wake = nothing;
  let more = nothing;
  let spoken = false;
  const pump = async (): Promise<void> => {
    for (;;) {
      const next = await reader.read();
      if (next.done) return;
      waiting.push(next.value);
      wake();
      if (waiting.length >= MOST) await new Promise<void>((resolve) => void (more = resolve));
    }
  };
  pump()
    .then(
      () => void (ended = 'well'),
      (error: unknown) => void (ended = { error }),
    )
    .finally(() => wake());
  try {
    for (;;) {
      if (waiting.length === 0) {
        if (ended !== null) break;
        await new Promise<void>((resolve) => void (wake = resolve));
        // What arrived in one chunk is read within this turn of the event loop.
        if (spoken) await immediate();
      }
      const batch = waiting;
      waiting = [];
      more();
      spoken ||= batch.some(isContent);
      if (batch.length > 0) yield batch;
    }
    if (ended !== null && ended !== 'well') throw (ended as { error: unknown }).error;
  } finally {
    more();
    reader.cancel().catch(() => undefined);
  }
}
