/**
 * Creates a run's rows.
 *
 * Rule: the run's row, its thread's lock, its messages and first events appear together or not at all. The partial
 * unique index `runs_live` is the lock; locking the thread's row only gives a better error.
 * Imported within `store/` only.
 */
import { apiErrors } from '../protocol/errors.ts';
import type { StreamEvent } from '../protocol/wire/events.ts';
import type { CreatedRun, NewRun, RunStore } from '../protocol/ports/run-store.ts';
import type { Database, Sql } from './database.ts';
import { violatedIndex } from './errors.ts';
import { acknowledgeRun, removeUnclaimed } from './roll-back-run.ts';
import { runConfig } from './run-config.ts';
import type { AssistantRow, RunRow, ThreadRow } from './schema.ts';
import { insertMessages, insertThread, LIVE, lockThread, requireThread } from './threads.ts';
import { writeRunUpdate } from './update-run.ts';
import { runView, threadView } from './views.ts';

const json = (value: unknown): string => JSON.stringify(value);

/** The run that an earlier request with this key created; 400 when that request was different. */
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

const readAssistant = async (sql: Sql, tenant: string, id: string): Promise<AssistantRow> => {
  const [row] = await sql.query<AssistantRow>(
    'select * from assistants where id = $1 and tenant = $2',
    [id, tenant],
    'read-assistant',
  );
  if (row === undefined) throw apiErrors.notFound('assistant', id);
  return row;
};

const insertRun = async (sql: Sql, tenant: string, run: NewRun): Promise<CreatedRun> => {
  if (run.idempotency !== null) {
    // Two requests with one key run one after the other, so the second finds the run of the first.
    await sql.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [
      `${tenant} ${run.idempotency.key}`,
    ]);
    const existing = await byKey(sql, tenant, run.idempotency);
    if (existing !== null) return existing;
  }
  const { now, params } = run;
  const asked = readAssistant(sql, tenant, params.assistant_id);
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
  const config = runConfig(params, assistant.body, run);
  run.admit?.(config);
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
      json(config),
      json(params.metadata ?? {}),
    ],
    'insert-run',
  );
  if (row === undefined) throw new Error('insert into runs returned no row');
  if (run.idempotency !== null)
    await sql.query(
      `insert into idempotency_keys (tenant, key, request, run_id, created_at) values ($1, $2, $3, $4, $5)
       on conflict (tenant, key) do update set request = excluded.request, run_id = excluded.run_id, created_at = excluded.created_at, vouched = false`,
      [tenant, run.idempotency.key, run.idempotency.request, run.runId, now],
    );
  const view = runView(row);
  const events: StreamEvent[] = [
    { event: 'thread.run.created', data: view },
    { event: 'thread.run.queued', data: view },
  ];
  row.event_seq = events.length;
  await writeRunUpdate(sql, row, 0, events);
  return {
    run: view,
    thread: threadView(thread),
    eventsAfter: 0,
    initialEvents: events.map((event, index) => ({ seq: index + 1, ...event })),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    existing: null,
  };
};

const createRun = async (db: Database, tenant: string, run: NewRun): Promise<CreatedRun> => {
  try {
    const created = await db.transaction((sql) => insertRun(sql, tenant, run));
    db.announcements.announce(run.runId, created.eventsAfter + 1, 'change');
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

export const startStore = (
  db: Database,
): Pick<RunStore, 'createRun' | 'removeUnclaimed' | 'acknowledgeRun'> => ({
  createRun: (tenant, run) => createRun(db, tenant, run),
  removeUnclaimed: (runId) => removeUnclaimed(db, runId),
  acknowledgeRun: (runId) => acknowledgeRun(db, runId),
});
