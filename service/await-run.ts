/**
 * Waits for a run to change, for the long polls of the official helpers.
 *
 * Rule: watch, then read, so that no change is missed; a notification is only a reason to read. Deltas do not wake it.
 * Imported by `service/index.ts`.
 */
import { isPolled } from '../protocol/rules/polling.ts';
import type { RunStore } from '../protocol/ports/run-store.ts';
import type { Run } from '../protocol/wire/objects.ts';

export interface AwaitRunOptions {
  /** Milliseconds after which the run is returned as it is. */
  timeoutMs: number;
  /** Its abort ends the wait early. */
  signal: AbortSignal;
  /** Milliseconds between reads while notifications arrive, in case one is lost. Default 15,000. */
  idleMs?: number;
  /** Milliseconds between reads while none arrive. Default 500. */
  pollMs?: number;
}

/** `read` throws when the caller may not see the run. */
export const awaitRun = async (
  store: Pick<RunStore, 'watchEvents' | 'receivesNotifications'>,
  runId: string,
  read: () => Promise<Run>,
  { timeoutMs, signal, idleMs = 15_000, pollMs = 500 }: AwaitRunOptions,
): Promise<Run> => {
  const until = performance.now() + timeoutMs;
  const watch = store.watchEvents(runId);
  try {
    for (;;) {
      const run = await read();
      const leftMs = until - performance.now();
      if (!isPolled(run.status) || signal.aborted || leftMs <= 0) return run;
      const netMs = store.receivesNotifications() ? idleMs : pollMs;
      await watch.nextChange({ timeoutMs: Math.min(leftMs, netMs), signal });
    }
  } finally {
    watch.close();
  }
};
