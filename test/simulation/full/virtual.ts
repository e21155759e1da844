/**
 * The process's own time and randomness, made virtual while a schedule at the full level runs: timers, `timers/promises`,
 * `performance.now`, and the bytes that ids are minted from.
 *
 * Rule: installed for one schedule at a time, and taken back whatever happens. A timer belongs to the worker life in whose
 * code it was set: it dies, freezes and wakes with it. `setImmediate` stays real: it is how the simulator waits until
 * everything that could run has run. Only `test/simulation/full` imports it.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import type { Random } from '../../support/random.ts';
import type { SimClock } from '../temporal/types.ts';
import type { Worker } from '../temporal/worker.ts';

type Callback = (...args: unknown[]) => void;

/** Whose code is running. */
export interface Virtual {
  /** Runs code as that of a worker in its present life. */
  as<T>(worker: Worker, fn: () => T): T;
  /** The worker whose code is running, in the life in which it runs. */
  current(): Worker | null;
  /** Runs code as nobody's: the server's. */
  outside<T>(fn: () => T): T;
  /** Something happened: the simulator is not at rest. */
  stir(): void;
  /** Resolves when nothing stirs any more without time going on. */
  drain(): Promise<void>;
  restore(): void;
}

class VirtualTimer {
  readonly #cancel: () => void;
  constructor(cancel: () => void) {
    this.#cancel = cancel;
  }
  close(): void {
    this.#cancel();
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return false;
  }
  [Symbol.toPrimitive](): number {
    return 0;
  }
}

interface PromisedTimers {
  setTimeout: (ms?: number, value?: unknown, options?: { signal?: AbortSignal }) => Promise<unknown>;
}

const QUIET_TURNS = 3;

const delay = (ms: unknown): number => (typeof ms === 'number' && ms > 0 ? ms : 0);
const nothing = (): void => undefined;

export const installVirtual = (clock: SimClock, random: Random): Virtual => {
  const running = new AsyncLocalStorage<{ worker: Worker; life: number }>();
  const promised = createRequire(import.meta.url)('node:timers/promises') as PromisedTimers;
  const before = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
    promised: promised.setTimeout,
    bytes: globalThis.crypto.getRandomValues.bind(globalThis.crypto),
  };
  const realImmediate = globalThis.setImmediate;
  const begun = clock.now();
  let stirred = 0;

  const later = (ms: number, fn: () => void): (() => void) => {
    stirred += 1;
    const owner = running.getStore();
    // As Node's own timers do: what the callback does belongs to whoever set it.
    const setHere = new AsyncResource('VirtualTimer');
    const fire = (): void => {
      stirred += 1;
      setHere.runInAsyncScope(fn);
    };
    return owner === undefined ? clock.setTimeout(fire, ms) : owner.worker.later(ms, fire, owner.life);
  };

  const setTimer = (fn: Callback, ms?: number, ...args: unknown[]): VirtualTimer =>
    new VirtualTimer(later(Math.max(1, delay(ms)), () => fn(...args)));
  const setRepeating = (fn: Callback, ms?: number, ...args: unknown[]): VirtualTimer => {
    let cancel: () => void = nothing;
    let over = false;
    const again = (): void => {
      cancel = later(Math.max(1, delay(ms)), () => {
        fn(...args);
        if (!over) again();
      });
    };
    again();
    return new VirtualTimer(() => {
      over = true;
      cancel();
    });
  };
  const clear = (timer: unknown): void => {
    if (timer instanceof VirtualTimer) timer.close();
    else before.clearTimeout(timer as NodeJS.Timeout);
  };

  Object.assign(globalThis, {
    setTimeout: setTimer,
    clearTimeout: clear,
    setInterval: setRepeating,
    clearInterval: clear,
  });
  performance.now = () => clock.now() - begun;
  promised.setTimeout = (ms, value, options = {}) =>
    new Promise((resolve, reject) => {
      const { signal } = options;
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        cancel();
        reject(signal?.reason);
      };
      const cancel = later(Math.max(1, delay(ms)), () => {
        signal?.removeEventListener('abort', onAbort);
        resolve(value);
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  syncBuiltinESMExports();
  Object.defineProperty(globalThis.crypto, 'getRandomValues', {
    configurable: true,
    value: (bytes: Uint8Array) => {
      for (let index = 0; index < bytes.length; index += 1) bytes[index] = random.int(0, 255);
      return bytes;
    },
  });

  return {
    as: (worker, fn) => running.run({ worker, life: worker.life }, fn),
    current: () => running.getStore()?.worker ?? null,
    outside: (fn) => running.exit(fn),
    stir() {
      stirred += 1;
    },
    async drain() {
      for (let quiet = 0; quiet < QUIET_TURNS; quiet += 1) {
        const seen = stirred;
        await new Promise<void>((resolve) => realImmediate(resolve));
        if (seen !== stirred) quiet = -1;
      }
    },
    restore() {
      // Or every promise of the process would be asked about it for ever.
      running.disable();
      Object.assign(globalThis, {
        setTimeout: before.setTimeout,
        clearTimeout: before.clearTimeout,
        setInterval: before.setInterval,
        clearInterval: before.clearInterval,
      });
      Reflect.deleteProperty(performance, 'now');
      promised.setTimeout = before.promised;
      syncBuiltinESMExports();
      // The own properties hid the prototypes'.
      Reflect.deleteProperty(globalThis.crypto, 'getRandomValues');
    },
  };
};
