/**
 * Background work of a server process: reconciling and pruning, at intervals.
 *
 * Rule: a failed pass is tried again and never ends the process. Intervals are spread, so that processes that start
 * together do not work at the same moments.
 * Imported through `service/index.ts`.
 */
import { FOLLOW_UP_WITHIN_MS } from '../protocol/decisions.ts';
import type { Logger } from '../protocol/ports/backend.ts';
import type { Store } from '../protocol/ports/run-store.ts';
import type { RunSettings } from '../protocol/temporal/messages.ts';
import { checkNamespace, reconcile } from './reconciler.ts';
import type { Workflows } from './run-workflows.ts';

export interface MaintenanceOptions {
  store: Store;
  workflows: Workflows;
  /** Interval between passes over live runs. Default 30,000 ms. */
  reconcileEveryMs?: number;
  /** Interval between passes over old events. Default 60,000 ms. */
  pruneEveryMs?: number;
  /** How long the deltas of an ended run are kept. Default 1 hour. */
  keepDeltasMs?: number;
  /** How long the other events of an ended run are kept. Default 30 days. */
  keepEventsMs?: number;
  /** How long an idempotency key is kept. Default 24 hours. */
  keepKeysMs?: number;
  /**
   * Accept a Temporal namespace that the database was not used with before: after the loss of Temporal's data. Default
   * false.
   */
  adoptNamespace?: boolean;
  hooks?: { onWaiting?: boolean; onEnd?: boolean };
  settings?: RunSettings;
  now?: () => number;
  log?: Logger;
}

export interface Maintenance {
  /** What needs a person; null = nothing. */
  problem(): string | null;
  /** Waits for the running pass. */
  stop(): Promise<void>;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const PRUNE_BATCH = 200;
const RECONCILE_PASS = 'reconcile_pass_at';
/** Below the shortest pause of one process, so that a single process claims each of its passes. */
const CLAIM_SHARE = 0.7;

/** Runs `pass` again and again, each time `everyMs` (plus or minus a fifth) after the previous one has ended. */
const loop = (everyMs: number, pass: () => Promise<void>, stop: AbortSignal): Promise<void> => {
  const rest = (): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        stop.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, everyMs * (0.8 + Math.random() * 0.4));
      timer.unref();
      stop.addEventListener('abort', done);
      if (stop.aborted) done();
    });
  const run = async (): Promise<void> => {
    while (!stop.aborted) {
      await pass();
      await rest();
    }
  };
  return run();
};

export const prune = async (
  options: MaintenanceOptions,
  now: number,
  signal?: AbortSignal,
): Promise<void> => {
  const followUpWithinMs = options.settings?.followUpWithinMs ?? FOLLOW_UP_WITHIN_MS;
  for (;;) {
    const done = await options.store.prune({
      deltasOfRunsEndedBefore: now - (options.keepDeltasMs ?? HOUR),
      eventsOfRunsEndedBefore: now - (options.keepEventsMs ?? 30 * DAY),
      keysBefore: now - (options.keepKeysMs ?? DAY),
      limit: PRUNE_BATCH,
    });
    const told = await options.store.pruneWebhooks(now - (options.keepEventsMs ?? 30 * DAY), PRUNE_BATCH);
    const late = await options.store.expireLateApprovals(now - followUpWithinMs, PRUNE_BATCH);
    if (signal?.aborted === true || [done.runs, done.keys, told, late].every((count) => count < PRUNE_BATCH))
      return;
  }
};

/** Rows that an older version wrote are adopted in the first pass; those of its workers that still run, in the next ones. */
const adoptApprovals = async (store: Store, signal: AbortSignal): Promise<void> => {
  let adopted = PRUNE_BATCH;
  while (!signal.aborted && adopted >= PRUNE_BATCH) adopted = await store.adoptApprovals(PRUNE_BATCH);
};

export const startMaintenance = (options: MaintenanceOptions): Maintenance => {
  const { log } = options;
  const now = options.now ?? Date.now;
  const everyMs = options.reconcileEveryMs ?? 30_000;
  const stop = new AbortController();
  let problem: string | null = null;
  let belongs = false;

  const guarded = (what: string, pass: () => Promise<void>) => async (): Promise<void> => {
    try {
      await pass();
    } catch (error) {
      log?.warn({ error }, `${what} did not succeed; it is tried again`);
    }
  };

  const reconciling = guarded('reconciling', async () => {
    if (!belongs) {
      problem = await checkNamespace(options, options.adoptNamespace ?? false);
      if (problem !== null) {
        log?.error({ problem }, 'runs are not repaired: database and Temporal namespace do not match');
        return;
      }
      belongs = true;
    }
    const claim = await options.store.claimPass(RECONCILE_PASS, everyMs * CLAIM_SHARE);
    if (claim === null) return;
    await adoptApprovals(options.store, stop.signal);
    await reconcile({ ...options, now, since: claim.previous ?? now() }, stop.signal);
  });
  const pruning = guarded('deleting old events', () => prune(options, now(), stop.signal));

  const running = Promise.all([
    loop(everyMs, reconciling, stop.signal),
    loop(options.pruneEveryMs ?? 60_000, pruning, stop.signal),
  ]);
  return {
    problem: () => problem,
    async stop() {
      stop.abort();
      await running;
    },
  };
};
