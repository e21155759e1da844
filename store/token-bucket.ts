/**
 * A token bucket as one moment: when it will be full again.
 *
 * Rule: with `perMinute` units, no minute has more than that many requests of one unit, wherever it begins: a tenth may come at
 * once, and the rest is spread. A request of more units than that tenth goes when the bucket is full, and its debt is waited for
 * by the next. Pure; times are milliseconds of one clock.
 * Imported within `store/` and by tests.
 */

const MINUTE_MS = 60_000;
const BURST_SHARE = 0.1;

interface Bucket {
  /** Units that may come at once. */
  burst: number;
  /** Time after which one more unit is there. */
  intervalMs: number;
}

const bucketOf = (perMinute: number): Bucket => {
  const burst = Math.max(1, Math.floor(perMinute * BURST_SHARE));
  // A burst at the end of a minute and the units of the next one must fit together.
  return { burst, intervalMs: MINUTE_MS / (perMinute - burst + 1) };
};

/** How long `units` must wait; 0 = not at all. `fullAt`: when the bucket will be full again. */
export const bucketWait = (perMinute: number, fullAt: number, units: number, now: number): number => {
  const { burst, intervalMs } = bucketOf(perMinute);
  return Math.max(0, fullAt - Math.max(0, burst - units) * intervalMs - now);
};

/** When the bucket will be full again after `units` were taken; negative units are given back. */
export const bucketAfter = (perMinute: number, fullAt: number, units: number, now: number): number =>
  (units < 0 ? fullAt : Math.max(fullAt, now)) + units * bucketOf(perMinute).intervalMs;
