/**
 * Lists calls that wait for an approval, over all runs of a tenant, oldest run first: calls of open rounds, and late calls,
 * whose run continued without them and whose approval starts a follow-up run.
 *
 * Rule: the list is read from runs, rounds and decisions, never stored. In a round that is done each call has an output; an
 * undecided approval has one only by its placeholder, so it is late. A page's cursor is a position (run, round, call), so the
 * next page is found even when the call is gone.
 * Imported within `store/` only.
 */
import type { Decision } from '../protocol/decisions.ts';
import { apiErrors } from '../protocol/errors.ts';
import { READ_BYTES } from '../protocol/limits.ts';
import type { ApprovalQuery, RunStore } from '../protocol/ports/run-store.ts';
import type { PlannedCall } from '../protocol/tool-calls.ts';
import type { Approval } from '../protocol/wire/decisions.ts';
import type { Page } from '../protocol/wire/objects.ts';
import { wireSecondsOrNull } from '../protocol/wire/run-view.ts';
import type { Database } from './database.ts';
import { REFUSED_ID } from './decisions.ts';

interface WaitingRow {
  tenant: string;
  thread_id: string;
  run_id: string;
  assistant_id: string;
  position: number;
  expires_at: number | null;
  ended_at: number | null;
  round: number;
  calls: PlannedCall[];
  outputs: Record<string, string>;
  asked_at: number | null;
  late: boolean;
}

/** Rounds per statement. Most of them have no call that waits for an approval. */
const BATCH = 100;

const COLUMNS = `r.tenant, r.thread_id, r.id as run_id, r.assistant_id, r.position, r.expires_at, r.ended_at, o.round, o.calls,
    o.outputs, (select max(s.created_at) from steps s
      where s.run_id = r.id and s.round = o.round and s.kind <> 'message') as asked_at`;
const CURSOR_CONDITION = `(r.position, o.round) >= ($1::bigint, $4::int) and ($2::text is null or r.tenant = $2)`;
const FIRST = `order by r.position, o.round limit ${BATCH}`;

/**
 * A run with fewer decisions than approvals. Most late rounds are of runs that are decided, and are not read. A decision whose
 * arguments the tool refused has a second entry, which takes it back. Strings in JSON escape their quotes, so that these words
 * occur as keys only.
 */
const APPROVAL = '"kind":"approval"';
const REFUSED_EDIT = `%"refusedEdit":%`;
const UNDECIDED_CONDITION = `(
    select 2 * count(*) filter (where d.body::text not like '${REFUSED_EDIT}') - count(*) from decisions d
    where d.run_id = r.id and d.id not like '${REFUSED_ID}%'
  ) < (
    select sum(length(x.calls::text) - length(replace(x.calls::text, '${APPROVAL}', ''))) / ${APPROVAL.length}
    from rounds x where x.run_id = r.id
  )`;

// The text search is only a first filter: a model's arguments may contain the same words, escaped.
const WAITING = `
  select * from (
    (select ${COLUMNS}, false as late from runs r join rounds o on o.run_id = r.id and o.round = r.round
      where ${CURSOR_CONDITION} and r.status in ('in_progress', 'requires_action') and (r.expires_at is null or r.expires_at > $3)
        and not o.done and o.calls::text like '%"kind":"approval"%' ${FIRST})
    union all
    (select ${COLUMNS}, true as late from rounds o join runs r on r.id = o.run_id
      where ${CURSOR_CONDITION} and r.status not in ('cancelling', 'cancelled') and (r.ended_at is null or r.ended_at > $3 - $5::bigint)
        and o.done and o.calls::text like '%"onDeadline":"follow-up"%' and ${UNDECIDED_CONDITION} ${FIRST})
  ) w order by position, round limit ${BATCH}`;

type Cursor = { position: number; round: number; index: number };

const CURSOR = /^appr_([1-9]\d{0,15})_(\d{1,6})_(\d{1,6})$/;

const cursorOf = (after: string | undefined): Cursor => {
  if (after === undefined) return { position: 0, round: 0, index: -1 };
  const match = CURSOR.exec(after);
  if (match === null) throw apiErrors.notFound('approval', after);
  return { position: Number(match[1]), round: Number(match[2]), index: Number(match[3]) };
};

type Wait = Extract<PlannedCall['plan'], { kind: 'approval' }>['wait'];

