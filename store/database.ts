/**
 * What the store needs from a database: statements with parameters, transactions, and notifications of run events.
 * PostgreSQL and the embedded PGlite implement it and run the same SQL.
 *
 * Rule: drivers translate their errors (`errors.ts`) and return bigint columns as numbers and json columns as values.
 * Imported within `store/` only.
 */

import type { EventWatch } from '../protocol/ports/run-store.ts';

export type Param = string | number | boolean | null | readonly string[];

export interface Sql {
  /** Rows of one statement. `name` makes it a prepared statement, for frequent ones. */
  query: <Row>(text: string, params?: readonly Param[], name?: string) => Promise<Row[]>;
}

export interface Database extends Sql {
  /** Commits the statements of `body`, or none when it throws. `body` must await all its queries. */
  transaction<T>(body: (sql: Sql) => Promise<T>): Promise<T>;
  /** Notifies readers in this process at once; other processes are notified by the database, if it can. */
  readonly announcements: Announcements;
  /** Frees the space of deleted rows, where the database does not do it by itself. */
  tidy(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Statements notify this channel with their commit: `<run id> <seq>`, and ` d` when the events are deltas, which change
 * no row of the run.
 */
export const CHANNEL = 'run_events';
/** In the place of a run id: some approvals have changed. */
export const APPROVALS = 'approvals';
/** In the place of a run id: webhooks have deliveries for the dispatcher. */
export const WEBHOOKS = 'webhooks';
/** In the place of a run id: sessions of people have ended. */
export const SESSIONS = 'sessions';

/** What was notified: `deltas` only, or a change of the run with its events. */
export type AnnouncedKind = 'deltas' | 'change';

interface Watcher {
  seen: number;
  changed: boolean;
  wake: (() => void) | null;
}

/** Resolves when `isDue` holds at a notification, after `timeoutMs`, or when `signal` aborts. */
const waitForNotification = (
  watcher: Watcher,
  isDue: () => boolean,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      watcher.wake = null;
      resolve();
    };
    const timer = setTimeout(done, timeoutMs);
    timer.unref();
    signal.addEventListener('abort', done);
    watcher.wake = () => {
      if (isDue()) done();
    };
    if (signal.aborted) done();
    else watcher.wake();
  });

/** The watches of this process, by run. */
export class Announcements {
  readonly #watchers = new Map<string, Set<Watcher>>();
  #healthy: boolean;

  /** `healthy`: are notifications from other processes expected to arrive? */
  constructor(healthy: boolean) {
    this.#healthy = healthy;
  }

  get healthy(): boolean {
    return this.#healthy;
  }

  setHealthy(healthy: boolean): void {
    if (healthy === this.#healthy) return;
    this.#healthy = healthy;
    // Events committed while no connection listened are found by reading; readers must know that they have to poll.
    for (const runId of this.#watchers.keys()) this.announce(runId, Number.MAX_SAFE_INTEGER, 'change');
  }

  announce(runId: string, seq: number, kind: AnnouncedKind): void {
    for (const watcher of this.#watchers.get(runId) ?? []) {
      watcher.seen = Math.max(watcher.seen, seq);
      if (kind === 'change') watcher.changed = true;
      watcher.wake?.();
    }
  }

  watch(runId: string): EventWatch {
    const watchers = this.#watchers.get(runId) ?? new Set<Watcher>();
    this.#watchers.set(runId, watchers);
    const watcher: Watcher = { seen: 0, changed: false, wake: null };
    watchers.add(watcher);
    return {
      wait: async (after, options) => {
        await waitForNotification(watcher, () => watcher.seen > after, options);
        // Resolves once per change: a read that finds nothing new must not spin.
        if (watcher.seen === Number.MAX_SAFE_INTEGER) watcher.seen = 0;
      },
      nextChange: async (options) => {
        await waitForNotification(watcher, () => watcher.changed, options);
        watcher.changed = false;
      },
      close: () => {
        watchers.delete(watcher);
        if (watchers.size === 0 && this.#watchers.get(runId) === watchers) this.#watchers.delete(runId);
      },
    };
  }
}
