/**
 * A limit on a wait: the caller's signal, a time, or both.
 *
 * Rule: no composite of a timeout's signal: Node 20 collects the timeout as garbage before it fires, and the wait never
 * ends. The timer is ours, and gone when the wait is.
 * Imported by the client only.
 */
import type { WaitOptions } from './types.ts';

/** Runs `work` under a signal that aborts when the caller's does, or when `timeoutMs` has passed. */
export const within = async <T>(
  { signal, timeoutMs }: WaitOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const limit = new AbortController();
  const end = (): void => limit.abort();
  if (signal?.aborted === true) end();
  signal?.addEventListener('abort', end, { once: true });
  const timer = timeoutMs === undefined ? undefined : setTimeout(end, timeoutMs);
  try {
    return await work(limit.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  }
};