/** Does the call accept a decision now? After its own time it does where the tool accepts a late answer. */
const isOpen = (
  row: WaitingRow,
  callId: string,
  { onDeadline, answerWithinMs }: Wait,
  now: number,
): boolean => {
  if (row.late) return onDeadline === 'follow-up';
  if (Object.hasOwn(row.outputs, callId)) return false;
  const own = row.asked_at === null || answerWithinMs === null ? null : row.asked_at + answerWithinMs;
  return own === null || own > now || onDeadline === 'follow-up';
};

const expiresAt = (row: WaitingRow, followUpWithinMs: number): number | null =>
  row.late ? (row.ended_at === null ? null : row.ended_at + followUpWithinMs) : row.expires_at;

/** The call as an approval; null when it does not wait. `decided`: ids of calls whose latest entry is a decision. */
const approvalOf = (
  row: WaitingRow,
  index: number,
  { tools, now, followUpWithinMs }: ApprovalQuery,
  decided: ReadonlySet<string>,
): Approval | null => {
  const call = row.calls[index];
  if (call?.plan.kind !== 'approval' || decided.has(call.callId)) return null;
  if (tools !== null && !tools.includes(call.name)) return null;
  const { wait } = call.plan;
  if (!isOpen(row, call.callId, wait, now)) return null;
  return {
    id: `appr_${row.position}_${row.round}_${index}`,
    object: 'approval',
    created_at: wireSecondsOrNull(row.asked_at),
    tenant: row.tenant,
    thread_id: row.thread_id,
    run_id: row.run_id,
    assistant_id: row.assistant_id,
    call_id: call.callId,
    tool: call.name,
    arguments: call.arguments,
    arguments_digest: call.argumentsDigest ?? null,
    digest_required: call.digestRequired === true,
    on_deadline: wait.onDeadline,
    answer_within: wireSecondsOrNull(wait.answerWithinMs),
    late: row.late,
    expires_at: wireSecondsOrNull(expiresAt(row, followUpWithinMs)),
  };
};

const placeOf = ({ run_id: runId, round }: Pick<WaitingRow, 'run_id' | 'round'>): string =>
  `${runId} ${round}`;

/**
 * Ids of decided calls by run and round. A decision whose arguments the tool refused leaves its call waiting, and a refused
 * decision has no effect. Decisions about late calls of an earlier version have round 0.
 */
const decidedCalls = async (
  db: Database,
  rows: readonly WaitingRow[],
): Promise<Map<string, ReadonlySet<string>>> => {
  const found = await db.query<{ run_id: string; body: Decision }>(
    `select run_id, body from decisions where run_id = any($1::text[]) and id not like '${REFUSED_ID}%' order by position`,
    [[...new Set(rows.map(({ run_id }) => run_id))]],
  );
  const decided = new Map<string, Set<string>>(rows.map((row) => [placeOf(row), new Set()]));
  for (const { run_id: runId, body } of found) {
    const places = rows.filter(
      (row) => row.run_id === runId && (body.round === 0 || row.round === body.round),
    );
    for (const calls of places.map((row) => decided.get(placeOf(row))))
      if (body.refusedEdit === undefined) calls?.add(body.callId);
      else calls?.delete(body.callId);
  }
  return decided;
};

/** Waiting calls behind the cursor, batch by batch, until the page is full. */
async function* waitingCalls(db: Database, query: ApprovalQuery): AsyncGenerator<Approval> {
  for (let from = cursorOf(query.after); ;) {
    const rows = await db.query<WaitingRow>(WAITING, [
      from.position,
      query.tenant,
      query.now,
      from.round,
      query.followUpWithinMs,
    ]);
    const decided = rows.length === 0 ? new Map<string, ReadonlySet<string>>() : await decidedCalls(db, rows);
    for (const row of rows)
      for (const index of row.calls.keys()) {
        if (row.position === from.position && row.round === from.round && index <= from.index) continue;
        const approval = approvalOf(row, index, query, decided.get(placeOf(row)) ?? new Set());
        if (approval !== null) yield approval;
      }
    const last = rows.at(-1);
    if (last === undefined || rows.length < BATCH) return;
    from = { position: last.position, round: last.round, index: last.calls.length };
  }
}

export const approvalStore = (db: Database): Pick<RunStore, 'listApprovals'> => ({
  async listApprovals(query): Promise<Page<Approval>> {
    const data: Approval[] = [];
    let more = false;
    let bytes = 0;
    for await (const approval of waitingCalls(db, query)) {
      bytes += Buffer.byteLength(approval.arguments);
      more = data.length === query.limit || (data.length > 0 && bytes > READ_BYTES.page);
      if (more) break;
      data.push(approval);
    }
    return {
      object: 'list',
      data,
      first_id: data[0]?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
      has_more: more,
    };
  },
});
