/**
 * Worker processes of a schedule: they die, freeze, lose the connection to the server, and have their own clocks.
 *
 * Rule: all code on a worker gets its callbacks through `later`. A dead worker's callbacks never run; a frozen one's
 * run when it wakes. So code stops exactly at its wait, as in a killed process. Only `test/simulation` imports it.
 */
import type { SimClock } from './types.ts';

export interface Listener {
  silent(): void;
  heard(): void;
}

export interface Worker {
  readonly id: number;
  /** Counts its lives; 0 = not running. */
  readonly life: number;
  readonly up: boolean;
  readonly frozen: boolean;
  /** Temporal does not hear it; everybody else does. */
  readonly cutOff: boolean;
  /** Wall clock error in milliseconds. */
  skewMs: number;
  /** Its wall clock. */
  wall(): number;
  /** Runs `fn` in this life, `ms` from now; returns what takes it back. Code of an earlier life (`of`) gets nothing. */
  later(ms: number, fn: () => void, of?: number): () => void;
  /** Attempts that want to know when the server stops hearing this worker, and when it does again. */
  readonly listeners: Set<Listener>;
  /** Runs `fn` as soon as the server hears the worker again. */
  whenHeard(fn: () => void): void;
  kill(restartAfterMs: number): void;
  freeze(ms: number): void;
  cut(ms: number): void;
}

export const createWorker = (
  id: number,
  clock: SimClock,
  on: { died(): void; started(): void; woke(): void },
): Worker => {
  let life = 1;
  let up = true;
  let frozenUntil = 0;
  let cutUntil = 0;

  /** Returns what takes it back, also after a freeze has put it off. */
  const arm = (born: number, fn: () => void, ms: number): (() => void) => {
    let off = clock.setTimeout(() => {
      if (!up || life !== born) return;
      const left = frozenUntil - clock.now();
      if (left > 0) off = arm(born, fn, left);
      else fn();
    }, ms);
    return () => off();
  };

  const listeners = new Set<Listener>();
  const tell = (): void => {
    const silent = worker.frozen || worker.cutOff;
    for (const listener of listeners) {
      if (silent) listener.silent();
      else listener.heard();
    }
  };

  const worker: Worker = {
    id,
    listeners,
    get life() {
      return up ? life : 0;
    },
    get up() {
      return up;
    },
    get frozen() {
      return frozenUntil > clock.now();
    },
    get cutOff() {
      return cutUntil > clock.now();
    },
    skewMs: 0,
    wall: () => clock.now() + worker.skewMs,
    later(ms, fn, of = life) {
      return of === life ? arm(of, fn, ms) : () => undefined;
    },
    whenHeard(fn) {
      const left = cutUntil - clock.now();
      if (left > 0) worker.later(left, () => worker.whenHeard(fn));
      else fn();
    },
    kill(restartAfterMs) {
      if (!up) return;
      up = false;
      for (const listener of listeners) listener.silent();
      listeners.clear();
      on.died();
      clock.setTimeout(() => {
        up = true;
        life += 1;
        frozenUntil = 0;
        cutUntil = 0;
        on.started();
      }, restartAfterMs);
    },
    freeze(ms) {
      if (!up) return;
      frozenUntil = Math.max(frozenUntil, clock.now() + ms);
      tell();
      clock.setTimeout(() => {
        if (worker.frozen || worker.cutOff) return;
        tell();
        on.woke();
      }, ms);
    },
    cut(ms) {
      cutUntil = Math.max(cutUntil, clock.now() + ms);
      tell();
      clock.setTimeout(() => {
        if (worker.cutOff || worker.frozen) return;
        tell();
        on.woke();
      }, ms);
    },
  };
  return worker;
};
