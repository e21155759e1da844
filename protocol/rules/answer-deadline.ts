/**
 * Until when an answer to a waiting call is in time on the `chat` backend.
 *
 * Rule: a call with `onDeadline: fail` may wait until the run's expiry; of all others the round leaves a margin earlier, so
 * that its outputs still arrive. The call's own limit may be shorter. The workflow decides by the same margin; the store
 * shows the deadline. Pure. Any room may import it; the workflow sandbox may too.
 */
import type { WaitPolicy } from '../tool-calls.ts';

/** Margin before the expiry, so that a submit still arrives: a share of the run's life, but at least this. */
const MARGIN_MS = 5_000;
const MARGIN_SHARE = 0.05;
/** On very short runs the margin must not use up the whole life. */
const MAX_MARGIN_SHARE = 0.25;

/** Milliseconds before the expiry of a run. 0 when no expiry is known. */
export const expiryMargin = (expiresAt: number | null, createdAt: number): number => {
  if (expiresAt === null) return 0;
  const life = Math.max(0, expiresAt - createdAt);
  return Math.min(Math.max(MARGIN_MS, life * MARGIN_SHARE), life * MAX_MARGIN_SHARE);
};

/** Unix ms; null = none is known. `askedAt`: when the turn that made the call settled. */
export const answerDeadline = (
  { onDeadline, answerWithinMs }: WaitPolicy,
  run: { createdAt: number; expiresAt: number | null },
  askedAt: number | null,
): number | null => {
  const margin = onDeadline === 'fail' ? 0 : expiryMargin(run.expiresAt, run.createdAt);
  const moments = [
    ...(run.expiresAt === null ? [] : [run.expiresAt - margin]),
    ...(answerWithinMs === null || askedAt === null ? [] : [askedAt + answerWithinMs]),
  ];
  return moments.length === 0 ? null : Math.min(...moments);
};
