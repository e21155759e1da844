/**
 * One attempt of an activity at the fast level: its waits, its requests, its heartbeats.
 *
 * Rule: every wait goes through the worker, so the code of a killed worker stops at its wait, that of a frozen one
 * continues late, and the server may process a request of a dead sender. While the worker is connected, heartbeats are
 * assumed; the lease uses the real arithmetic on the gaps. Only `test/simulation` imports it.
 */
import type { Progress } from '../../../protocol/ports/backend.ts';
import type { Faults, Place, Route } from '../faults.ts';
import type { Random } from '../../support/random.ts';
import type { Activity, ActivityResult } from '../temporal/activity.ts';
import { SimFailure, applicationFailure, cancelledFailure } from '../temporal/types.ts';
import type { SimClock } from '../temporal/types.ts';
import type { Worker } from '../temporal/worker.ts';
import { FAILURES } from '../../../protocol/temporal/names.ts';

/** A request that gave no usable answer. */
export class RequestFailure extends Error {
  readonly mayHaveHappened: boolean;
  readonly status: number | null;
  readonly retryAfterMs: number | null;
  constructor(message: string, more: { may: boolean; status?: number; retryAfterMs?: number }) {
    super(message);
    this.mayHaveHappened = more.may;
    this.status = more.status ?? null;
    this.retryAfterMs = more.retryAfterMs ?? null;
  }
}

export class Aborted extends Error {}

export interface AttemptDeps {
  clock: SimClock;
  random: Random;
  faults: Faults;
  /** A request has reached the server. */
  arrived(route: Route, attempt: Attempt): void;
}

export interface Attempt {
  readonly activity: Activity;
  readonly worker: Worker;
  readonly number: number;
  readonly previous: Progress | null;
  /** Replaced by another attempt, and in no position to know: Temporal did not hear its worker for a while. */
  readonly unfenced: boolean;
  now(): number;
  sleep(ms: number): Promise<void>;
  heartbeat(progress: Progress): void;
  /** Throws when another attempt may have taken over. */
  fence(): void;
  /** A fault may hit the worker here. */
  at(place: Place): Promise<void>;
  request<T>(route: Route, process: () => T, stale?: () => T): Promise<T>;
  /** Resolves when `subscribe`'s listener is called, or after `ms`. */
  until(subscribe: (listener: () => void) => () => void, ms: number): Promise<void>;
}

const TOTAL_TIMEOUT_MS = 120_000;
const THROTTLE = 0.8;
/** A promise of its own each time: one for all would hold whoever waits for it for as long as the process lives. */
const never = (): Promise<never> => new Promise<never>(() => undefined);

const progressOf = (details: unknown): Progress | null =>
  typeof details === 'object' && details !== null ? details : null;

