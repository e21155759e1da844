/**
 * The rows of one run, for its timeline.
 *
 * Rule: bounded in rows and in bytes, whatever the run holds; `cut` says that something was left out.
 * Imported within `store/` only.
 */
import type {
  RunRows,
  RecordedApproval,
  RecordedStep,
  RunRecordStore,
} from '../protocol/ports/run-records.ts';
import { READ_BYTES } from '../protocol/limits.ts';
import type { ApprovalRow, DecisionRow } from './approvals-schema.ts';
import type { Database } from './database.ts';
import type { RoundRow, RunRow, StepRow } from './schema.ts';
import { readOverview } from './overview.ts';
import { NO_DEADLINE } from './approval-rows.ts';
import { runView } from './views.ts';
import { withinBytes, type Counted, type ROW_BYTES } from './within-bytes.ts';

const ROWS = 1_000;

interface Rows<Row> {
  rows: Row[];
  cut: boolean;
}

const read = async <Row>(
  db: Database,
  table: keyof typeof ROW_BYTES,
  columns: string,
  runId: string,
): Promise<Rows<Row>> => {
  const limited = `select ${columns} from ${table} where run_id = $1 order by position limit $2`;
  const rows = await db.query<Row & Counted>(withinBytes(table, limited, 'position', '$3'), [
    runId,
    ROWS + 1,
    READ_BYTES.page,
  ]);
  return { rows: rows.slice(0, ROWS), cut: rows.length > ROWS || (rows[0]?.of_rows ?? 0) > rows.length };
};

const stepOf = (row: StepRow): RecordedStep => ({
  id: row.id,
  kind: row.kind,
  round: row.round,
  status: row.status,
  model: row.model,
  usage: row.usage,
  createdAt: row.created_at,
  endedAt: row.completed_at ?? row.failed_at ?? row.cancelled_at ?? row.expired_at,
  calls: row.details.type === 'tool_calls' ? row.details.tool_calls : [],
});

const approvalOf = (row: ApprovalRow): RecordedApproval => ({
  callId: row.call_id,
  round: row.round,
  tool: row.tool,
  status: row.status,
  onDeadline: row.on_deadline,
  askedAt: row.asked_at,
  dueAt: row.due_at === NO_DEADLINE ? null : row.due_at,
  decidedAt: row.decided_at,
});

const readRecord = async (db: Database, runId: string): Promise<RunRows | null> => {
  const [row] = await db.query<RunRow>('select * from runs where id = $1', [runId]);
  if (row === undefined) return null;
  const [steps, rounds, approvals, decisions] = await Promise.all([
    read<StepRow>(db, 'steps', '*', runId),
    // Their outputs stand in the steps.
    read<RoundRow>(
      db,
      'rounds',
      'round, position, calls, null::json as outputs, octet_length(calls::text) as bytes',
      runId,
    ),
    read<ApprovalRow>(db, 'approvals', '*', runId),
    read<DecisionRow>(db, 'decisions', '*', runId),
  ]);
  return {
    tenant: row.tenant,
    run: runView(row),
    round: row.round,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    expiresAt: row.expires_at,
    cancelAskedAt: row.cancel_asked_at,
    usage: row.usage,
    steps: steps.rows.map(stepOf),
    rounds: rounds.rows.map(({ round, calls }) => ({ round, calls })),
    approvals: approvals.rows.map(approvalOf),
    decisions: decisions.rows.map(({ id, body }) => ({ id, ...body })),
    cut: [steps, rounds, approvals, decisions].some(({ cut }) => cut),
  };
};

export const runRecordStore = (db: Database): RunRecordStore => ({
  readRecord: (runId) => readRecord(db, runId),
  readOverview: (query) => readOverview(db, query),
});
