/**
 * Compares live rows with their workflows and repairs differences. A lost start whose row remains is started here.
 *
 * Rule: the workflow decides, so a row is closed only when no workflow is left to do it. Every repair may run twice
 * (start by id, monotone close, cancel), so two passes that overlap do no harm. A database used with a different
 * Temporal namespace than before is left alone: every workflow would seem lost there.
 * Imported by `maintenance.ts` and tests.
 */
import type { Logger } from '../protocol/ports/backend.ts';
import { RunsError } from '../protocol/errors.ts';
import type { LiveRun, Store } from '../protocol/ports/run-store.ts';
import type { RunSettings } from '../protocol/temporal/messages.ts';
import type { WorkflowState, Workflows } from './run-workflows.ts';

export interface ReconcileOptions {
  store: Store;
  workflows: Workflows;
  now: () => number;
  /** Younger rows are skipped: their start is still under way. Default 15,000 ms. */
  graceMs?: number;
  /** A cancel request that had no effect in this time is sent again. Default 10,000 ms. */
  cancelGraceMs?: number;
  /** Runs of one database read and of one list request. Default 200. */
  pageSize?: number;
  hooks?: { onWaiting?: boolean; onEnd?: boolean };
  settings?: RunSettings;
  log?: Logger;
}

export type Repair =
  | { kind: 'none' }
  | { kind: 'start' }
  | { kind: 'cancel' }
  | { kind: 'close'; how: 'cancel' }
  | { kind: 'close'; how: 'fail'; message: string };

/** Pure. */
export const repairOf = (run: LiveRun, look: WorkflowState, now: number, cancelGraceMs: number): Repair => {
  const wished = run.cancelAskedAt !== null;
  if (look === 'running')
    return run.cancelAskedAt !== null && now - run.cancelAskedAt >= cancelGraceMs
      ? { kind: 'cancel' }
      : { kind: 'none' };
  if (wished) return { kind: 'close', how: 'cancel' };
  if (look === 'missing')
    return run.claimed
      ? { kind: 'close', how: 'fail', message: 'The workflow of this run no longer exists.' }
      : { kind: 'start' };
  return {
    kind: 'close',
    how: 'fail',
    message: `The workflow of this run ended before the run did (${look.ended}).`,
  };
};

const repair = async (run: LiveRun, options: ReconcileOptions): Promise<Repair['kind']> => {
  const { store, workflows, now } = options;
  const found = repairOf(run, await workflows.look(run.runId), now(), options.cancelGraceMs ?? 10_000);
  switch (found.kind) {
    case 'none':
      break;
    case 'start':
      await workflows.start({
        runId: run.runId,
        backend: 'chat',
        assistantId: run.assistantId,
        threadId: run.threadId,
        metadata: run.metadata,
        expiresAt: run.expiresAt,
        createdAt: run.createdAt,
        ...(options.hooks === undefined ? {} : { hooks: options.hooks }),
        ...(options.settings === undefined ? {} : { settings: options.settings }),
      });
      break;
    case 'cancel':
      await workflows.cancel(run.runId);
      break;
    case 'close':
      await store.closeRun(
        run.runId,
        found.how === 'cancel'
          ? { kind: 'cancel' }
          : { kind: 'fail', error: { code: 'server_error', message: found.message } },
        now(),
      );
  }
  if (found.kind !== 'none')
    options.log?.warn(
      { runId: run.runId, status: run.status, repair: found },
      'repaired a run whose row and workflow disagreed',
    );
  return found.kind;
};

const NAMESPACE_FACT = 'temporal_namespace_id';

/**
 * Does the store belong to this namespace? The first namespace is remembered. `adopt`: accept the new one, as after the
 * loss of Temporal's database; live runs of the old one are then closed as failed.
 */
export const checkNamespace = async (
  { store, workflows }: Pick<ReconcileOptions, 'store' | 'workflows'>,
  adopt: boolean,
): Promise<string | null> => {
  const { id, name } = await workflows.namespaceId();
  const known = await store.getFact(NAMESPACE_FACT);
  if (known === id) return null;
  if (known === null || adopt) {
    await store.setFact(NAMESPACE_FACT, id);
    return null;
  }
  return `The database was first used with the Temporal namespace of id ${known}; namespace ${JSON.stringify(name)} here has id ${id}. Correct TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE or DATABASE_URL. If Temporal lost its data, delete the row ${JSON.stringify(NAMESPACE_FACT)} of the table facts.`;
};

const PAGE_SIZE = 200;
/** Temporal's list shows an end seconds after it happened. */
const LIST_DELAY_MS = 60_000;
const SWEEP_FACT = 'reconcile_position';

type Counts = Record<Repair['kind'], number>;

/** Repairs these runs one by one. Returns the number of runs that needed a repair. */
const repairAll = async (
  runs: readonly LiveRun[],
  counts: Counts,
  options: ReconcileOptions,
  signal: AbortSignal | undefined,
): Promise<number> => {
  let repaired = 0;
  for (const run of runs) {
    if (signal?.aborted === true) break;
    try {
      const kind = await repair(run, options);
      counts[kind] += 1;
      if (kind !== 'none') repaired += 1;
    } catch (error) {
      // Temporal is unreachable: the pass ends. Any other error concerns this run alone.
      if (error instanceof RunsError && error.code === 'temporal_unavailable') throw error;
      options.log?.warn({ runId: run.runId, error }, 'run could not be reconciled');
    }
  }
  return repaired;
};

/** A part of all live runs, the next one with each pass; goes on while it finds something to repair. */
const sweep = async (
  before: number,
  counts: Counts,
  options: ReconcileOptions,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const { store, workflows, pageSize = PAGE_SIZE } = options;
  let after = Number((await store.getFact(SWEEP_FACT)) ?? 0);
  for (;;) {
    if (signal?.aborted === true) return;
    const runs = await store.liveRuns({ before, after, limit: pageSize });
    const running = await workflows.running(runs.map(({ runId }) => runId));
    const suspects = runs.filter(({ runId }) => !running.has(runId));
    counts.none += runs.length - suspects.length;
    const repaired = await repairAll(suspects, counts, options, signal);
    after = runs.length < pageSize ? 0 : (runs.at(-1)?.position ?? 0);
    await store.setFact(SWEEP_FACT, String(after));
    if (after === 0 || repaired === 0) return;
  }
};

/**
 * One pass. Its cost follows the number of runs that may need a repair, not the number that wait: rows without a claim,
 * with a requested cancel or past their expiry; runs whose workflow broke off since the pass before (`since`, Unix ms);
 * and one page of all others. Returns the number of repairs of each kind.
 */
export const reconcile = async (
  options: ReconcileOptions & { since?: number },
  signal?: AbortSignal,
): Promise<Counts> => {
  const { store, workflows, now, pageSize = PAGE_SIZE } = options;
  const counts: Counts = { none: 0, start: 0, cancel: 0, close: 0 };
  const grace = options.graceMs ?? 15_000;
  const before = now() - grace;
  for (let after: number | undefined = 0; after !== undefined;) {
    if (signal?.aborted === true) return counts;
    const runs = await store.liveRuns({ before, after, limit: pageSize, unsettledAt: before });
    await repairAll(runs, counts, options, signal);
    after = runs.length < pageSize ? undefined : runs.at(-1)?.position;
  }
  const broken = await workflows.brokenOffSince((options.since ?? now()) - LIST_DELAY_MS - grace);
  const rows = await store.liveRunsById(broken);
  await repairAll(
    rows.filter(({ createdAt }) => createdAt < before),
    counts,
    options,
    signal,
  );
  await sweep(before, counts, options, signal);
  return counts;
};
