/**
 * `openStore`: threads, messages, assistants, runs, steps and run events, in PostgreSQL or in the embedded PGlite.
 *
 * Rule: both use the same SQL and migrations, and give the same guarantees. PGlite serves a single process, which a
 * lock file enforces.
 * Imported by the composition roots (worker, server, CLI) and tests; other rooms know `protocol/ports/` only.
 */
import type { Store } from '../protocol/ports/run-store.ts';
import { approvalUpkeep } from './adopt-approvals.ts';
import { approvalStore } from './approvals.ts';
import { closeRun } from './close-run.ts';
import type { Database } from './database.ts';
import { decisionStore } from './decisions.ts';
import { eventStore } from './events.ts';
import { migrate, readMigrations } from './migrate.ts';
import { ownerOf } from './owners.ts';
import type { PostgresOptions } from './postgres.ts';
import { modelUsageStore } from './model-usage.ts';
import { cooldownStore } from './provider-cooldowns.ts';
import { providerLimitStore } from './provider-limits.ts';
import { acceptOutputs } from './accept-outputs.ts';
import { runRecordStore } from './run-record.ts';
import { runStore } from './runs.ts';
import { sessionStore } from './sessions.ts';
import { threadStore } from './threads.ts';
import { turnStore } from './turns.ts';
import { usageStore } from './usage.ts';
import { webhookStore } from './webhooks.ts';

export type StoreOptions =
  | PostgresOptions
  /** PGlite in this directory, locked by this process. */
  | { dataDir: string }
  /**
   * PGlite in memory: its data ends with the process. `image` (see `emptyImage`) saves the 3.5 s of CPU of creating a
   * database.
   */
  | { memory: true; image?: Blob };

/** For tests that observe the database. */
export const storeOn = (db: Database): Store => ({
  ...threadStore(db),
  ownerOf: ownerOf(db),
  ...usageStore(db),
  ...modelUsageStore(db),
  ...runStore(db),
  ...runRecordStore(db),
  ...eventStore(db),
  ...turnStore(db),
  acceptOutputs: (runId, outputs, options) => acceptOutputs(db, runId, outputs, options),
  closeRun: (runId, how, now, decisions) => closeRun(db, runId, how, now, decisions),
  ...decisionStore(db),
  ...approvalStore(db),
  ...approvalUpkeep(db),
  ...providerLimitStore(db),
  ...webhookStore(db),
  ...sessionStore(db),
  ...cooldownStore(db),
  async ping() {
    await db.query('select 1');
  },
  close: () => db.close(),
});

/** A process uses one kind of database, so the other driver is not loaded. */
const openDatabase = async (options: StoreOptions): Promise<Database> => {
  if ('databaseUrl' in options) {
    const { openPostgres } = await import('./postgres.ts');
    return openPostgres(options);
  }
  const { openPglite } = await import('./pglite.ts');
  return openPglite(options);
};

/** An index on a large table takes minutes, and other processes wait for it. */
const MIGRATION_MS = 3_600_000;

/**
 * Applies missing migrations over a connection of its own, whose statements have an hour; returns their names. Throws as `openStore`.
 */
export const migrateDatabase = async (databaseUrl: string): Promise<string[]> => {
  const db = await openDatabase({
    databaseUrl,
    maxConnections: 1,
    statementTimeoutMs: MIGRATION_MS,
    listens: false,
  });
  try {
    return await migrate(db, await readMigrations());
  } finally {
    await db.close();
  }
};

/**
 * Opens the database and applies missing migrations, once, in the process that comes first.
 * Throws `StoreError` (`unavailable`) when it can't be reached, `RunsError` (`config`) when another process has locked
 * it or a newer version has migrated it.
 */
export const openStore = async (options: StoreOptions): Promise<Store> => {
  if ('databaseUrl' in options) {
    await migrateDatabase(options.databaseUrl);
    return storeOn(await openDatabase(options));
  }
  const db = await openDatabase(options);
  try {
    await migrate(db, await readMigrations());
  } catch (error) {
    await db.close();
    throw error;
  }
  return storeOn(db);
};
