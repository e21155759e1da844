/**
 * When a run is worth reading again: the statuses in which the official helpers poll, and their interval.
 *
 * Rule: all implementations give the same interval, a tenth of the time since the run last changed. A change is thus
 * seen late by at most a tenth of its wait. Pure. Imports wire shapes only.
 */
import type { Run, RunStatus } from '../wire/objects.ts';

const POLLED_STATUSES: readonly RunStatus[] = ['queued', 'in_progress', 'cancelling'];

/** True until the run requires action or ends. */
export const isPolled = (status: RunStatus): boolean => POLLED_STATUSES.includes(status);

const SHARE = 0.1;
const MIN_MS = 20;
const MAX_MS = 2_000;
/** A status without a time may last, and 20 ms would be fifty requests a second. */
const UNKNOWN_MS = 250;

/** Unix seconds of the last status change that a run shows; null = it shows none. */
const lastChange = (run: Run): number | null => {
  // A submit queues a run again; neither it nor a cancel request has a time on the wire.
  if (run.status === 'cancelling' || (run.status === 'queued' && run.started_at !== null)) return null;
  return run.completed_at ?? run.failed_at ?? run.cancelled_at ?? run.started_at ?? run.created_at;
};

/** Milliseconds for `openai-poll-after-ms`, from 20 to 2,000. `now` in unix milliseconds. */
export const pollAfterMs = (run: Run, now: number): number => {
  const seconds = lastChange(run);
  if (seconds === null) return UNKNOWN_MS;
  // Wire times are cut to seconds: the change may be as young as the end of its second.
  const ageMs = now - (seconds * 1000 + 999);
  return Math.round(Math.min(Math.max(ageMs * SHARE, MIN_MS), MAX_MS));
};
