/**
 * The engine's side of runs: starting, reading, asking to cancel.
 *
 * Rule: a run's row, its thread's lock, the messages it brings and its first events appear together or not at all. The
 * partial unique index `runs_live` is the lock; the locked thread row only makes the refusal polite.
 * Imported within `store/` only.
 */
import { apiErrors } from '../protocol/errors.ts';
import type { StreamEvent } from '../protocol/events.ts';
import type { RunParams } from '../protocol/engine.ts';
import type { CreatedRun, LiveRun, NewRun, RunConfig, RunForSubmit, RunStore } from '../protocol/store.ts';
import { isTerminal, type Run, type RunStep } from '../protocol/wire.ts';
import type { Database, Sql } from './database.ts';
import { violatedIndex } from './errors.ts';
import { readPage } from './paging.ts';
import { runReader } from './reader.ts';
import type { AssistantRow, RoundRow, RunRow, StepRow, ThreadRow } from './schema.ts';
import {
  insertMessages,
  insertThread,
  LIVE,
  lockThread,
  pageOfThread,
  requireAssistant,
  requireThread,
  updateMetadata,
} from './threads.ts';
import { changeRun, writeUnit } from './unit.ts';
import { roundState, runView, stepView, threadView } from './views.ts';

const json = (value: unknown): string => JSON.stringify(value);

/** The run's own wishes first, then the assistant's, then the API's defaults. */
export const runConfig = (
  params: RunParams,
  assistant: AssistantRow['body'],
  grantedTools: readonly string[] | null,
): RunConfig => {
  const base = params.instructions ?? assistant.instructions;
  const more = params.additional_instructions;
  return {
    model: params.model ?? assistant.model,
    instructions: more == null || more === '' ? base : base === null ? more : `${base}\n\n${more}`,
    tools: params.tools ?? assistant.tools,
    temperature: params.temperature ?? assistant.temperature,
    top_p: params.top_p ?? assistant.top_p,
    max_prompt_tokens: params.max_prompt_tokens ?? null,
    max_completion_tokens: params.max_completion_tokens ?? null,
    truncation_strategy: params.truncation_strategy ?? { type: 'auto', last_messages: null },
    tool_choice: params.tool_choice ?? 'auto',
    parallel_tool_calls: params.parallel_tool_calls ?? true,
    response_format: params.response_format ?? assistant.response_format,
    reasoning_effort: params.reasoning_effort ?? assistant.reasoning_effort ?? null,
    granted_tools: grantedTools,
  };
};

const readRun = async (sql: Sql, tenant: string, threadId: string, runId: string): Promise<RunRow> => {
  const [row] = await sql.query<RunRow>(
    'select * from runs where id = $1 and thread_id = $2 and tenant = $3',
    [runId, threadId, tenant],
    'read-run',
  );
  if (row === undefined) throw apiErrors.notFound('run', runId);
  return row;
};

/** The run that an earlier request with this key created; 400 when that request asked for something else. */
const byKey = async (
  sql: Sql,
  tenant: string,
  { key, request }: { key: string; request: string },
): Promise<CreatedRun | null> => {
  const [known] = await sql.query<{ run_id: string; request: string }>(
    'select run_id, request from idempotency_keys where tenant = $1 and key = $2',
    [tenant, key],
  );
  if (known === undefined) return null;
  if (known.request !== request)
    throw apiErrors.invalid(
      'Idempotency-Key',
      'This Idempotency-Key was used with a different request. Use a new key for a new request.',
      'idempotency_key_reused',
    );
  const [row] = await sql.query<RunRow>('select * from runs where id = $1 and tenant = $2', [
    known.run_id,
    tenant,
  ]);
  if (row === undefined) return null;
  return {
    run: runView(row),
    thread: threadView(await requireThread(sql, tenant, row.thread_id)),
    eventsAfter: 0,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    existing: { claimed: row.epoch > 0 },
  };
};

const insertRun = async (sql: Sql, tenant: string, run: NewRun): Promise<CreatedRun> => {
  if (run.idempotency !== null) {
    // Two requests under one key come one after the other, so the second one finds what the first one made.
    await sql.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [
      `${tenant} ${run.idempotency.key}`,
    ]);
    const existing = await byKey(sql, tenant, run.idempotency);
    if (existing !== null) return existing;
  }
  const { now, params } = run;
  const asked = requireAssistant(sql, tenant, params.assistant_id);
  let assistant: AssistantRow;
  let thread: ThreadRow;
  if ('create' in run.thread) {
    assistant = await asked;
    thread = await insertThread(sql, tenant, run.thread.create, now, run.runId);
  } else {
    const [found, locked] = await Promise.all([asked, lockThread(sql, tenant, run.thread.id)]);
    assistant = found;
    if (locked.liveRun !== null) throw apiErrors.activeRun(run.thread.id, locked.liveRun);
    thread = locked.thread;
  }
  await insertMessages(sql, thread, params.additional_messages ?? [], now, run.runId);
  const [row] = await sql.query<RunRow>(
    `insert into runs (id, tenant, thread_id, assistant_id, created_at, status, expires_at, config, metadata)
     values ($1, $2, $3, $4, $5, 'queued', $6, $7::json, $8::json) returning *`,
    [
      run.runId,
      tenant,
      thread.id,
      assistant.id,
      now,
      run.expiresAt,
      json(runConfig(params, assistant.body, run.grantedTools)),
      json(params.metadata ?? {}),
    ],
  );
  if (row === undefined) throw new Error('insert into runs returned no row');
  if (run.idempotency !== null)
    await sql.query(
      `insert into idempotency_keys (tenant, key, request, run_id, created_at) values ($1, $2, $3, $4, $5)
       on conflict (tenant, key) do update set request = excluded.request, run_id = excluded.run_id, created_at = excluded.created_at`,
      [tenant, run.idempotency.key, run.idempotency.request, run.runId, now],
    );
  const view = runView(row);
  const events: StreamEvent[] = [
    { event: 'thread.run.created', data: view },
    { event: 'thread.run.queued', data: view },
  ];
  row.event_seq = events.length;
  await writeUnit(sql, row, 0, events);
  return {
    run: view,
    thread: threadView(thread),
    eventsAfter: 0,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    existing: null,
  };
};

