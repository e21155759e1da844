/**
 * Joins everything that ends a tool's attempt from outside into one signal.
 *
 * Rule: the first reason counts. After a cancellation the tool has a grace time; after a timeout it has none.
 * Imported by the tool runner.
 */
import type { Context } from '@temporalio/activity';
import type { LeaseClock } from '../lease.ts';

/** Grace time of a cancelled tool, in milliseconds. */
const STOP_GRACE_MS = 5_000;
/** How often the worker sends a heartbeat for a tool that sends none: the reply tells of a cancellation. Milliseconds. */
const WORKER_BEAT_MS = 2_000;

const nothing = (): void => undefined;

/** Why an attempt was stopped from outside the tool. */
export type Stop = 'cancelled' | 'shutdown' | 'too_long' | 'deadline';

export interface Stopper {
  /** Created on first use: most tools never need it, at thousands of calls a second. */
  signal(): AbortSignal;
  /** Calls `giveUp` when the tool's time is over; after a cancellation, when the grace time is over. */
  whenGivenUp(giveUp: (reason: Error) => void): void;
  stopped(): Stop | null;
  dispose(): void;
}

/** Joins everything that ends an attempt into one signal, and names the reason. */
export const makeStopper = (
  context: Context,
  options: {
    /** Unix milliseconds; null = none. */
    deadline: number | null;
    clock: LeaseClock;
    /** Sends a heartbeat. */
    beat(): void;
    /** The worker sends the heartbeats, since the tool sends none. */
    beats: boolean;
    /** Called once, when the attempt is stopped. */
    onStop(): void;
  },
): Stopper => {
  const { deadline, clock } = options;
  const { info, cancellationSignal } = context;
  let abort: AbortController | null = null;
  let stopped: { why: Stop; reason: Error } | null = null;
  let giveUp: (reason: Error) => void = nothing;
  const timers: NodeJS.Timeout[] = [];

  const after = (ms: number, act: () => void) => {
    // setTimeout takes 31 bits; a longer delay exceeds any attempt.
    if (ms < 2 ** 31 - 1) timers.push(setTimeout(act, Math.max(0, ms)));
  };
  const stop = (why: Stop, graceMs: number) => {
    if (stopped !== null) return;
    const reason = new Error(`the tool was stopped: ${why}`);
    reason.name = 'AbortError';
    stopped = { why, reason };
    options.onStop();
    abort?.abort(reason);
    if (graceMs === 0) giveUp(reason);
    else after(graceMs, () => giveUp(reason));
  };
  const onCancel = () =>
    stop(context.cancellationDetails?.workerShutdown === true ? 'shutdown' : 'cancelled', STOP_GRACE_MS);

  if (cancellationSignal.aborted) onCancel();
  else cancellationSignal.addEventListener('abort', onCancel, { once: true });
  const attemptMs = info.startToCloseTimeoutMs > 0 ? info.startToCloseTimeoutMs : Infinity;
  const leftMs = deadline === null ? Infinity : deadline - clock.wall();
  after(Math.min(attemptMs, leftMs), () => stop(attemptMs <= leftMs ? 'too_long' : 'deadline', 0));
  const beats = options.beats ? setInterval(() => options.beat(), WORKER_BEAT_MS) : undefined;

  return {
    signal: () => {
      if (abort === null) {
        abort = new AbortController();
        if (stopped !== null) abort.abort(stopped.reason);
      }
      return abort.signal;
    },
    whenGivenUp: (act) => {
      giveUp = act;
    },
    stopped: () => stopped?.why ?? null,
    dispose: () => {
      cancellationSignal.removeEventListener('abort', onCancel);
      for (const timer of timers) clearTimeout(timer);
      clearInterval(beats);
    },
  };
};
