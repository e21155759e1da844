/**
 * One activity at the simulated server: attempts, retries, timeouts, heartbeats, cancellation.
 *
 * Rule: at most one attempt counts at any time; a report of another one is refused. An attempt that was lost (worker
 * killed, frozen, unheard) is noticed by its timeouts only, as on the real server.
 * Only `test/simulation` imports it.
 */
import { cancelledFailure, SimFailure } from './types.ts';
import type { ActivityCommand, SimClock } from './types.ts';

export type ActivityResult = { ok: true; value: unknown } | { ok: false; failure: SimFailure };

export interface ActivityEnv {
  clock: SimClock;
  /** Puts the next attempt into the queue; a worker then calls `begin`. */
  enqueue(activity: Activity): void;
  /** The activity has ended: to be told to the workflow. */
  ended(activity: Activity, result: ActivityResult): void;
  /** A time-out or a lost attempt: a fault was felt. */
  note(what: string): void;
  /** Signs of life come one by one; otherwise they are taken for granted until `silent` says that they stopped. */
  beats: boolean;
}

export interface Beat {
  /** false = this attempt does not count any more. */
  known: boolean;
  cancelRequested: boolean;
}

export interface Activity extends ActivityCommand {
  readonly seq: number;
  readonly scheduledAt: number;
  readonly attempt: number;
  readonly closed: boolean;
  readonly running: boolean;
  readonly cancelRequested: boolean;
  /** What the last attempt that was heard kept for the next one. */
  readonly details: unknown;
  /** A worker takes the attempt; null when there is none to take. */
  begin(): { attempt: number; details: unknown } | null;
  beat(attempt: number, details: unknown): Beat;
  /** Nothing was heard of the attempt for too long. */
  silent(attempt: number): void;
  report(attempt: number, result: ActivityResult): void;
  /** Told when the running attempt is asked to stop; at most one listener. */
  onCancel: (() => void) | null;
  requestCancel(): void;
  /** The execution that owns it is gone. */
  drop(): void;
}

const timeout = (
  kind: 'start_to_close' | 'schedule_to_close' | 'heartbeat',
  from: SimFailure | null,
): SimFailure =>
  new SimFailure(
    {
      kind: 'timeout',
      timeout: kind,
      type: from?.failure.kind === 'application' ? from.failure.type : '',
      message: from?.failure.kind === 'application' ? from.failure.message : '',
    },
    { retryable: true },
  );

/** What is noted when the next attempt would begin after the activity's end. */
export const NO_TIME = 'no time for another attempt';

const outOfTime = (from: SimFailure): SimFailure =>
  new SimFailure({ ...from.failure, outOfTime: true }, { retryable: true });

export const createActivity = (seq: number, command: ActivityCommand, env: ActivityEnv): Activity => {
  const { clock } = env;
  const { options } = command;
  const scheduledAt = clock.now();
  const deadline = scheduledAt + options.scheduleToCloseMs;
  let attempt = 0;
  let state: 'queued' | 'running' | 'backoff' | 'closed' = 'queued';
  let cancelRequested = false;
  let details: unknown = null;
  let last: SimFailure | null = null;
  let disarm: (() => void)[] = [];
  let disarmBeat: (() => void) | null = null;

  const disarmAttempt = (): void => {
    for (const off of disarm) off();
    disarm = [];
    disarmBeat?.();
    disarmBeat = null;
  };
  const close = (result: ActivityResult): void => {
    disarmAttempt();
    disarmDeadline();
    state = 'closed';
    env.ended(activity, result);
  };
  /** An attempt has failed: another one, or the end. */
  const failed = (failure: SimFailure): void => {
    disarmAttempt();
    const { retry } = options;
    const pause =
      failure.retryAfterMs ??
      Math.min(retry.maximumMs, retry.initialMs * retry.coefficient ** Math.min(attempt - 1, 30));
    const over =
      !failure.retryable ||
      cancelRequested ||
      (retry.attempts > 0 && attempt >= retry.attempts) ||
      clock.now() + pause >= deadline;
    if (over) {
      const late = failure.retryable && !cancelRequested && clock.now() + pause >= deadline;
      if (late) env.note(NO_TIME);
      return close({ ok: false, failure: late ? outOfTime(failure) : failure });
    }
    last = failure;
    state = 'backoff';
    disarm.push(
      clock.setTimeout(() => {
        state = 'queued';
        env.enqueue(activity);
      }, pause),
    );
  };

  const armBeat = (): void => {
    disarmBeat?.();
    disarmBeat =
      options.heartbeatMs === null || !env.beats
        ? null
        : clock.setTimeout(() => {
            env.note('heartbeat timeout');
            failed(timeout('heartbeat', last));
          }, options.heartbeatMs);
  };

  const activity: Activity = {
    seq,
    scheduledAt,
    ...command,
    get attempt() {
      return attempt;
    },
    get closed() {
      return state === 'closed';
    },
    get running() {
      return state === 'running';
    },
    get cancelRequested() {
      return cancelRequested;
    },
    get details() {
      return details;
    },
    begin() {
      if (state !== 'queued') return null;
      state = 'running';
      attempt += 1;
      disarm.push(
        clock.setTimeout(() => {
          env.note('start-to-close timeout');
          failed(timeout('start_to_close', last));
        }, options.startToCloseMs),
      );
      armBeat();
      return { attempt, details };
    },
    beat(from, given) {
      if (state !== 'running' || from !== attempt) return { known: false, cancelRequested: false };
      details = given;
      armBeat();
      return { known: true, cancelRequested };
    },
    silent(from) {
      if (state !== 'running' || from !== attempt) return;
      env.note('heartbeat timeout');
      failed(timeout('heartbeat', last));
    },
    report(from, result) {
      if (state !== 'running' || from !== attempt) {
        env.note('late report refused');
        return;
      }
      if (result.ok) close(result);
      else if (result.failure.failure.kind === 'cancelled' && cancelRequested) close(result);
      else failed(result.failure);
    },
    requestCancel() {
      if (state === 'closed') return;
      cancelRequested = true;
      if (state === 'running') activity.onCancel?.();
      else close({ ok: false, failure: cancelledFailure() });
    },
    onCancel: null,
    drop() {
      disarmAttempt();
      disarmDeadline();
      state = 'closed';
    },
  };
  const disarmDeadline = clock.setTimeout(() => {
    env.note('schedule-to-close timeout');
    close({ ok: false, failure: timeout('schedule_to_close', last) });
  }, options.scheduleToCloseMs);
  env.enqueue(activity);
  return activity;
};
