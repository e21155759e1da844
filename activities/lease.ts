/**
 * Fencing of attempts: tells whether this attempt still owns its work. A worker that was frozen past its heartbeat timeout resumes beside
 * another attempt, and must notice it before it writes.
 *
 * Rule: measured by gaps between this process's own heartbeats, on the monotonic and the wall clock, whichever shows
 * the longer gap: a suspended machine may stop the monotonic clock. A lost lease stays lost, since a heartbeat after
 * the gap proves nothing. It does not detect a network that drops the heartbeats of a running process. Imported by the
 * activities.
 */

export interface LeaseClock {
  /** Unix milliseconds. */
  wall(): number;
  /** Milliseconds that never go backwards. */
  monotonic(): number;
}

export const systemClock: LeaseClock = { wall: () => Date.now(), monotonic: () => performance.now() };

export interface LeaseTerms {
  /** Silence after which the server starts another attempt; null = only `startToCloseMs` bounds the attempt. */
  heartbeatTimeoutMs: number | null;
  /** How old the heartbeat that the server knows may be: the SDK throttles heartbeats by this time. */
  throttleMs: number;
  startToCloseMs: number;
}

export interface AttemptLease {
  /** A heartbeat was passed to the SDK now. */
  beat(): void;
  /** Why the attempt may have been replaced; undefined while it surely was not. */
  lost(): string | undefined;
}

/** Starts the lease: call it when the attempt starts. */
export const makeLease = (terms: LeaseTerms, clock: LeaseClock): AttemptLease => {
  const begun = { wall: clock.wall(), monotonic: clock.monotonic() };
  let latest = begun;
  let verdict: string | undefined;

  const since = (mark: { wall: number; monotonic: number }): number =>
    Math.max(clock.monotonic() - mark.monotonic, clock.wall() - mark.wall);

  const judge = (): string | undefined => {
    if (verdict !== undefined) return verdict;
    if (since(begun) >= terms.startToCloseMs) {
      verdict = `it has run for ${Math.round(since(begun))} of ${terms.startToCloseMs} ms`;
    } else if (terms.heartbeatTimeoutMs !== null) {
      const gap = since(latest);
      if (gap + terms.throttleMs >= terms.heartbeatTimeoutMs) {
        verdict = `this worker was suspended for ${Math.round(gap)} ms; the heartbeat timeout is ${terms.heartbeatTimeoutMs} ms`;
      }
    }
    return verdict;
  };

  return {
    beat: () => {
      // Evaluated first: the gap before this heartbeat counts.
      if (judge() === undefined) latest = { wall: clock.wall(), monotonic: clock.monotonic() };
    },
    lost: judge,
  };
};
