/**
 * The little that the store needs from a database: queries with parameters, transactions, and word of new run events.
 * PostgreSQL and the embedded PGlite stand behind it and run the same SQL.
 *
 * Rule: drivers translate their errors (`errors.ts`) and return bigint columns as numbers and json columns as values.
 * Imported within `store/` only.
 */

export type Param = string | number | boolean | null | readonly string[];

export interface Sql {
  /** Rows of one statement. `name` makes it a prepared one, for statements of hot paths. */
  query: <Row>(text: string, params?: readonly Param[], name?: string) => Promise<Row[]>;
}

export interface Database extends Sql {
  /** Commits what `body` did, or nothing when it throws. `body` must await all its queries. */
  transaction<T>(body: (sql: Sql) => Promise<T>): Promise<T>;
  /** Tells readers in this process at once; other processes hear it from the database, if it can carry word. */
  readonly announcements: Announcements;
  close(): Promise<void>;
}

/** Statements append word of new events to their commit under this channel: `<run id> <seq>`. */
export const CHANNEL = 'run_events';

type Wake = (seq: number) => void;

/** Who waits for which run's events in this process. */
export class Announcements {
  readonly #waiting = new Map<string, Set<Wake>>();
  #healthy: boolean;

  /** `healthy`: is word from other processes expected to arrive? */
  constructor(healthy: boolean) {
    this.#healthy = healthy;
  }

  get healthy(): boolean {
    return this.#healthy;
  }

  setHealthy(healthy: boolean): void {
    this.#healthy = healthy;
    // Whatever was said while nobody listened is found by looking.
    if (healthy) this.wakeAll();
  }

  announce(runId: string, seq: number): void {
    for (const wake of this.#waiting.get(runId) ?? []) wake(seq);
  }

  wakeAll(): void {
    for (const wakes of this.#waiting.values()) for (const wake of wakes) wake(Number.MAX_SAFE_INTEGER);
  }

  /** Resolves when `runId` has been announced beyond `after`, after `timeoutMs`, or when `signal` aborts. */
  wait(runId: string, after: number, options: { timeoutMs: number; signal: AbortSignal }): Promise<void> {
    return new Promise((resolve) => {
      const wakes = this.#waiting.get(runId) ?? new Set<Wake>();
      this.#waiting.set(runId, wakes);
      const wake: Wake = (seq) => {
        if (seq > after) done();
      };
      const done = (): void => {
        clearTimeout(timer);
        options.signal.removeEventListener('abort', done);
        wakes.delete(wake);
        if (wakes.size === 0 && this.#waiting.get(runId) === wakes) this.#waiting.delete(runId);
        resolve();
      };
      const timer = setTimeout(done, options.timeoutMs);
      timer.unref();
      wakes.add(wake);
      options.signal.addEventListener('abort', done);
      if (options.signal.aborted) done();
    });
  }
}
