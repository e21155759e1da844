/**
 * Bounds calls to Temporal by pings: a slow call continues while the server answers pings, and is given up when it does
 * not.
 *
 * Rule: the caller learns within about three seconds that the server is away, however long a call may take on a slow
 * one. A call that was given up may have taken effect; callers know this, and every call may be repeated.
 * Imported within `service/` and by tests.
 */
import { RunsError } from '../protocol/errors.ts';

/** A call this short needs no ping. */
const FIRST_PING_AFTER_MS = 1_000;
/** A ping is answered within milliseconds. */
const PING_MS = 1_500;

export interface PingWatchdogOptions {
  /** Throws when the server does not answer in time. */
  ping(timeoutMs?: number): Promise<void>;
}

export const withPingWatchdog = async <T>(
  server: PingWatchdogOptions,
  work: (signal: AbortSignal) => Promise<T>,
  { patienceMs = FIRST_PING_AFTER_MS, pingMs = PING_MS }: { patienceMs?: number; pingMs?: number } = {},
): Promise<T> => {
  const given = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let over = false;
  const lost = new Promise<never>((_, reject) => {
    const ask = async (): Promise<void> => {
      try {
        await server.ping(pingMs);
      } catch (error) {
        if (over) return;
        reject(
          error instanceof RunsError
            ? error
            : new RunsError('temporal_unavailable', "Temporal can't be reached.", { cause: error }),
        );
        given.abort();
        return;
      }
      later();
    };
    const later = (): void => {
      if (!over) timer = setTimeout(() => void ask(), patienceMs);
    };
    later();
  });
  const working = work(given.signal);
  // The loser of the race has no listener.
  for (const one of [working, lost]) one.catch(() => undefined);
  try {
    return await Promise.race([working, lost]);
  } finally {
    over = true;
    clearTimeout(timer);
  }
};
