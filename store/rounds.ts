/**
 * Finding the round that a call belongs to.
 *
 * Rule: a run may have dozens of rounds of megabytes each: the newest one is looked at, which it nearly always is, and of the
 * others only the one that has the call is read.
 * Imported within `store/` only.
 */
import { idProblem } from '../protocol/rules/validation.ts';
import type { Sql } from './database.ts';
import type { RoundRow } from './schema.ts';

export const newestRound = async (sql: Sql, runId: string): Promise<RoundRow | null> => {
  const [row] = await sql.query<RoundRow>(
    'select * from rounds where run_id = $1 order by round desc limit 1',
    [runId],
    'newest-round',
  );
  return row ?? null;
};

const hasCall = ({ calls }: RoundRow, callId: string): boolean =>
  calls.some((call) => call.callId === callId);

/** `newest`: as `newestRound` found it. null: no round of the run has this call. */
export const roundOfCall = async (
  sql: Sql,
  runId: string,
  newest: RoundRow | null,
  callId: string | null,
): Promise<RoundRow | null> => {
  if (newest === null || callId === null) return null;
  if (hasCall(newest, callId)) return newest;
  // Ids of calls are minted here. What does not look like one is of no round, and may be no text for a database.
  if (newest.round === 1 || idProblem('call_id', callId) !== undefined) return null;
  // A quote within a value is escaped, so only a key can look like this.
  const rows = await sql.query<RoundRow>(
    `select * from rounds where run_id = $1 and round < $2 and position('"callId":"' || $3 || '"' in calls::text) > 0
     order by round desc`,
    [runId, newest.round, callId],
    'round-of-call',
  );
  return rows.find((row) => hasCall(row, callId)) ?? null;
};
