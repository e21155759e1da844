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

/** The clock of a sandbox, which a test moves. */
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

/** How `createClock` begins. */
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

/** Makes a clock for `createSandbox`. */
export const createClock = (options: ClockOptions = {}): SandboxClock => new TimerQueue(options);

class TimerQueue implements SandboxClock {
  readonly kind: 'real' | 'virtual';
  readonly #start: number;
  readonly #origin = performance.now();
  /** Sorted by moment. */
  readonly #timers: Timer[] = [];
  #skipped = 0;
  #order = 0;
  /** While `advance` walks from timer to timer, `now` is the moment of the one that fires. */
  #walking: number | null = null;
  #disarm: (() => void) | null = null;

  constructor({ kind = 'real', start }: ClockOptions) {
    this.kind = kind;
    this.#start = start ?? (kind === 'real' ? Date.now() : VIRTUAL_START);
  }

  // A property, since callers hand `clock.now` on by itself.
  readonly now = (): number =>
    this.#walking ??
    this.#start + this.#skipped + (this.kind === 'real' ? Math.floor(performance.now() - this.#origin) : 0);

  setTimeout(fn: () => void, ms: number): () => void {
    this.#order += 1;
    const timer: Timer = { due: this.now() + Math.max(0, ms), order: this.#order, fn };
    const index = this.#find(timer);
    this.#timers.splice(index, 0, timer);
    if (index === 0) this.#arm();
    return () => {
      const at = this.#find(timer);
      if (this.#timers[at] !== timer) return;
      this.#timers.splice(at, 1);
      if (at === 0) this.#arm();
    };
  }

  advance(ms: number): number {
    if (!(ms >= 0))
      throw new RangeError(`Time moves forward only: advance(${ms}) needs milliseconds, 0 or more.`);
    const target = this.now() + ms;
    const fired = this.#fireUntil(target);
    this.#skipped += Math.max(0, target - this.now());
    this.#arm();
    return fired;
  }

  next(): number | null {
    return this.#timers[0]?.due ?? null;
  }

  step(): boolean {
    const due = this.next();
    if (due === null) return false;
    this.advance(Math.max(0, due - this.now()));
    return true;
  }

  get pending(): number {
    return this.#timers.length;
  }

  stop(): void {
    this.#timers.length = 0;
    this.#arm();
  }

  /** Index of the timer, or the index at which it belongs. */
  #find(timer: Timer): number {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const at = this.#timers[middle];
      if (at !== undefined && before(at, timer)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #fireUntil(moment: number): number {
    const outer = this.#walking;
    let fired = 0;
    try {
      for (let timer = this.#timers[0]; timer !== undefined && timer.due <= moment; timer = this.#timers[0]) {
        this.#timers.shift();
        this.#walking = Math.max(timer.due, outer ?? timer.due);
        fired += 1;
        timer.fn();
      }
    } finally {
      this.#walking = outer;
    }
    return fired;
  }

  #arm(): void {
    this.#disarm?.();
    this.#disarm = null;
    const due = this.next();
    if (this.kind !== 'real' || due === null || this.#walking !== null) return;
    const wait = due - this.now();
    const fire = (): void => {
      this.#disarm = null;
      this.#fireUntil(this.now());
      this.#arm();
    };
    if (wait <= 0) {
      const handle = setImmediate(fire);
      this.#disarm = () => clearImmediate(handle);
    } else {
      const handle = setTimeout(fire, Math.min(wait, MAX_TIMER_MS));
      this.#disarm = () => clearTimeout(handle);
    }
  }
}
