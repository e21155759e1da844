/**
 * Keeps the rows of approvals, and what a run shows of its waiting calls, in the transaction that changes the run.
 *
 * Rule: the row of an approval changes together with its round, its decisions and its run, so a list is exact at every
 * moment. A decision older than the one that the row has changes nothing. What an older process wrote is added by
 * `adopt-approvals.ts`.
 * Imported within `store/` only.
 */
import type { Decision } from '../protocol/decisions.ts';
import { answerDeadline } from '../protocol/rules/answer-deadline.ts';
import type { PlannedCall, WaitPolicy } from '../protocol/tool-calls.ts';
import type { ApprovalStatus, AwaitedCall } from '../protocol/wire/decisions.ts';
import { isTerminal } from '../protocol/wire/objects.ts';
import { wireSecondsOrNull } from '../protocol/wire/run-view.ts';
import type { RoundRow, RunRow } from './schema.ts';
import type { RunUpdate } from './update-run.ts';
import { runView } from './views.ts';

/** In `due_at`: no deadline is known. Sorts last. */
export const NO_DEADLINE = Number.MAX_SAFE_INTEGER;

/** What a change of a row sets, so that readers find it by its place among all changes. */
export const CHANGED = "changed_in = pg_current_xact_id()::text::bigint, changed = nextval('positions')";

const waitOf = ({ plan }: PlannedCall): WaitPolicy | null =>
  plan.kind === 'approval' || plan.kind === 'external' ? plan.wait : null;

/** What a person does about a call; null = its call has no row. */
const kindOf = ({ plan }: PlannedCall): 'approval' | 'output' | null =>
  plan.kind === 'approval'
    ? 'approval'
    : plan.kind === 'external' && plan.byPerson === true
      ? 'output'
      : null;

export const hasApprovals = ({ calls }: Pick<RoundRow, 'calls'>): boolean =>
  calls.some((call) => kindOf(call) !== null);

type Asking = Pick<RunRow, 'created_at' | 'expires_at'>;

const deadlineOf = (row: Asking, wait: WaitPolicy, askedAt: number | null): number | null =>
  answerDeadline(wait, { createdAt: row.created_at, expiresAt: row.expires_at }, askedAt);

/** What the run shows of these calls; calls that do not wait are left out. */
export const awaitedCalls = (
  row: Asking,
  calls: readonly PlannedCall[],
  askedAt: number | null,
): AwaitedCall[] =>
  calls.flatMap((call) => {
    const wait = waitOf(call);
    return wait === null
      ? []
      : [
          {
            call_id: call.callId,
            tool: call.name,
            kind: call.plan.kind === 'approval' ? ('approval' as const) : ('output' as const),
            on_deadline: wait.onDeadline,
            answer_by: wireSecondsOrNull(deadlineOf(row, wait, askedAt)),
          },
        ];
  });

export const approvalId = (row: Pick<RunRow, 'position'>, round: number, index: number): string =>
  `appr_${row.position}_${round}_${index}`;

interface AddedRow {
  status: ApprovalStatus;
  late: boolean;
  decision: Decision | null;
}
const WAITS: AddedRow = { status: 'waiting', late: false, decision: null };

/** A list of parameters holds texts only; the statement reads an empty one as null. */
const text = (value: number | null): string => (value === null ? '' : String(value));

/** What the row holds of its call. */
const keptCall = ({ arguments: written, argumentsDigest, digestRequired, plan }: PlannedCall) => ({
  arguments: written,
  ...(argumentsDigest === undefined ? {} : { argumentsDigest }),
  ...(digestRequired === undefined ? {} : { digestRequired: true }),
  ...(plan.kind === 'approval' && plan.approvers !== undefined ? { approvers: plan.approvers } : {}),
});

/** Adds the rows of a round's approvals. `stateOf`: for rounds that an older process wrote. */
export const addApprovals = (
  { sql, row, later, approvalsChanged }: RunUpdate,
  { round, calls }: Pick<RoundRow, 'round' | 'calls'>,
  askedAt: number | null,
  stateOf?: (call: PlannedCall) => AddedRow,
): void => {
  const rows = calls.flatMap((call, index) => {
    const kind = kindOf(call);
    const wait = waitOf(call);
    if (kind === null || wait === null) return [];
    const { status, late, decision } = stateOf?.(call) ?? WAITS;
    return {
      id: approvalId(row, round, index),
      call_id: call.callId,
      kind,
      tool: call.name,
      due_at: deadlineOf(row, wait, askedAt) ?? NO_DEADLINE,
      on_deadline: wait.onDeadline,
      answer_within: wait.answerWithinMs,
      status,
      late,
      decision,
      call: JSON.stringify(keptCall(call)),
    };
  });
  if (rows.length === 0) return;
  approvalsChanged();
  later(
    sql.query(
      `insert into approvals (id, run_id, tenant, thread_id, assistant_id, round, asked_at, run_expires_at, requested_by,
         older, call_id, tool, due_at, on_deadline, answer_within, status, late, call, decision, decided_at, bytes, kind)
       select n.id, $1, $2, $3, $4, $5, $6, $7, $8, $9, n.call_id, n.tool, n.due_at, n.on_deadline, nullif(n.answer_within, '')::bigint,
         n.status, n.late, n.call::json, nullif(n.decision, '')::json, nullif(n.decided_at, '')::bigint, octet_length(n.call), n.kind
       from unnest($10::text[], $11::text[], $12::text[], $13::bigint[], $14::text[], $15::text[], $16::text[],
         $17::boolean[], $18::text[], $19::text[], $20::text[], $21::text[])
         with ordinality as n (id, call_id, tool, due_at, on_deadline, answer_within, status, late, call, decision, decided_at, kind, ord)
       order by n.ord on conflict (id) do nothing`,
      [
        row.id,
        row.tenant,
        row.thread_id,
        row.assistant_id,
        round,
        askedAt,
        row.expires_at,
        row.config.requested_by ?? null,
        stateOf !== undefined,
        rows.map(({ id }) => id),
        rows.map(({ call_id }) => call_id),
        rows.map(({ tool }) => tool),
        rows.map(({ due_at }) => String(due_at)),
        rows.map(({ on_deadline }) => on_deadline),
        rows.map(({ answer_within }) => text(answer_within)),
        rows.map(({ status }) => status),
        rows.map(({ late }) => String(late)),
        rows.map(({ call }) => call),
        rows.map(({ decision }) => (decision === null ? '' : JSON.stringify(decision))),
        rows.map(({ decision }) => text(decision?.at ?? null)),
        rows.map(({ kind }) => kind),
      ],
      'add-approvals',
    ),
  );
};

