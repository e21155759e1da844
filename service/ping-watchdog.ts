/**
 * Waiting for Temporal no longer than it makes sense: a call that takes its time is let go on while the server answers a
 * ping, and given up when it does not.
 *
 * Rule: who asked is told within about three seconds that the server is away, however long a call may take on a server that
 * is merely slow. What was given up may have happened all the same; callers know, and every call may be repeated.
 * Imported within `service/` and by tests.
 */
import { RunsError } from '../protocol/errors.ts';

/** So long nobody asks. */
const PATIENCE_MS = 1_000;
/** An answer to a ping takes milliseconds. */
const PING_MS = 1_500;

export interface PingWatchdogOptions {
  /** Throws when the server does not answer in time. */
  ping(timeoutMs?: number): Promise<void>;
}

export const withPingWatchdog = async <T>(
  server: PingWatchdogOptions,
  work: (signal: AbortSignal) => Promise<T>,
  { patienceMs = PATIENCE_MS, pingMs = PING_MS }: { patienceMs?: number; pingMs?: number } = {},
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
  // Whoever loses the race has nobody left to tell.
  for (const one of [working, lost]) one.catch(() => undefined);
  try {
    return await Promise.race([working, lost]);
  } finally {
    over = true;
    clearTimeout(timer);
  }
};
