/**
 * Existing runs as the service uses them: read, list, request a cancel. `create-run.ts` creates them.
 *
 * Rule: every statement is scoped to a tenant; another tenant's run is not found. There is no cache: each read is
 * a statement.
 * Imported within `store/` only.
 */
import { apiErrors } from '../protocol/errors.ts';
import type { RunForSubmit, RunStore } from '../protocol/ports/run-store.ts';
import { isTerminal, type Run, type RunStep } from '../protocol/wire/objects.ts';
import { endApprovals } from './approval-rows.ts';
import type { Database, Sql } from './database.ts';
import { listAllRuns } from './list-runs.ts';
import { liveRunStore } from './live-runs.ts';
import { readPage } from './paging.ts';
import { newestRound, roundOfCall } from './rounds.ts';
import type { RunRow, StepRow } from './schema.ts';
import { startStore } from './create-run.ts';
import { LIVE, pageOfThread, updateMetadata } from './threads.ts';
import { changeRun } from './update-run.ts';
import { roundState, runView, stepView } from './views.ts';

const readRun = async (sql: Sql, tenant: string, threadId: string, runId: string): Promise<RunRow> => {
  const [row] = await sql.query<RunRow>(
    'select * from runs where id = $1 and thread_id = $2 and tenant = $3',
    [runId, threadId, tenant],
    'read-run',
  );
  if (row === undefined) throw apiErrors.notFound('run', runId);
  return row;
};

const markCancelling = async (
  db: Database,
  [tenant, threadId, runId]: [string, string, string],
  now: number,
): Promise<Run> => {
  const run = await changeRun(db, runId, null, async (unit) => {
    const { row, emit } = unit;
    if (row.tenant !== tenant || row.thread_id !== threadId) return null;
    if (isTerminal(row.status)) throw apiErrors.cannotCancel(row.status);
    row.cancel_asked_at ??= now;
    if (row.status !== 'cancelling') {
      row.status = 'cancelling';
      row.required = null;
      endApprovals(unit, 'cancelled', false);
      emit({ event: 'thread.run.cancelling', data: runView(row) });
    }
    return runView(row);
  });
  if (run === null) throw apiErrors.notFound('run', runId);
  return run;
};

const runForSubmit = async (
  db: Database,
  [tenant, threadId, runId]: [string, string, string],
  { callId, key }: { callId: string | null; key: string | null },
): Promise<RunForSubmit> => {
  const row = await readRun(db, tenant, threadId, runId);
  const newest = await newestRound(db, runId);
  const asked = await roundOfCall(db, runId, newest, callId);
  const used =
    key === null
      ? []
      : await db.query('select 1 from idempotency_keys where tenant = $1 and key = $2 and run_id = $3', [
          tenant,
          key,
          runId,
        ]);
  return {
    run: runView(row),
    status: row.status,
    round: newest === null ? null : roundState(newest),
    asked:
      asked === null
        ? null
        : {
            ...roundState(asked),
            acceptedAfter: asked.accepted_after,
            acceptedBy: asked.accepted_by,
          },
    keyUsed: used.length > 0,
  };
};

/** Methods of `approvals.ts` and `adopt-approvals.ts`. */
type ApprovalMethod =
  | 'commentApproval'
  | 'listApprovals'
  | 'findApproval'
  | 'getApproval'
  | 'approvalChanges'
  | 'watchApprovals'
  | 'adoptApprovals'
  | 'expireLateApprovals';

const stepReader = (db: Database): Pick<RunStore, 'listSteps' | 'getStep'> => ({
  async listSteps(tenant, threadId, runId, query) {
    const page = await readPage<StepRow, RunStep>(
      db,
      {
        table: 'steps',
        where: 'run_id = $1 and thread_id = $2 and tenant = $3',
        params: [runId, threadId, tenant],
        view: stepView,
        notFound: (id) => apiErrors.notFound('run step', id),
      },
      query,
    );
    if (page.data.length === 0) await readRun(db, tenant, threadId, runId);
    return page;
  },
  async getStep(tenant, threadId, runId, stepId) {
    const [row] = await db.query<StepRow>(
      'select * from steps where id = $1 and run_id = $2 and thread_id = $3 and tenant = $4',
      [stepId, runId, threadId, tenant],
    );
    if (row === undefined) throw apiErrors.notFound('run step', stepId);
    return stepView(row);
  },
});

/** What holds for the whole server: live runs by status, and values by name. */
const serverFacts = (db: Database): Pick<RunStore, 'countLiveRuns' | 'getFact' | 'setFact'> => ({
  async countLiveRuns() {
    const rows = await db.query<{ status: RunRow['status']; count: number }>(
      `select status, count(*) from runs where ${LIVE} group by status`,
    );
    return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
  },
  async getFact(name) {
    const [row] = await db.query<{ value: string }>('select value from facts where name = $1', [name]);
    return row?.value ?? null;
  },
  async setFact(name, value) {
    await db.query(
      'insert into facts (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value',
      [name, value],
    );
  },
});

export const runStore = (
  db: Database,
): Omit<
  RunStore,
  | 'countLiveRunsOf'
  | 'storedBytesOf'
  | 'readEvents'
  | 'watchEvents'
  | 'receivesNotifications'
  | 'prune'
  | 'listDecisions'
  | 'recordRefusedDecision'
  | ApprovalMethod
> => ({
  ...startStore(db),
  getRun: async (tenant, threadId, runId) => runView(await readRun(db, tenant, threadId, runId)),
  listRuns: (tenant, threadId, query) =>
    pageOfThread(
      db,
      tenant,
      threadId,
      readPage<RunRow, Run>(
        db,
        {
          table: 'runs',
          where: 'thread_id = $1 and tenant = $2',
          params: [threadId, tenant],
          view: runView,
          notFound: (id) => apiErrors.notFound('run', id),
        },
        query,
      ),
    ),
  listAllRuns: (query) => listAllRuns(db, query),
  async updateRun(tenant, threadId, runId, params) {
    const row = await updateMetadata<RunRow>(db, 'runs', { id: runId, tenant, threadId }, params.metadata);
    if (row === undefined) throw apiErrors.notFound('run', runId);
    return runView(row);
  },
  async findRun(runId) {
    const [row] = await db.query<RunRow>('select * from runs where id = $1', [runId]);
    return row === undefined
      ? null
      : {
          tenant: row.tenant,
          run: runView(row),
          config: row.config,
          createdAt: row.created_at,
          expiresAt: row.expires_at,
        };
  },
  runForSubmit: (tenant, threadId, runId, about) => runForSubmit(db, [tenant, threadId, runId], about),
  markCancelling: (tenant, threadId, runId, now) => markCancelling(db, [tenant, threadId, runId], now),
  ...stepReader(db),
  ...serverFacts(db),
  ...liveRunStore(db),
});