export const runAttempt = (
  activity: Activity,
  worker: Worker,
  turn: { attempt: number; details: unknown },
  deps: AttemptDeps,
  implementation: (attempt: Attempt) => Promise<unknown>,
): void => {
  const { clock, random, faults } = deps;
  const { heartbeatMs, startToCloseMs } = activity.options;
  const begunAt = clock.now();
  /** A process that runs after this one's death knows nothing of the attempt. */
  const { life } = worker;
  const latency = (): number => random.int(0, 15);
  /** What comes for an attempt of a dead process comes to nobody, also when the process runs again. */
  const later = (ms: number, fn: () => void): (() => void) => worker.later(ms, fn, life);
  let aborted: Aborted | null = null;
  let over = false;
  const stops = new Set<() => void>();
  const throttleMs = heartbeatMs === null ? 0 : heartbeatMs * THROTTLE;
  let lastBeat = -Infinity;
  let waitingBeat = false;
  let kept: unknown = turn.details;
  let frozenAt: number | null = null;
  let worstGap = 0;
  let wasCut = worker.cutOff;
  let giveUp: (() => void) | null = null;

  const abort = (why: string): void => {
    if (aborted !== null || over || worker.life !== life) return;
    aborted = new Aborted(why);
    for (const stop of stops) stop();
    stops.clear();
  };

  const dispose = (): void => {
    over = true;
    worker.listeners.delete(listener);
    giveUp?.();
    giveUp = null;
  };
  const listener = {
    silent(): void {
      if (worker.frozen) frozenAt ??= clock.now();
      if (worker.cutOff) wasCut = true;
      if (heartbeatMs === null || giveUp !== null) return;
      const heard = clock.now() - random.int(0, Math.min(throttleMs, clock.now() - begunAt));
      giveUp = clock.setTimeout(
        () => activity.silent(turn.attempt),
        Math.max(1, heard + heartbeatMs - clock.now()),
      );
    },
    heard(): void {
      if (frozenAt !== null) worstGap = Math.max(worstGap, clock.now() - frozenAt);
      frozenAt = null;
      giveUp?.();
      giveUp = null;
      // The next beat tells whether the attempt still counts.
      if (!stillCounts()) later(random.int(0, 1000), () => abort('not known any more'));
    },
  };
  worker.listeners.add(listener);
  const stillCounts = (): boolean => activity.running && activity.attempt === turn.attempt;

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve, reject) => {
      if (aborted !== null) return reject(aborted);
      const off = later(ms, () => {
        stops.delete(stop);
        if (aborted === null) resolve();
        else reject(aborted);
      });
      const stop = (): void => {
        off();
        later(0, () => reject(aborted ?? new Aborted('stopped')));
      };
      stops.add(stop);
    });

  const hit = (place: Place): boolean => {
    const fault = faults.worker(place);
    if (fault === 'worker killed') {
      worker.kill(random.ms(50, 90_000));
      return true;
    }
    if (fault === 'worker frozen') worker.freeze(random.ms(500, 120_000));
    if (fault === 'worker cut off') worker.cut(random.ms(500, 120_000));
    return false;
  };

  const attempt: Attempt = {
    activity,
    worker,
    number: turn.attempt,
    previous: progressOf(turn.details),
    get unfenced() {
      return wasCut && !stillCounts();
    },
    now: () => worker.wall(),
    sleep: pause,
    heartbeat(progress) {
      kept = progress;
      if (waitingBeat || heartbeatMs === null) return;
      const wait = Math.max(0, lastBeat + throttleMs - clock.now());
      waitingBeat = true;
      later(wait, () => {
        waitingBeat = false;
        if (over) return;
        lastBeat = clock.now();
        if (!worker.cutOff) activity.beat(turn.attempt, kept);
      });
    },
    fence() {
      if (aborted !== null) throw aborted;
      const lost =
        clock.now() - begunAt >= startToCloseMs ||
        (heartbeatMs !== null && worstGap + throttleMs >= heartbeatMs);
      if (lost)
        throw applicationFailure(FAILURES.backendUnavailable, 'the attempt stood still', { retryable: true });
    },
    async at(place) {
      if (hit(place)) await never();
      if (worker.frozen) await pause(0);
      // Its own beats tell it when its time is over, whatever Temporal knows of it.
      if (clock.now() - begunAt >= startToCloseMs) abort('it has outlived its lease');
      if (aborted !== null) throw aborted;
    },
    async request(route, process, stale) {
      // A freeze between the fence and the socket can't be told apart from a slow network: it is not drawn here.
      if (faults.worker('before a request', ['worker killed']) !== null) {
        worker.kill(random.ms(50, 90_000));
        await never();
      }
      if (aborted !== null) throw aborted;
      const fault = faults.request(route);
      if (fault === 'reset before sending') {
        await pause(latency());
        throw new RequestFailure(fault, { may: false });
      }
      const answered = new Promise<Awaited<ReturnType<typeof process>>>((resolve, reject) => {
        const stop = (): void => void later(0, () => reject(aborted ?? new Aborted('stopped')));
        stops.add(stop);
        const reply = (ms: number, settle: () => void): void => {
          later(ms, () => {
            stops.delete(stop);
            settle();
          });
        };
        const refuse = (ms: number, failure: Error): void => reply(ms, () => reject(failure));
        const slow =
          fault === 'slow' ? random.ms(100, route === 'create' || route === 'submit' ? 2_000 : 30_000) : 0;
        clock.setTimeout(() => {
          deps.arrived(route, attempt);
          switch (fault) {
            case 'status 401':
              return refuse(latency(), new RequestFailure(fault, { may: false, status: 401 }));
            case 'status 404':
              return refuse(latency(), new RequestFailure(fault, { may: false, status: 404 }));
            case 'status 429 with Retry-After':
              return refuse(
                latency(),
                new RequestFailure(fault, { may: false, status: 429, retryAfterMs: random.ms(100, 30_000) }),
              );
            case 'status 503':
              return refuse(latency(), new RequestFailure(fault, { may: true, status: 503 }));
            case 'status 500, not processed':
              return refuse(latency(), new RequestFailure(fault, { may: true, status: 500 }));
            case 'no answer, not processed':
              return refuse(TOTAL_TIMEOUT_MS, new RequestFailure(fault, { may: true }));
            default:
              break;
          }
          try {
            const value = (fault === 'stale read' && stale !== undefined ? stale : process)();
            if (fault === 'reset after processing' || fault === 'status 502, processed')
              return refuse(latency(), new RequestFailure(fault, { may: true }));
            if (fault === 'no answer, processed')
              return refuse(TOTAL_TIMEOUT_MS, new RequestFailure(fault, { may: true }));
            return reply(latency(), () => resolve(value as Awaited<typeof value>));
          } catch (error) {
            return refuse(latency(), error instanceof Error ? error : new Error(String(error)));
          }
        }, latency() + slow);
      });
      if (hit('request under way')) await never();
      const value = await answered;
      await attempt.at('answer under way');
      return value;
    },
    async until(subscribe, ms) {
      await attempt.at('waiting for the server');
      const cut = faults.request('get') === 'cut stream' ? random.ms(0, 1000) : ms;
      await new Promise<void>((resolve, reject) => {
        if (aborted !== null) return reject(aborted);
        let done = false;
        const finish = (settle: () => void): void => {
          if (done) return;
          done = true;
          unsubscribe();
          off();
          stops.delete(stop);
          settle();
        };
        const unsubscribe = subscribe(() => later(latency(), () => finish(resolve)));
        const off = later(Math.min(ms, cut), () => finish(resolve));
        const stop = (): void => void later(0, () => finish(() => reject(aborted ?? new Aborted('stopped'))));
        stops.add(stop);
      });
    },
  };

  activity.onCancel = () => {
    // Heard with the answer to the next heartbeat.
    later(random.int(0, Math.max(50, throttleMs)), () => {
      if (stillCounts() && activity.cancelRequested) abort('cancelled');
    });
  };

  const report = (result: ActivityResult): void => {
    dispose();
    const send = (): void =>
      worker.whenHeard(() => {
        activity.report(turn.attempt, result);
      });
    if (hit('before the report')) return;
    later(latency(), send);
  };
  const failureOf = (error: unknown): SimFailure => {
    if (error instanceof SimFailure) return error;
    if (error instanceof Aborted) return cancelledFailure(error.message);
    if (error instanceof RequestFailure)
      return applicationFailure(
        error.status === 401
          ? FAILURES.backendUnauthorized
          : error.status === 404
            ? FAILURES.backendNotFound
            : FAILURES.backendUnavailable,
        error.message,
        {
          retryable: error.status !== 401 && error.status !== 404,
          retryAfterMs: error.retryAfterMs,
        },
      );
    return applicationFailure('Bug', error instanceof Error ? (error.stack ?? error.message) : String(error));
  };

  later(0, () => {
    if (hit('attempt begins')) return;
    later(0, () => {
      implementation(attempt).then(
        (value) => report({ ok: true, value }),
        (error: unknown) => report({ ok: false, failure: failureOf(error) }),
      );
    });
  });
};
