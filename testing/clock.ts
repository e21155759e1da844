/**
 * Time of the scripted servers: one queue of timers behind a `now` that can be moved forward.
 *
 * Rule: everything in `testing/` that waits or reads the time uses it, so ten minutes pass in a millisecond, and a
 * seeded simulation controls every moment. `real` runs by itself and can be advanced; `virtual` moves only when
 * advanced. Timers of one moment fire in the order in which they were set. Imports nothing. Ships with the package.
 */

/** What the engine needs of time. */
export interface ManualClock {
  /** Unix milliseconds. */
  now(): number;
  /** Calls `fn` once, `ms` milliseconds from now. Returns what cancels it. */
  setTimeout(fn: () => void, ms: number): () => void;
}

export interface SandboxClock extends ManualClock {
  readonly kind: 'real' | 'virtual';
  /** Moves time forward, firing every timer on the way at its own moment. Returns how many fired. */
  advance(ms: number): number;
  /** Unix milliseconds of the next timer; null = none. */
  next(): number | null;
  /** Advances to the next timer and fires it (and the others of that moment). False when there is none. */
  step(): boolean;
  /** Timers that have not fired. */
  readonly pending: number;
  /** Forgets all timers. */
  stop(): void;
}

interface Timer {
  due: number;
  order: number;
  fn: () => void;
}

export interface ClockOptions {
  /** Default `real`. */
  kind?: 'real' | 'virtual';
  /** Unix milliseconds to begin at. Default: this machine's time (real), 2026-01-01T00:00:00Z (virtual). */
  start?: number;
}

const VIRTUAL_START = 1_767_225_600_000;
/** Node's own timers overflow above this; a longer wait is armed again when it comes. */
const MAX_TIMER_MS = 2_000_000_000;

const before = (a: Timer, b: Timer): boolean => a.due < b.due || (a.due === b.due && a.order < b.order);

export const createClock = (options: ClockOptions = {}): SandboxClock => {
  const kind = options.kind ?? 'real';
  const real = kind === 'real';
  const start = options.start ?? (real ? Date.now() : VIRTUAL_START);
  const origin = performance.now();
  /** Sorted by moment. */
  const timers: Timer[] = [];
  let skipped = 0;
  let order = 0;
  /** While `advance` walks from timer to timer, `now` is the moment of the one that fires. */
  let walking: number | null = null;
  let disarm: (() => void) | null = null;

  const now = (): number => walking ?? start + skipped + (real ? Math.floor(performance.now() - origin) : 0);

  const find = (timer: Timer): number => {
    let low = 0;
    let high = timers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const at = timers[middle];
      if (at !== undefined && before(at, timer)) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  const fireUntil = (moment: number): number => {
    const outer = walking;
    let fired = 0;
    try {
      for (let timer = timers[0]; timer !== undefined && timer.due <= moment; timer = timers[0]) {
        timers.shift();
        walking = Math.max(timer.due, outer ?? timer.due);
        fired += 1;
        timer.fn();
      }
    } finally {
      walking = outer;
    }
    return fired;
  };

  const arm = (): void => {
    disarm?.();
    disarm = null;
    const first = timers[0];
    if (!real || first === undefined || walking !== null) return;
    const wait = first.due - now();
    const fire = (): void => {
      disarm = null;
      fireUntil(now());
      arm();
    };
    if (wait <= 0) {
      const handle = setImmediate(fire);
      disarm = () => clearImmediate(handle);
    } else {
      const handle = setTimeout(fire, Math.min(wait, MAX_TIMER_MS));
      disarm = () => clearTimeout(handle);
    }
  };

  return {
    kind,
    now,
    setTimeout(fn, ms) {
      order += 1;
      const timer: Timer = { due: now() + Math.max(0, ms), order, fn };
      const index = find(timer);
      timers.splice(index, 0, timer);
      if (index === 0) arm();
      return () => {
        const at = find(timer);
        if (timers[at] !== timer) return;
        timers.splice(at, 1);
        if (at === 0) arm();
      };
    },
    advance(ms) {
      if (!(ms >= 0))
        throw new RangeError(`Time moves forward only: advance(${ms}) needs milliseconds, 0 or more.`);
      const target = now() + ms;
      const fired = fireUntil(target);
      skipped += Math.max(0, target - now());
      arm();
      return fired;
    },
    next: () => timers[0]?.due ?? null,
    step() {
      const due = timers[0]?.due;
      if (due === undefined) return false;
      this.advance(Math.max(0, due - now()));
      return true;
    },
    get pending() {
      return timers.length;
    },
    stop() {
      timers.length = 0;
      arm();
    },
  };
};
