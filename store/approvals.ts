/**
 * Reads approvals: pages of them, one with all that a person needs, and their changes in the order of commits.
 *
 * Rule: waiting calls are listed by their deadlines, others by their latest change. A cursor is the id of an approval, whose
 * row stays when it is decided, so the next page is found. A change counts once every transaction that began before its own
 * has ended: what a reader has passed never gets another change behind it.
 * Imported within `store/` only.
 */
import { apiErrors } from '../protocol/errors.ts';
import { READ_BYTES } from '../protocol/limits.ts';
import type { ApprovalChanges, ApprovalQuery, ApprovalScope, RunStore } from '../protocol/ports/run-store.ts';
import { APPROVAL_EVENT_ID, type Approval } from '../protocol/wire/decisions.ts';
import type { Page } from '../protocol/wire/objects.ts';
import { wireSecondsOrNull } from '../protocol/wire/run-view.ts';
import { isVerdict } from '../protocol/decisions.ts';
import { NO_DEADLINE } from './approval-rows.ts';
import { addComment, ballotView } from './ballots.ts';
import { APPROVALS, type Database, type Param } from './database.ts';
import { decisionMark } from './decisions.ts';
import { readDetails } from './read-approval.ts';
import type { ApprovalRow } from './approvals-schema.ts';
import { pageOfRows } from './paging.ts';
import { withinBytes, type Counted } from './within-bytes.ts';

/** An approval with the end of its run, which only late calls need. */
type ReadRow = ApprovalRow & { ended_at: number | null };

const FROM = 'approvals a left join runs r on a.late and r.id = a.run_id';
const COLUMNS = 'a.*, r.ended_at';

const expiresAt = (row: ReadRow, followUpWithinMs: number): number | null =>
  row.late ? (row.ended_at === null ? null : row.ended_at + followUpWithinMs) : row.run_expires_at;

const approvalView = (row: ReadRow, followUpWithinMs: number): Approval => {
  const { call, decision } = row;
  const refused = decision?.refusedEdit;
  return {
    id: row.id,
    object: 'approval',
    created_at: wireSecondsOrNull(row.asked_at),
    tenant: row.tenant,
    thread_id: row.thread_id,
    run_id: row.run_id,
    assistant_id: row.assistant_id,
    call_id: row.call_id,
    kind: row.kind,
    tool: row.tool,
    status: row.status,
    arguments: call.arguments,
    arguments_digest: call.argumentsDigest ?? null,
    digest_required: call.digestRequired === true,
    requested_by: row.requested_by,
    answer_by: row.due_at === NO_DEADLINE ? null : wireSecondsOrNull(row.due_at),
    on_deadline: row.on_deadline,
    answer_within: wireSecondsOrNull(row.answer_within),
    late: row.late,
    expires_at: wireSecondsOrNull(expiresAt(row, followUpWithinMs)),
    decision: decision === null || !isVerdict(decision) ? null : decisionMark(decision),
    refused_edit: refused ?? null,
    ...ballotView(row),
  };
};

/** Conditions over `a`, with their parameters. */
interface Filter {
  conditions: string[];
  params: Param[];
  /** Adds a condition on a parameter, unless its value is undefined. */
  add: (text: (param: string) => string, value: Param | undefined) => void;
}

const filter = (): Filter => {
  const conditions: string[] = [];
  const params: Param[] = [];
  return {
    conditions,
    params,
    add: (text, value) => {
      if (value === undefined) return;
      params.push(value);
      conditions.push(text(`$${params.length}`));
    },
  };
};

const inScope = ({ tenant, tools }: Pick<ApprovalScope, 'tenant' | 'tools'>) => {
  const found = filter();
  found.add((param) => `a.tenant = ${param}`, tenant ?? undefined);
  found.add((param) => `a.tool = any(${param}::text[])`, tools ?? undefined);
  return found;
};

/** After its time, a call waits only where a late answer is accepted; a late call, until its own expiry. */
const isOpen = (now: string, endedAfter: string): string =>
  `(a.due_at > ${now} or a.on_deadline = 'follow-up') and (r.ended_at is null or r.ended_at > ${endedAfter})`;

const cursorOf = async (
  db: Database,
  scope: ApprovalScope,
  after: string,
): Promise<Pick<ApprovalRow, 'due_at' | 'position' | 'changed'>> => {
  const { conditions, params, add } = inScope({ ...scope, tools: null });
  add((param) => `a.id = ${param}`, after);
  const [row] = await db.query<Pick<ApprovalRow, 'due_at' | 'position' | 'changed'>>(
    `select due_at, position, changed from approvals a where ${conditions.join(' and ')}`,
    params,
  );
  if (row === undefined) throw apiErrors.notFound('approval', after);
  return row;
};

