/**
 * What an activity attempt provides to a backend: signal, heartbeats, fence, progress of the previous attempt,
 * planning.
 *
 * Rule: the attempt sends heartbeats by itself, however long the backend waits on a socket. Once it may have been
 * replaced it stops writing, and stays so.
 * Imported by the backend activities only.
 */
import type { Context } from '@temporalio/activity';
import { setTimeout as pause } from 'node:timers/promises';
import type { BackendContext, Progress } from '../protocol/index.ts';
import type { ActivityDeps } from './dependencies.ts';
import { makeLease, systemClock, type LeaseTerms } from './lease.ts';
import { noMetrics } from './metrics.ts';
import { planCalls } from './tools/plan-calls.ts';
import { isRecord } from '../protocol/rules/is-record.ts';

/** The SDK sends heartbeats at most this often, as a share of the timeout, unless the worker caps it lower. */
const SDK_THROTTLE_SHARE = 0.8;
/** Heartbeats within one timeout. Three would do for the server; more tell a short pause from a long one. */
const BEATS_PER_TIMEOUT = 10;
/** More frequent heartbeats have no use. Milliseconds. */
const MIN_HEARTBEAT_INTERVAL_MS = 50;
/** Longest interval: without a heartbeat timeout, heartbeats only fetch a cancellation. Milliseconds. */
const MAX_HEARTBEAT_INTERVAL_MS = 1_000;

/** Thrown by `fence`: another attempt may have replaced this one. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
}

export interface Attempt {
  context: BackendContext;
  lost(): string | undefined;
  dispose(): void;
}

const isProgress = (value: unknown): value is Progress => isRecord(value);

export const leaseTerms = (
  info: Pick<Context['info'], 'heartbeatTimeoutMs' | 'startToCloseTimeoutMs'>,
  maxThrottleMs: number | undefined,
): LeaseTerms => {
  const timeout = info.heartbeatTimeoutMs;
  const heartbeatTimeoutMs = timeout === undefined || timeout === 0 ? null : timeout;
  return {
    heartbeatTimeoutMs,
    throttleMs: Math.min(maxThrottleMs ?? Infinity, SDK_THROTTLE_SHARE * (heartbeatTimeoutMs ?? 0)),
    startToCloseMs: info.startToCloseTimeoutMs > 0 ? info.startToCloseTimeoutMs : Infinity,
  };
};

/** Begins an attempt. Call `dispose` when it has ended, in any way. */
export const beginAttempt = (
  activity: Context,
  deps: ActivityDeps,
  backend: 'assistants' | 'chat',
  logFields: Record<string, unknown>,
): Attempt => {
  const clock = deps.clock ?? systemClock;
  const metrics = deps.metrics ?? noMetrics;
  const { info, cancellationSignal } = activity;
  const terms = leaseTerms(info, deps.maxHeartbeatThrottleMs);
  const lease = makeLease(terms, clock);
  const ended = new AbortController();
  const signal = AbortSignal.any([cancellationSignal, ended.signal]);

  const previous = isProgress(info.heartbeatDetails) ? info.heartbeatDetails : null;
  let progress: Progress = previous ?? {};
  const beat = () => {
    lease.beat();
    const lost = lease.lost();
    if (lost === undefined) activity.heartbeat(progress);
    else if (!ended.signal.aborted) ended.abort(new LeaseLostError(lost));
  };
  const interval = Math.min(
    MAX_HEARTBEAT_INTERVAL_MS,
    Math.max(MIN_HEARTBEAT_INTERVAL_MS, (terms.heartbeatTimeoutMs ?? Infinity) / BEATS_PER_TIMEOUT),
  );
  const beats = setInterval(beat, interval);

  const fields = { ...logFields, attempt: info.attempt };
  const context: BackendContext = {
    signal,
    attempt: info.attempt,
    previous,
    heartbeat: (next) => {
      progress = next;
      beat();
    },
    fence: () => {
      if (cancellationSignal.aborted) throw cancellationSignal.reason;
      const lost = lease.lost();
      if (lost !== undefined) throw new LeaseLostError(lost);
    },
    now: () => clock.wall(),
    sleep: async (ms) => {
      try {
        await pause(ms, undefined, { signal });
      } catch (error) {
        throw signal.aborted ? signal.reason : error;
      }
    },
    plan: (calls, declaredTools, options) => planCalls(deps.tools, calls, declaredTools, options),
    workerTools: () => deps.tools.definitions(),
    log: {
      debug: (more, message) => deps.log.debug({ ...fields, ...more }, message),
      info: (more, message) => deps.log.info({ ...fields, ...more }, message),
      warn: (more, message) => deps.log.warn({ ...fields, ...more }, message),
      error: (more, message) => deps.log.error({ ...fields, ...more }, message),
    },
    observe: (what) => metrics.observe(backend, what),
  };
  return { context, lost: () => lease.lost(), dispose: () => clearInterval(beats) };
};
