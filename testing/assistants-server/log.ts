/**
 * A run's event log: append, wake the readers, read from any position.
 *
 * Rule: append-only, numbered from 1 without gaps; readers keep a position, never a buffer, so a slow one costs
 * nothing.
 * Only `testing/assistants-server/` imports it.
 */
import { endsRun } from '../../protocol/wire/events.ts';
import { isPolled } from '../../protocol/rules/polling.ts';
import type { SequencedEvent, StreamEvent } from '../../protocol/wire/events.ts';
import type { RunRecord } from './records.ts';

export const append = (run: RunRecord, event: StreamEvent): void => {
  run.log.push({ ...event, seq: run.log.length + 1 });
  if (run.waiters.size === 0) return;
  const waiters = [...run.waiters];
  run.waiters.clear();
  for (const wake of waiters) wake();
};

/** Resolves at the next event, or when `signal` aborts. */
const news = (run: RunRecord, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      run.waiters.delete(done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    run.waiters.add(done);
    signal.addEventListener('abort', done, { once: true });
  });

/** Resolves when the run is no longer polled, after `timeoutMs`, or when `signal` aborts. */
export const untilNotPolled = async (
  run: RunRecord,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<void> => {
  const over = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  while (isPolled(run.status) && !over.aborted) await news(run, over);
};

export async function* tail(
  run: RunRecord,
  options: { after: number; signal: AbortSignal },
): AsyncGenerator<SequencedEvent> {
  let place = Math.max(0, options.after);
  for (;;) {
    if (options.signal.aborted) return;
    const event = run.log[place];
    if (event === undefined) {
      const last = run.log.at(-1);
      if (last !== undefined && endsRun(last.event)) return;
      await news(run, options.signal);
      continue;
    }
    place += 1;
    yield event;
    if (endsRun(event.event)) return;
  }
}
