/**
 * When a run is worth reading again: the statuses in which the official helpers poll on, and the interval they are given.
 *
 * Rule: both engines give the same interval, a tenth of the time since the run last changed, so that a change is seen late by a
 * tenth of its wait at most. Pure. Imports wire shapes only.
 */
import type { Run, RunStatus } from '../wire/objects.ts';

const POLLED_STATUSES: readonly RunStatus[] = ['queued', 'in_progress', 'cancelling'];

/** True while neither the caller is asked for anything nor the run has ended. */
export const isPolled = (status: RunStatus): boolean => POLLED_STATUSES.includes(status);

const SHARE = 0.1;
const MIN_MS = 20;
const MAX_MS = 2_000;
/** Of a status without a time: it may last, and 20 ms would then be fifty requests a second. */
const UNKNOWN_MS = 250;

/** Unix seconds of the last change of status that a run shows; null = it shows none. */
const lastChange = (run: Run): number | null => {
  // A submit queues a run again; neither that nor the request to cancel is stamped.
  if (run.status === 'cancelling' || (run.status === 'queued' && run.started_at !== null)) return null;
  return run.completed_at ?? run.failed_at ?? run.cancelled_at ?? run.started_at ?? run.created_at;
};

/** Milliseconds for `openai-poll-after-ms`, from 20 to 2,000. `now` in unix milliseconds. */
export const pollAfterMs = (run: Run, now: number): number => {
  const seconds = lastChange(run);
  if (seconds === null) return UNKNOWN_MS;
  // Times on the wire are cut to seconds: the change may be as young as the end of its second.
  const ageMs = now - (seconds * 1000 + 999);
  return Math.round(Math.min(Math.max(ageMs * SHARE, MIN_MS), MAX_MS));
};
