/**
 * Live runs as maintenance reads them, and the claim that lets one process at a time do a pass.
 *
 * Rule: what a pass reads must not grow with the number of waiting runs, so every query is bounded by the caller.
 * Imported within `store/` only.
 */
import type { LiveRun, LiveRunQuery, RunStore } from '../protocol/ports/run-store.ts';
import type { Database } from './database.ts';
import type { RunRow } from './schema.ts';
import { LIVE } from './threads.ts';

type LiveRow = Pick<
  RunRow,
  | 'id'
  | 'tenant'
  | 'thread_id'
  | 'assistant_id'
  | 'status'
  | 'metadata'
  | 'created_at'
  | 'expires_at'
  | 'cancel_asked_at'
  | 'epoch'
  | 'position'
>;

const LIVE_COLUMNS =
  'id, tenant, thread_id, assistant_id, status, metadata, created_at, expires_at, cancel_asked_at, epoch, position';

const toLiveRun = (row: LiveRow): LiveRun => ({
  runId: row.id,
  tenant: row.tenant,
  threadId: row.thread_id,
  assistantId: row.assistant_id,
  status: row.status,
  metadata: row.metadata,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  cancelAskedAt: row.cancel_asked_at,
  claimed: row.epoch > 0,
  position: row.position,
});

const liveRuns = async (db: Database, query: LiveRunQuery): Promise<LiveRun[]> => {
  const unsettled =
    query.unsettledAt === undefined
      ? ''
      : 'and (epoch = 0 or cancel_asked_at is not null or expires_at < $4)';
  const rows = await db.query<LiveRow>(
    `select ${LIVE_COLUMNS} from runs
     where ${LIVE} and position > $1 and created_at < $2 ${unsettled} order by position limit $3`,
    [query.after, query.before, query.limit, ...(query.unsettledAt === undefined ? [] : [query.unsettledAt])],
  );
  return rows.map(toLiveRun);
};

const liveRunsById = async (db: Database, runIds: readonly string[]): Promise<LiveRun[]> => {
  if (runIds.length === 0) return [];
  const rows = await db.query<LiveRow>(
    `select ${LIVE_COLUMNS} from runs where ${LIVE} and id = any($1::text[])`,
    [[...runIds]],
  );
  return rows.map(toLiveRun);
};

/** One statement: of two processes that ask at once, the second finds the row of the first and changes nothing. */
const claimPass = async (
  db: Database,
  name: string,
  everyMs: number,
): Promise<{ previous: number | null } | null> => {
  const [row] = await db.query<{ previous: string | null }>(
    `with clock as (select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as ms),
     last as (select value from facts where name = $1)
     insert into facts (name, value) select $1, ms::text from clock
     on conflict (name) do update set value = excluded.value
     where excluded.value::bigint - facts.value::bigint >= $2
     returning (select value from last) as previous`,
    [name, everyMs],
  );
  if (row === undefined) return null;
  return { previous: row.previous === null ? null : Number(row.previous) };
};

export const liveRunStore = (db: Database): Pick<RunStore, 'liveRuns' | 'liveRunsById' | 'claimPass'> => ({
  liveRuns: (query) => liveRuns(db, query),
  liveRunsById: (runIds) => liveRunsById(db, runIds),
  claimPass: (name, everyMs) => claimPass(db, name, everyMs),
});
