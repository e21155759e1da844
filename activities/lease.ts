/**
 * Does this attempt still own its work? A worker that was frozen past its heartbeat timeout wakes up to find another
 * attempt under way; it must notice before it writes anything.
 *
 * Rule: measured by gaps between this process's own beats, on the monotonic and on the wall clock, whichever shows the
 * longer gap: a frozen process beats nowhere, and a suspended machine may stop the monotonic clock. Once lost, a lease
 * stays lost: a beat after the gap proves nothing.
 * What it cannot see: a network that loses the heartbeats of a process that runs on. Imported by the activities.
 */

export interface LeaseClock {
  /** Unix milliseconds. */
  wall(): number;
  /** Milliseconds that never go backwards. */
  monotonic(): number;
}

export const systemClock: LeaseClock = { wall: () => Date.now(), monotonic: () => performance.now() };

export interface LeaseTerms {
  /** Silence after which the server gives the attempt to another worker; null = it waits for `startToCloseMs` alone. */
  heartbeatTimeoutMs: number | null;
  /** How far behind the latest beat the one that the server knows may be: the SDK holds beats back this long. */
  throttleMs: number;
  startToCloseMs: number;
}

export interface AttemptLease {
  /** A sign of life was handed to Temporal now. */
  beat(): void;
  /** Why the attempt may have been replaced, or undefined while it surely was not. */
  lost(): string | undefined;
}

/** The lease begins now: call at the attempt's first moment. */
export const makeLease = (terms: LeaseTerms, clock: LeaseClock): AttemptLease => {
  const begun = { wall: clock.wall(), monotonic: clock.monotonic() };
  let latest = begun;
  let verdict: string | undefined;

  const since = (mark: { wall: number; monotonic: number }): number =>
    Math.max(clock.monotonic() - mark.monotonic, clock.wall() - mark.wall);

  const judge = (): string | undefined => {
    if (verdict !== undefined) return verdict;
    if (since(begun) >= terms.startToCloseMs) {
      verdict = `it has taken ${Math.round(since(begun))} ms of ${terms.startToCloseMs}`;
    } else if (terms.heartbeatTimeoutMs !== null) {
      const gap = since(latest);
      if (gap + terms.throttleMs >= terms.heartbeatTimeoutMs) {
        verdict = `this worker stood still for ${Math.round(gap)} ms, with a heartbeat timeout of ${terms.heartbeatTimeoutMs}`;
      }
    }
    return verdict;
  };

  return {
    beat: () => {
      // Judged first: the gap before this beat is what counts.
      if (judge() === undefined) latest = { wall: clock.wall(), monotonic: clock.monotonic() };
    },
    lost: judge,
  };
};
