/**
 * A run's event log and then its tail, for one reader.
 *
 * Rule: watch, then read, so nothing falls between; numbers decide what is new, word of events is only a reason to look.
 * One batch at a time is held for a reader, however slow. A database that is away for a while is waited for: the run goes
 * on, and so will its story.
 * Imported by `service/index.ts`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { SequencedEvent } from '../protocol/wire/events.ts';
import { apiErrors } from '../protocol/errors.ts';
import { StoreError, type EventBatch, type RunStore } from '../protocol/ports/run-store.ts';
import { fromRunsError } from './errors.ts';

export interface TailOptions {
  /** Events held for a reader at most. Default 64. */
  batch?: number;
  /** Looks while word arrives: only a net under it. Default 15,000 ms. */
  idleMs?: number;
  /** Looks while no word arrives. Default 500 ms. */
  pollMs?: number;
  /** First look of a reader that has brought the first events. Default 30 ms. */
  newsMs?: number;
  /** How long a database that is away is waited for. Default 60,000 ms. */
  patienceMs?: number;
  /** From word of new events until the reader has taken them, in milliseconds: for metrics. */
  onDelivered?: (ms: number) => void;
}

/** Empties the array as it goes: what a slow reader has been given is not held here, too. */
function* handedOver(events: SequencedEvent[]): Generator<SequencedEvent, void, undefined> {
  while (events.length > 0) yield* events.splice(0, 1);
}

export async function* tailEvents(
  store: Pick<RunStore, 'readEvents' | 'watchEvents' | 'receivesNotifications'>,
  runId: string,
  from: {
    after: number;
    signal: AbortSignal;
    /** Throws when the reader may not. Asked once, before the first look. */
    check?: () => Promise<unknown>;
    /** The first events after `after`, from whoever has let the reader in. Emptied here. */
    initialEvents?: SequencedEvent[];
  },
  options: TailOptions = {},
): AsyncGenerator<SequencedEvent, void, undefined> {
  const { batch = 64, idleMs = 15_000, pollMs = 500, newsMs = 30, patienceMs = 60_000 } = options;
  const { signal } = from;
  // From the very start a log without its deltas is still whole: completed messages carry what they said.
  const gaps = from.after === 0 ? 'allow' : 'refuse';
  const check = from.check;
  const watch = store.watchEvents(runId);
  let after = from.after;
  let wokenAt: number | null = null;

  const read = async (): Promise<EventBatch> => {
    const until = Date.now() + patienceMs;
    for (;;) {
      try {
        return await store.readEvents(runId, { after, limit: batch, gaps });
      } catch (error) {
        const away = error instanceof StoreError && error.code === 'unavailable';
        if (!away || signal.aborted || Date.now() >= until) throw error;
        await pause(pollMs, undefined, { signal }).catch(() => undefined);
      }
    }
  };

  try {
    const { initialEvents } = from;
    if (initialEvents === undefined) await check?.();
    else {
      after = initialEvents.at(-1)?.seq ?? after;
      yield* handedOver(initialEvents);
      // What came before we listened is found by looking, a moment later: usually word of the next event comes first.
      await watch.wait(after, { timeoutMs: newsMs, signal });
    }
    while (!signal.aborted) {
      const { events, ended, more } = await read();
      const any = events.length > 0;
      after = events.at(-1)?.seq ?? after;
      yield* handedOver(events);
      if (wokenAt !== null && any) options.onDelivered?.(performance.now() - wokenAt);
      wokenAt = null;
      if (ended) return;
      if (!more) {
        await watch.wait(after, { timeoutMs: store.receivesNotifications() ? idleMs : pollMs, signal });
        wokenAt = performance.now();
      }
    }
  } catch (error) {
    if (error instanceof StoreError && error.code === 'no_such_run') throw apiErrors.notFound('run', runId);
    throw fromRunsError(error);
  } finally {
    watch.close();
  }
}
