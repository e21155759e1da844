/**
 * Following a run from outside: snapshots when they change, the last one with the result.
 *
 * Rule: watching never touches the run. A long poll reports the end at once; what happens in between
 * is looked at ever more rarely while nothing changes.
 * Imported by the client only.
 */
import type { RunSnapshot } from '../protocol/index.ts';
import { canonicalJson } from '../protocol/rules/tool-arguments.ts';

export interface WatchSource {
  snapshot(signal: AbortSignal): Promise<RunSnapshot>;
  /** Resolves when the run has ended in any way; rejects when that cannot be found out. */
  ended(signal: AbortSignal): Promise<unknown>;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 2_000;

const nothing = (): void => undefined;

export async function* watchRun(
  source: WatchSource,
  options: { signal?: AbortSignal } = {},
): AsyncGenerator<RunSnapshot, void, undefined> {
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, options.signal]);
  let over = false;
  let wake: () => void = nothing;
  // Resolves with the end only: after a lost long poll the pauses must go on being pauses.
  const end = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const longPoll = async () => {
    try {
      await source.ended(signal);
      over = true;
      wake();
    } catch {
      // A lost long poll costs promptness only: the next look tells the truth or the error.
    }
  };
  const polling = longPoll();
  let last = '';
  let pause = FIRST_PAUSE_MS;
  try {
    for (;;) {
      // Read before the look: a look that began before the end may not show it.
      const finalLook = over;
      const snapshot = await source.snapshot(signal);
      const text = canonicalJson(snapshot);
      if (text !== last) {
        last = text;
        pause = FIRST_PAUSE_MS;
        yield snapshot;
      } else {
        pause = Math.min(MAX_PAUSE_MS, pause * 1.5);
      }
      if (snapshot.result !== null || (finalLook && snapshot.phase === 'ended')) return;
      if (over && !finalLook) continue;
      await Promise.race([source.sleep(pause, signal), ...(over ? [] : [end])]);
    }
  } finally {
    stop.abort();
    await polling;
  }
}
