/**
 * Lists calls that wait for an approval, over all runs of a tenant, oldest run first.
 *
 * Rule: the list is read from runs and their rounds, never stored. A page's cursor is a position (run, then call of its
 * round), so the next page is found even when the call is gone. Late calls of runs that continued are known to their
 * workflows only, and are not listed.
 * Imported within `store/` only.
 */
import type { Decision } from '../protocol/decisions.ts';
import { apiErrors } from '../protocol/errors.ts';
import { READ_BYTES } from '../protocol/limits.ts';
import type { ApprovalQuery, RunStore } from '../protocol/ports/run-store.ts';
import type { PlannedCall } from '../protocol/tool-calls.ts';
import type { Approval } from '../protocol/wire/decisions.ts';
import type { Page } from '../protocol/wire/objects.ts';
import type { Database } from './database.ts';

interface WaitingRow {
  tenant: string;
  thread_id: string;
  run_id: string;
  assistant_id: string;
  position: number;
  expires_at: number | null;
  round: number;
  calls: PlannedCall[];
  outputs: Record<string, string>;
  asked_at: number | null;
}

/** Runs per statement. Most of them have no call that waits for an approval. */
const BATCH = 100;

// The text search is only a first filter: a model's arguments may contain the same words, escaped.
const WAITING = `
  select r.tenant, r.thread_id, r.id as run_id, r.assistant_id, r.position, r.expires_at, o.round, o.calls, o.outputs,
    (select max(s.created_at) from steps s
      where s.run_id = r.id and s.round = o.round and s.kind <> 'message' and s.status = 'in_progress') as asked_at
  from runs r join rounds o on o.run_id = r.id and o.round = r.round
  where r.status in ('in_progress', 'requires_action') and r.position >= $1 and ($2::text is null or r.tenant = $2)
    and (r.expires_at is null or r.expires_at > $3) and not o.done and o.calls::text like '%"kind":"approval"%'
  order by r.position limit ${BATCH}`;

type Cursor = { position: number; index: number };

const CURSOR = /^appr_([1-9]\d{0,15})_(\d{1,6})$/;

const cursorOf = (after: string | undefined): Cursor => {
  if (after === undefined) return { position: 0, index: -1 };
  const match = CURSOR.exec(after);
  if (match === null) throw apiErrors.notFound('approval', after);
  return { position: Number(match[1]), index: Number(match[2]) };
};

const seconds = (ms: number | null): number | null => (ms === null ? null : Math.floor(ms / 1000));

/** The call as an approval; null when it does not wait. `decided`: its latest entry is a decision. */
const approvalOf = (
  row: WaitingRow,
  index: number,
  { tools, now }: Pick<ApprovalQuery, 'tools' | 'now'>,
  decided: ReadonlySet<string>,
): Approval | null => {
  const call = row.calls[index];
  if (call?.plan.kind !== 'approval' || Object.hasOwn(row.outputs, call.callId)) return null;
  if (decided.has(call.callId) || (tools !== null && !tools.includes(call.name))) return null;
  const { onDeadline, answerWithinMs } = call.plan.wait;
  const own = row.asked_at === null || answerWithinMs === null ? null : row.asked_at + answerWithinMs;
  // The model has a placeholder by then; a late answer is still accepted where the tool wants one.
  if (own !== null && own <= now && onDeadline !== 'follow-up') return null;
  return {
    id: `appr_${row.position}_${index}`,
    object: 'approval',
    created_at: seconds(row.asked_at),
    tenant: row.tenant,
    thread_id: row.thread_id,
    run_id: row.run_id,
    assistant_id: row.assistant_id,
    call_id: call.callId,
    tool: call.name,
    arguments: call.arguments,
    arguments_digest: call.argumentsDigest ?? null,
    digest_required: call.digestRequired === true,
    on_deadline: onDeadline,
    answer_within: seconds(answerWithinMs),
    expires_at: seconds(row.expires_at),
  };
};

/** Decided calls of these runs, by run. A decision whose arguments the tool refused leaves its call waiting. */
const decidedCalls = async (
  db: Database,
  rows: readonly WaitingRow[],
): Promise<Map<string, ReadonlySet<string>>> => {
  const found = await db.query<{ run_id: string; body: Decision }>(
    'select run_id, body from decisions where run_id = any($1::text[]) order by position',
    [rows.map(({ run_id }) => run_id)],
  );
  const decided = new Map<string, Set<string>>(rows.map(({ run_id }) => [run_id, new Set()]));
  const rounds = new Map(rows.map(({ run_id, round }) => [run_id, round]));
  for (const { run_id: runId, body } of found) {
    if (body.round !== rounds.get(runId)) continue;
    if (body.refusedEdit === undefined) decided.get(runId)?.add(body.callId);
    else decided.get(runId)?.delete(body.callId);
  }
  return decided;
};

/** Waiting calls behind the cursor, batch by batch, until the page is full. */
async function* waitingCalls(db: Database, query: ApprovalQuery): AsyncGenerator<Approval> {
  for (let from = cursorOf(query.after); ;) {
    const rows = await db.query<WaitingRow>(WAITING, [from.position, query.tenant, query.now]);
    const decided = rows.length === 0 ? new Map<string, ReadonlySet<string>>() : await decidedCalls(db, rows);
    for (const row of rows)
      for (const index of row.calls.keys()) {
        if (row.position === from.position && index <= from.index) continue;
        const approval = approvalOf(row, index, query, decided.get(row.run_id) ?? new Set());
        if (approval !== null) yield approval;
      }
    const last = rows.at(-1);
    if (last === undefined || rows.length < BATCH) return;
    from = { position: last.position, index: last.calls.length };
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