const listApprovals = async (db: Database, query: ApprovalQuery): Promise<Page<Approval>> => {
  const { status = 'waiting', now, followUpWithinMs } = query;
  const { conditions, params, add } = inScope(query);
  const waiting = status === 'waiting';
  // A condition on the index of waiting calls holds the status as a constant.
  if (waiting) conditions.push("a.status = 'waiting'");
  else add((param) => `a.status = ${param}`, status);
  add((param) => `a.tool = ${param}`, query.tool);
  add((param) => `a.assistant_id = ${param}`, query.assistantId);
  add((param) => `a.thread_id = ${param}`, query.threadId);
  add((param) => `a.due_at < ${param}`, query.beforeDeadline);
  if (waiting) {
    params.push(now, now - followUpWithinMs);
    conditions.push(isOpen(`$${params.length - 1}::bigint`, `$${params.length}::bigint`));
  }
  const order = waiting ? 'due_at, position' : 'changed desc';
  if (query.after !== undefined) {
    const cursor = await cursorOf(db, query, query.after);
    const [first, second] = waiting ? [cursor.due_at, cursor.position] : [cursor.changed, null];
    params.push(first, ...(second === null ? [] : [second]));
    conditions.push(
      waiting
        ? `(a.due_at, a.position) > ($${params.length - 1}::bigint, $${params.length}::bigint)`
        : `a.changed < $${params.length}::bigint`,
    );
  }
  params.push(query.limit + 1, READ_BYTES.page);
  const limited = `select ${COLUMNS} from ${FROM} where ${conditions.join(' and ')}
    order by ${waiting ? 'a.due_at, a.position' : 'a.changed desc'} limit $${params.length - 1}`;
  const rows = await db.query<ReadRow & Counted>(
    withinBytes('approvals', limited, order, `$${params.length}`),
    params,
  );
  const page = rows.slice(0, query.limit);
  return pageOfRows(
    page.map((row) => approvalView(row, followUpWithinMs)),
    rows,
  );
};

const readApproval = async (db: Database, scope: ApprovalScope, id: string): Promise<ReadRow> => {
  const { conditions, params, add } = inScope(scope);
  add((param) => `a.id = ${param}`, id);
  const [row] = await db.query<ReadRow>(
    `select ${COLUMNS} from ${FROM} where ${conditions.join(' and ')}`,
    params,
  );
  if (row === undefined) throw apiErrors.notFound('approval', id);
  return row;
};

/** Behind every change of a transaction. */
const LAST_OF = Number.MAX_SAFE_INTEGER;

const placeOf = (after: string): [number, number] => {
  const match = APPROVAL_EVENT_ID.exec(after);
  if (match === null) throw new Error(`${JSON.stringify(after)} is no id of an approval event.`);
  return [Number(match[1]), Number(match[2])];
};

const approvalChanges = async (
  db: Database,
  { limit, after, ...scope }: ApprovalScope & { limit: number; after: string | null },
): Promise<ApprovalChanges> => {
  const [horizon] = await db.query<{ settled: number; behind: boolean }>(
    `select h.settled, exists (select 1 from approvals where changed_in >= h.settled) as behind
     from (select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as settled) h`,
    [],
    'approvals-horizon',
  );
  const { settled = 0, behind = false } = horizon ?? {};
  const end = `${settled - 1}-${LAST_OF}`;
  if (after === null) return { changes: [], after: end, more: false, behind };
  const [transaction, number] = placeOf(after);
  const { conditions, params } = inScope(scope);
  params.push(transaction, number, settled, limit, READ_BYTES.events);
  const at = (back: number): string => `$${params.length - back}`;
  conditions.push(
    `(a.changed_in, a.changed) > (${at(4)}::bigint, ${at(3)}::bigint) and a.changed_in < ${at(2)}::bigint`,
  );
  const limited = `select ${COLUMNS} from ${FROM} where ${conditions.join(' and ')}
    order by a.changed_in, a.changed limit ${at(1)}`;
  const rows = await db.query<ReadRow & Counted>(
    withinBytes('approvals', limited, 'changed_in, changed', at(0)),
    params,
  );
  const changes = rows.map((row) => ({
    id: `${row.changed_in}-${row.changed}`,
    approval: approvalView(row, scope.followUpWithinMs),
  }));
  const found = rows[0]?.of_rows ?? 0;
  const more = found > changes.length || found >= limit;
  return { changes, after: more ? (changes.at(-1)?.id ?? after) : end, more, behind };
};

export const approvalStore = (
  db: Database,
): Pick<
  RunStore,
  'listApprovals' | 'findApproval' | 'getApproval' | 'approvalChanges' | 'watchApprovals' | 'commentApproval'
> => ({
  listApprovals: (query) => listApprovals(db, query),
  findApproval: async (scope, id) => approvalView(await readApproval(db, scope, id), scope.followUpWithinMs),
  async getApproval(scope, id, voter = {}) {
    const row = await readApproval(db, scope, id);
    return readDetails(db, row, approvalView(row, scope.followUpWithinMs), voter);
  },
  async commentApproval(scope, id, comment) {
    const { run_id: runId } = await readApproval(db, scope, id);
    await addComment(db, runId, id, comment);
    return approvalView(await readApproval(db, scope, id), scope.followUpWithinMs);
  },
  approvalChanges: (query) => approvalChanges(db, query),
  watchApprovals: () => db.announcements.watch(APPROVALS),
});