/** The round begins to wait: its approvals get rows, and the run shows what it waits for. */
export const beginWait = (unit: RunUpdate, round: RoundRow, askedAt: number): void => {
  const { row } = unit;
  addApprovals(unit, round, askedAt);
  const awaited = row.status === 'cancelling' ? [] : awaitedCalls(row, round.calls, askedAt);
  row.awaiting = awaited.length === 0 ? null : awaited;
};

/** The run shows whether the call is decided. Events of other statuses name their calls themselves. */
const showDecided = ({ row, emit }: RunUpdate, callId: string, decided: boolean): void => {
  const before = row.awaiting?.find(({ call_id: id }) => id === callId);
  if (before === undefined || (before.decided === true) === decided) return;
  const { decided: _was, ...call } = before;
  const after = decided ? { ...call, decided: true as const } : call;
  row.awaiting = (row.awaiting ?? []).map((item) => (item === before ? after : item));
  if (row.status === 'in_progress') emit({ event: 'thread.run.in_progress', data: runView(row) });
};

/** A refused edit takes the decision back: the call waits again, as far as its run can still use an answer. */
const statusAfter = ({ refusedEdit }: Decision, { status }: RunRow, late: boolean): ApprovalStatus => {
  if (refusedEdit === undefined) return 'decided';
  if (status === 'cancelling' || status === 'cancelled') return 'cancelled';
  return isTerminal(status) && !late ? 'expired' : 'waiting';
};

/** Writes a decision into the row of its call, and shows what the run still waits for. */
export const decideApproval = (unit: RunUpdate, round: RoundRow, decision: Decision): void => {
  const { sql, row, later, approvalsChanged } = unit;
  const { callId, late = false, at } = decision;
  approvalsChanged();
  later(
    sql.query(
      `update approvals set status = $4, decision = $5::json, decided_at = $6, ${CHANGED}
       where run_id = $1 and round = $2 and call_id = $3 and (decided_at is null or decided_at < $6)`,
      [
        row.id,
        round.round,
        callId,
        statusAfter(decision, row, late),
        JSON.stringify({ ...decision, arguments: null }),
        at,
      ],
    ),
  );
  if (late || round.round !== row.round || isTerminal(row.status)) return;
  showDecided(unit, callId, decision.refusedEdit === undefined);
};

/**
 * The round has new outputs. A call that has one without a decision got a placeholder: its row is late where an answer may
 * still come, and expired otherwise. The output of an external call is a person's answer if it came in time (`now`, Unix ms),
 * and a placeholder otherwise.
 */
export const passOverApprovals = (unit: RunUpdate, round: RoundRow, now: number): void => {
  const { sql, row, later, approvalsChanged } = unit;
  if (row.awaiting !== null) {
    const open = row.awaiting.filter(({ call_id: id }) => !Object.hasOwn(round.outputs, id));
    row.awaiting = round.done || open.length === 0 ? null : open;
  }
  if (!hasApprovals(round)) return;
  approvalsChanged();
  later(
    sql.query(
      `update approvals set late = kind = 'approval' and on_deadline = 'follow-up',
         status = case when kind = 'output' and due_at > $4 then 'decided'
           when kind = 'approval' and on_deadline = 'follow-up' then 'waiting' else 'expired' end, ${CHANGED}
       where run_id = $1 and round = $2 and status = 'waiting' and not late and call_id = any($3::text[])`,
      [row.id, round.round, Object.keys(round.outputs), now],
    ),
  );
};

/** The run ends, or is being cancelled: its calls wait no more. Late calls may still be answered, except after a cancel. */
export const endApprovals = (unit: RunUpdate, status: 'expired' | 'cancelled', keepsLate: boolean): void => {
  const { sql, row, later, approvalsChanged } = unit;
  row.awaiting = null;
  if (row.round === 0) return;
  approvalsChanged();
  later(
    sql.query(
      `update approvals set status = $2, ${CHANGED}
       where run_id = $1 and status = 'waiting' and not (late and $3)`,
      [row.id, status, keepsLate],
    ),
  );
};