const createRun = async (db: Database, tenant: string, run: NewRun): Promise<CreatedRun> => {
  try {
    const created = await db.transaction((sql) => insertRun(sql, tenant, run));
    db.announcements.announce(run.runId, created.eventsAfter + 1);
    return created;
  } catch (error) {
    const index = violatedIndex(error);
    if (index === 'runs_live' && 'id' in run.thread) {
      const [live] = await db.query<{ id: string }>(`select id from runs where thread_id = $1 and ${LIVE}`, [
        run.thread.id,
      ]);
      throw apiErrors.activeRun(run.thread.id, live?.id ?? 'that has just ended');
    }
    throw error;
  }
};

const removeUnclaimed = (db: Database, runId: string): Promise<boolean> =>
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

/** Waits for whoever is taking the row back, and is waited for by him: both lock the row first. */
const vouchForRun = async (db: Database, runId: string): Promise<boolean> => {
  const vouched = await db.query(
    `with row as (select id from runs where id = $1 for no key update)
     update idempotency_keys set vouched = true from row where run_id = row.id returning 1`,
    [runId],
  );
  return vouched.length > 0;
};

const markCancelling = async (
  db: Database,
  [tenant, threadId, runId]: [string, string, string],
  now: number,
): Promise<Run> => {
  const run = await changeRun(db, runId, null, async ({ row, emit }) => {
    if (row.tenant !== tenant || row.thread_id !== threadId) return null;
    if (isTerminal(row.status)) throw apiErrors.cannotCancel(row.status);
    row.cancel_asked_at ??= now;
    if (row.status !== 'cancelling') {
      row.status = 'cancelling';
      row.required = null;
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
  const rounds = await db.query<RoundRow>('select * from rounds where run_id = $1 order by round desc', [
    runId,
  ]);
  const [newest] = rounds;
  const asked = rounds.find(({ calls }) => calls.some((call) => call.callId === callId));
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
    round: newest === undefined ? null : roundState(newest),
    asked:
      asked === undefined
        ? null
        : {
            ...roundState(asked),
            acceptedAfter: asked.accepted_after,
            acceptedBy: asked.accepted_by,
          },
    keyUsed: used.length > 0,
  };
};

type LiveRow = Pick<
  RunRow,
  | 'id'
  | 'tenant'
  | 'thread_id'
  | 'assistant_id'
  | 'status'
  | 'metadata'
  | 'created_at'
  | 'expires_at'
  | 'cancel_asked_at'
  | 'epoch'
  | 'position'
>;

const liveRuns = async (
  db: Database,
  options: { before: number; after: number; limit: number },
): Promise<LiveRun[]> => {
  const rows = await db.query<LiveRow>(
    `select id, tenant, thread_id, assistant_id, status, metadata, created_at, expires_at, cancel_asked_at, epoch, position
     from runs where ${LIVE} and position > $1 and created_at < $2 order by position limit $3`,
    [options.after, options.before, options.limit],
  );
  return rows.map((row) => ({
    runId: row.id,
    tenant: row.tenant,
    threadId: row.thread_id,
    assistantId: row.assistant_id,
    status: row.status,
    metadata: row.metadata,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    cancelAskedAt: row.cancel_asked_at,
    claimed: row.epoch > 0,
    position: row.position,
  }));
};

export const runStore = (
  db: Database,
): Omit<RunStore, 'readEvents' | 'watchEvents' | 'hearsOthers' | 'prune'> => ({
  createRun: (tenant, run) => createRun(db, tenant, run),
  removeUnclaimed: (runId) => removeUnclaimed(db, runId),
  vouchForRun: (runId) => vouchForRun(db, runId),
  getRun: runReader(db),
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
  async updateRun(tenant, threadId, runId, params) {
    const row = await updateMetadata<RunRow>(db, 'runs', { id: runId, tenant, threadId }, params.metadata);
    if (row === undefined) throw apiErrors.notFound('run', runId);
    return runView(row);
  },
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
  runForSubmit: (tenant, threadId, runId, about) => runForSubmit(db, [tenant, threadId, runId], about),
  markCancelling: (tenant, threadId, runId, now) => markCancelling(db, [tenant, threadId, runId], now),
  liveRuns: (options) => liveRuns(db, options),
});
