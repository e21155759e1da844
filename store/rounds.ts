/**
 * Finds the round of a call.
 *
 * Rule: a run may have dozens of rounds of megabytes each: the newest round is read first and is nearly always the one;
 * of the others only the round that has the call is read.
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

/** `newest`: the result of `newestRound`. null: no round of the run has this call. */
export const roundOfCall = async (
  sql: Sql,
  runId: string,
  newest: RoundRow | null,
  callId: string | null,
): Promise<RoundRow | null> => {
  if (newest === null || callId === null) return null;
  if (hasCall(newest, callId)) return newest;
  // Call ids are generated here. A text of another form belongs to no round, and may not be valid for the database.
  if (newest.round === 1 || idProblem('call_id', callId) !== undefined) return null;
  // A quote within a value is escaped, so only a key matches.
  const rows = await sql.query<RoundRow>(
    `select * from rounds where run_id = $1 and round < $2 and position('"callId":"' || $3 || '"' in calls::text) > 0
     order by round desc`,
    [runId, newest.round, callId],
    'round-of-call',
  );
  return rows.find((row) => hasCall(row, callId)) ?? null;
};
