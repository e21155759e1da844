/**
 * Undoes a lost start: rollback of a run whose workflow could not be started. Deletes its rows, or keeps them for good.
 *
 * Rule: a run that a worker has claimed, or that a request has returned to its caller, is never rolled back. Both statements
 * lock the run's row, so one of them comes first.
 * Imported within `store/` only.
 */
import type { Database } from './database.ts';
import type { RunRow } from './schema.ts';

export const removeUnclaimed = (db: Database, runId: string): Promise<boolean> =>
  db.transaction(async (sql) => {
    const [row] = await sql.query<RunRow>('select * from runs where id = $1 for update', [runId]);
    if (row === undefined) return true;
    if (row.epoch > 0) return false;
    const vouched = await sql.query('select 1 from idempotency_keys where run_id = $1 and vouched limit 1', [
      runId,
    ]);
    if (vouched.length > 0) return false;
    await sql.query('delete from run_events where run_id = $1', [runId]);
    await sql.query('delete from idempotency_keys where run_id = $1', [runId]);
    await sql.query('delete from messages where brought_by = $1', [runId]);
    await sql.query('delete from runs where id = $1', [runId]);
    await sql.query('delete from threads where brought_by = $1', [runId]);
    return true;
  });

/** Locks the run's row, as the rollback does, so that one of the two comes first. */
export const acknowledgeRun = async (db: Database, runId: string): Promise<boolean> => {
  const vouched = await db.query(
    `with row as (select id from runs where id = $1 for no key update)
     update idempotency_keys set vouched = true from row where run_id = row.id returning 1`,
    [runId],
  );
  return vouched.length > 0;
};
