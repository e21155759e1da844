/**
 * Adds the approvals of rounds that a process of an older version wrote, and follows them until they are decided.
 *
 * Rule: an older worker writes rounds and decisions and knows no approvals. A pass adds their rows and compares those that
 * wait with round, decisions and run. Its cost follows the number of such rounds; the index of them is empty otherwise.
 * Imported within `store/` only.
 */
import type { Decision } from '../protocol/decisions.ts';
import type { RunStore } from '../protocol/ports/run-store.ts';
import type { PlannedCall } from '../protocol/tool-calls.ts';
import type { ApprovalStatus } from '../protocol/wire/decisions.ts';
import { isTerminal, type RunStatus } from '../protocol/wire/objects.ts';
import { addApprovals, CHANGED } from './approval-rows.ts';
import { APPROVALS, type Database } from './database.ts';
import { REFUSED_ID } from './decisions.ts';
import type { RoundRow } from './schema.ts';
import { changeRun, type RunUpdate } from './update-run.ts';

export interface FoundState {
  status: ApprovalStatus;
  late: boolean;
  decision: Decision | null;
}

/** What the other rows say about a call. `decision`: the latest entry about it. Pure. */
export const approvalState = (
  call: PlannedCall,
  run: { status: RunStatus },
  round: Pick<RoundRow, 'outputs' | 'done'>,
  decision: Decision | null,
): FoundState => {
  const followsUp = call.plan.kind === 'approval' && call.plan.wait.onDeadline === 'follow-up';
  const late =
    decision?.late === true || (followsUp && Object.hasOwn(round.outputs, call.callId) && decision === null);
  if (decision !== null && decision.refusedEdit === undefined) return { status: 'decided', late, decision };
  if (run.status === 'cancelling' || run.status === 'cancelled')
    return { status: 'cancelled', late, decision };
  if (late) return { status: 'waiting', late, decision };
  const over = isTerminal(run.status) || round.done || Object.hasOwn(round.outputs, call.callId);
  return { status: over ? 'expired' : 'waiting', late, decision };
};

const latestDecisions = async (
  unit: RunUpdate,
): Promise<(round: number, callId: string) => Decision | null> => {
  const rows = await unit.sql.query<{ body: Decision }>(
    `select body from decisions where run_id = $1 and id not like '${REFUSED_ID}%' order by position`,
    [unit.row.id],
  );
  return (round, callId) =>
    rows.findLast(
      ({ body }) =>
        body.undecided !== true && body.callId === callId && (body.round === 0 || body.round === round),
    )?.body ?? null;
};

interface OldRound extends RoundRow {
  asked_at: number | null;
}

const adoptRun = async (unit: RunUpdate): Promise<void> => {
  const { sql, row, later } = unit;
  const rounds = await sql.query<OldRound>(
    `select o.*, (select max(s.created_at) from steps s where s.run_id = o.run_id and s.round = o.round
       and s.kind <> 'message') as asked_at
     from rounds o where o.run_id = $1 and (o.listed is null or exists (select 1 from approvals a
       where a.run_id = o.run_id and a.round = o.round and a.older and a.status = 'waiting')) order by o.round`,
    [row.id],
  );
  const latest = await latestDecisions(unit);
  for (const round of rounds) {
    const stateOf = (call: PlannedCall): FoundState =>
      approvalState(call, row, round, latest(round.round, call.callId));
    if (round.listed === null) addApprovals(unit, round, round.asked_at, stateOf);
    else followRound(unit, round, stateOf);
  }
  later(sql.query('update rounds set listed = true where run_id = $1 and listed is null', [row.id]));
};

const followRound = (
  { sql, row, later, approvalsChanged }: RunUpdate,
  round: OldRound,
  stateOf: (call: PlannedCall) => FoundState,
): void => {
  for (const call of round.calls.filter(({ plan }) => plan.kind === 'approval')) {
    const { status, late, decision } = stateOf(call);
    approvalsChanged();
    later(
      sql.query(
        `update approvals set status = $4, late = $5, decision = $6::json, decided_at = $7, ${CHANGED}
         where run_id = $1 and round = $2 and call_id = $3 and (status, late) is distinct from ($4, $5)`,
        [
          row.id,
          round.round,
          call.callId,
          status,
          late,
          decision === null ? null : JSON.stringify(decision),
          decision?.at ?? null,
        ],
      ),
    );
  }
};

const UNLISTED = `select distinct run_id from rounds
  where listed is null and calls::text like '%"kind":"approval"%' limit $1`;
/** Approvals of older workers about which other rows have news. */
const FOLLOWED = `select distinct a.run_id from approvals a
    join runs r on r.id = a.run_id join rounds o on o.run_id = a.run_id and o.round = a.round
  where a.older and a.status = 'waiting' and (
    r.status in ('cancelling', 'cancelled') or (not a.late and (o.done or r.ended_at is not null))
    or exists (select 1 from decisions d where d.run_id = a.run_id and d.tool = a.tool
      and d.id not like '${REFUSED_ID}%' and d.decided_at > coalesce(a.decided_at, 0))
  ) limit $1`;

/** At most `limit` runs of each kind; returns how many had rounds without rows. */
const adoptApprovals = async (db: Database, limit: number): Promise<number> => {
  const unlisted = await db.query<{ run_id: string }>(UNLISTED, [limit]);
  const followed = await db.query<{ run_id: string }>(FOLLOWED, [limit]);
  for (const { run_id: runId } of [...unlisted, ...followed]) await changeRun(db, runId, null, adoptRun);
  return unlisted.length;
};

/** Late calls whose run ended before this time (Unix ms) wait no more. */
const expireLateApprovals = async (db: Database, endedBefore: number, limit: number): Promise<number> => {
  const rows = await db.query(
    `update approvals set status = 'expired', ${CHANGED} where id in (
       select a.id from approvals a join runs r on r.id = a.run_id
       where a.status = 'waiting' and a.late and r.ended_at < $1 limit $2 for update of a skip locked
     ) returning id`,
    [endedBefore, limit],
  );
  if (rows.length > 0) db.announcements.announce(APPROVALS, 0, 'change');
  return rows.length;
};

export const approvalUpkeep = (db: Database): Pick<RunStore, 'adoptApprovals' | 'expireLateApprovals'> => ({
  adoptApprovals: (limit) => adoptApprovals(db, limit),
  expireLateApprovals: (endedBefore, limit) => expireLateApprovals(db, endedBefore, limit),
});
