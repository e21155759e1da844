/**
 * Streams a run's event log, then new events, to one reader.
 *
 * Rule: watch, then read, so that no event is missed. Sequence numbers decide what is new; a notification is only a
 * reason to read. A slow reader holds one batch. An unreachable database is awaited for a while, since the run goes on.
 * Imported by `service/index.ts`.
 */
import type { AdmitRead } from '../protocol/ports/runs-service.ts';
import type { SequencedEvent } from '../protocol/wire/events.ts';
import { apiErrors } from '../protocol/errors.ts';
import { StoreError } from '../protocol/ports/store-error.ts';
import type { EventBatch, RunStore } from '../protocol/ports/run-store.ts';
import { fromRunsError } from './errors.ts';
import { patientRead } from './patient-read.ts';

export interface TailOptions {
  /** Events held per reader at most. Default 64. */
  batch?: number;
  /** Interval of reads while notifications arrive, in case one is lost. Default 15,000 ms. */
  idleMs?: number;
  /** Interval of reads while none arrive. Default 500 ms. */
  pollMs?: number;
  /** First read of a reader that has brought the first events. Default 30 ms. */
  newsMs?: number;
  /** How long an unreachable database is awaited. Default 60,000 ms. */
  patienceMs?: number;
  /** Milliseconds from the notification until the reader has taken the events: for metrics. */
  onDelivered?: (ms: number) => void;
}

/** Empties the array while it yields: a slow reader's events are not held here, too. */
function* handedOver(events: SequencedEvent[]): Generator<SequencedEvent, void, undefined> {
  while (events.length > 0) yield* events.splice(0, 1);
}

export async function* tailEvents(
  store: Pick<RunStore, 'readEvents' | 'watchEvents' | 'receivesNotifications'>,
  runId: string,
  from: {
    after: number;
    signal: AbortSignal;
    /** Throws when the caller may not read the run. Called once, before the first read. */
    check?: () => Promise<unknown>;
    /** The first events after `after`, from the create's reply. Emptied here. */
    initialEvents?: SequencedEvent[];
    admit?: AdmitRead;
  },
  options: TailOptions = {},
): AsyncGenerator<SequencedEvent, void, undefined> {
  const { batch = 64, idleMs = 15_000, pollMs = 500, newsMs = 30, patienceMs = 60_000 } = options;
  const { signal } = from;
  // For a reader from the start, a log without deltas is complete: completed messages contain their text.
  const gaps = from.after === 0 ? 'allow' : 'refuse';
  const check = from.check;
  const watch = store.watchEvents(runId);
  let after = from.after;
  let wokenAt: number | null = null;

  const retry = { admit: from.admit, signal, pollMs, patienceMs };
  const read = (): Promise<EventBatch> =>
    patientRead(() => store.readEvents(runId, { after, limit: batch, gaps }), retry);

  try {
    const { initialEvents } = from;
    if (initialEvents === undefined) await check?.();
    else {
      after = initialEvents.at(-1)?.seq ?? after;
      yield* handedOver(initialEvents);
      // Events from before the watch are found by reading a moment later: usually the next notification comes first.
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
