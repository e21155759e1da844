/**
 * One attempt of an activity at the full level: the real activity function in its own Temporal context.
 *
 * Rule: the context behaves as the SDK's: heartbeats are throttled to a share of their timeout, a cancellation arrives
 * with the response to one, results and failures are reported through the worker. Only `test/simulation/full` imports
 * it.
 */
import { asyncLocalStorage, Context } from '@temporalio/activity';
import type { Info } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure, noopMetricMeter } from '@temporalio/common';
import type { Faults, Place } from '../faults.ts';
import type { Random } from '../../support/random.ts';
import type { Activity, ActivityResult } from '../temporal/activity.ts';
import { applicationFailure, cancelledFailure } from '../temporal/types.ts';
import type { SimClock, SimFailure } from '../temporal/types.ts';
import type { Worker } from '../temporal/worker.ts';
import type { Broken } from './broken.ts';
import type { Virtual } from './virtual.ts';

/** As the worker asks of the SDK. */
export const HEARTBEAT_THROTTLE_MS = 2_000;
const THROTTLE = 0.8;

const quiet = (): void => undefined;
const noLogger = { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };

export interface FullAttemptDeps {
  clock: SimClock;
  random: Random;
  faults: Faults;
  virtual: Virtual;
  workflowId: string;
  broken: Broken;
  /** A failure leaves for history: for the auditor of secrets. */
  told(failure: SimFailure): SimFailure;
}

const failureOf = (error: unknown): SimFailure => {
  if (error instanceof CancelledFailure) return cancelledFailure(error.message);
  if (error instanceof ApplicationFailure)
    return applicationFailure(error.type ?? '', error.message, {
      retryable: error.nonRetryable !== true,
      retryAfterMs: typeof error.nextRetryDelay === 'number' ? error.nextRetryDelay : null,
    });
  // As the SDK does it: any other error is one to try again.
  return applicationFailure(
    error instanceof Error ? error.name : 'Error',
    error instanceof Error ? error.message : String(error),
    { retryable: true },
  );
};

export const runFullAttempt = (
  activity: Activity,
  worker: Worker,
  turn: { attempt: number; details: unknown },
  deps: FullAttemptDeps,
  implementation: (input: unknown) => Promise<unknown>,
): void => {
  const { clock, random, faults, virtual } = deps;
  const { life } = worker;
  const { heartbeatMs, startToCloseMs, scheduleToCloseMs } = activity.options;
  const controller = new AbortController();
  let rejectCancelled: (error: Error) => void = quiet;
  const cancelled = new Promise<never>((_resolve, reject) => {
    rejectCancelled = reject;
  });
  cancelled.catch(quiet);
  let over = false;
  const cancel = (why: string): void => {
    if (over || controller.signal.aborted || worker.life !== life) return;
    const error = new CancelledFailure(why);
    controller.abort(error);
    rejectCancelled(error);
    virtual.stir();
  };

  const throttleMs = Math.min(HEARTBEAT_THROTTLE_MS, THROTTLE * (heartbeatMs ?? Infinity));
  let lastBeat = -Infinity;
  let waiting = false;
  let kept: unknown = turn.details;
  const beat = (details: unknown): void => {
    kept = details;
    if (waiting || over) return;
    waiting = true;
    const wait = Math.max(0, lastBeat + throttleMs - clock.now());
    const send = (): void => {
      waiting = false;
      if (over) return;
      lastBeat = clock.now();
      if (worker.cutOff) return;
      // As it would cross the wire.
      const answer = activity.beat(turn.attempt, JSON.parse(JSON.stringify(kept ?? null)));
      if (!answer.known) cancel('NOT_FOUND');
      else if (answer.cancelRequested) cancel('CANCELLED');
    };
    worker.later(wait, send, life);
  };

  const hit = (place: Place): boolean => {
    const fault = faults.worker(place);
    if (fault === 'worker killed') worker.kill(random.ms(50, 60_000));
    if (fault === 'worker frozen') worker.freeze(random.ms(500, 60_000));
    if (fault === 'worker cut off') worker.cut(random.ms(500, 60_000));
    return worker.life !== life;
  };

  const report = (result: ActivityResult): void => {
    over = true;
    virtual.stir();
    if (worker.life !== life || hit('before the report')) return;
    const told: ActivityResult = result.ok ? result : { ok: false, failure: deps.told(result.failure) };
    worker.later(random.int(0, 10), () =>
      worker.whenHeard(() => {
        // A beat that was held back leaves before a failure does: the next attempt is to know it.
        if (waiting && !told.ok) activity.beat(turn.attempt, JSON.parse(JSON.stringify(kept ?? null)));
        activity.report(turn.attempt, told);
      }),
    );
  };

  const plain = {
    attempt: turn.attempt,
    activityId: String(activity.seq),
    activityType: activity.type,
    namespace: 'default',
    activityNamespace: 'default',
    taskQueue: 'runs',
    isLocal: false,
    taskToken: new Uint8Array(),
    base64TaskToken: '',
    inWorkflow: true,
    workflowNamespace: 'default',
    workflowType: 'run',
    workflowExecution: { workflowId: deps.workflowId, runId: 'sim' },
    scheduledTimestampMs: activity.scheduledAt,
    currentAttemptScheduledTimestampMs: clock.now(),
    scheduleToCloseTimeoutMs: scheduleToCloseMs,
    startToCloseTimeoutMs: startToCloseMs,
    heartbeatTimeoutMs: heartbeatMs ?? undefined,
    heartbeatDetails: turn.details ?? undefined,
  };
  const info = { ...plain, ...deps.broken.info?.(plain) } as unknown as Info;

  worker.later(0, () => {
    if (hit('attempt begins')) return;
    worker.later(0, () => {
      virtual.stir();
      virtual.as(worker, () => {
        const context = new Context(
          info,
          cancelled,
          controller.signal,
          beat,
          undefined,
          noLogger,
          noopMetricMeter,
          {},
        );
        // What crosses the wire is JSON.
        const input = JSON.parse(JSON.stringify(activity.input)) as unknown;
        asyncLocalStorage
          .run(context, async () => await implementation(input))
          .then(
            (value) => report({ ok: true, value: JSON.parse(JSON.stringify(value ?? null)) as unknown }),
            (error: unknown) => report({ ok: false, failure: failureOf(error) }),
          );
      });
    });
  });
};
