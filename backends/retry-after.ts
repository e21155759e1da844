/**
 * The wait before another attempt: the server's `Retry-After` within bounds, or a backoff.
 *
 * Rule: pure; the caller passes time and randomness. Imports nothing. Imported by backends and tests.
 */

/** The longest wait that a server may request by `Retry-After`. */
export const RETRY_AFTER_CAP_MS = 600_000;

/** A server's Retry-After within bounds: at most the cap, never past the deadline. Null for 0 and below. */
export const boundedRetryAfter = (
  retryAfterMs: number | null,
  bounds: { now: number; deadline?: number | null; capMs?: number },
): number | null => {
  if (retryAfterMs === null || !(retryAfterMs > 0)) return null;
  const cap = bounds.capMs ?? RETRY_AFTER_CAP_MS;
  const left = bounds.deadline == null ? cap : Math.max(0, bounds.deadline - bounds.now);
  const allowed = Math.min(retryAfterMs, cap, left);
  return allowed > 0 ? allowed : null;
};

/** Exponential backoff from 0.5 s to 30 s with the lower half fixed and the upper half random, for attempt 1, 2, … */
export const backoffMs = (attempt: number, random: number): number => {
  const full = Math.min(30_000, 500 * 2 ** Math.min(Math.max(attempt, 1) - 1, 10));
  return Math.round(full * (0.5 + random / 2));
};
