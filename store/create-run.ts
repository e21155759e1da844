/**
 * Creates a run's rows, and rolls them back when the workflow cannot be started.
 *
 * Rule: the run's row, its thread's lock, its messages and first events appear together or not at all. The partial
 * unique index `runs_live` is the lock; locking the thread's row only gives a better error. Usually the thread exists
 * and the assistant is unchanged since this process read it: then one statement does all and commits by itself.
 * Otherwise it does nothing, and a transaction handles all cases.
 * Imported within `store/` only.
 */
import { apiErrors } from '../protocol/errors.ts';
import type { SequencedEvent } from '../protocol/wire/events.ts';
import { mintId } from '../protocol/wire/ids.ts';
import type { RunParams } from '../protocol/ports/runs-service.ts';
import type { CreatedRun, NewRun, RunStore } from '../protocol/ports/run-store.ts';
import type { RunConfig } from '../protocol/ports/turn-store.ts';
import type { Run } from '../protocol/wire/objects.ts';
import { CHANNEL, type Database, type Sql } from './database.ts';
import { violatedIndex } from './errors.ts';
import type { AssistantRow, RunRow, ThreadRow } from './schema.ts';
import { insertMessages, insertThread, LIVE, lockThread, messageContent, requireThread } from './threads.ts';
import { writeRunUpdate } from './update-run.ts';
import { runView, threadView } from './views.ts';

const json = (value: unknown): string => JSON.stringify(value);

/** Parameters of the run first, then of the assistant, then the API's defaults. */
export const runConfig = (
  params: RunParams,
  assistant: AssistantRow['body'],
  { grantedTools, offerTools = false }: Pick<NewRun, 'grantedTools' | 'offerTools'>,
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
    // A run with `tools: []` has no tools.
    ...(offerTools && params.tools == null && assistant.tools.length === 0 ? { offer_tools: true } : {}),
  };
};

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

const eventsOf = (view: Run): SequencedEvent[] => [
  { seq: 1, event: 'thread.run.created', data: view },
  { seq: 2, event: 'thread.run.queued', data: view },
];

/** The transaction for all cases. */
const insertRun = async (
  sql: Sql,
  tenant: string,
  run: NewRun,
  onAssistant: (row: VersionedAssistant) => void,
): Promise<CreatedRun> => {
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
  let assistant: VersionedAssistant;
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
  onAssistant(assistant);
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
      json(runConfig(params, assistant.body, run)),
      json(params.metadata ?? {}),
    ],
  );
  if (row === undefined) throw new Error('insert into runs returned no row');
  if (run.idempotency !== null)
    await sql.query(
      `insert into idempotency_keys (tenant, key, request, run_id, created_at) values ($1, $2, $3, $4, $5)
       on conflict (tenant, key) do update set request = excluded.request, run_id = excluded.run_id, created_at = excluded.created_at, vouched = false`,
      [tenant, run.idempotency.key, run.idempotency.request, run.runId, now],
    );
  const view = runView(row);
  const events = eventsOf(view);
  row.event_seq = events.length;
  await writeRunUpdate(sql, row, 0, events);
  return {
    run: view,
    thread: threadView(thread),
    eventsAfter: 0,
    initialEvents: events,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    existing: null,
  };
};

/** A run's row as it is inserted. The database assigns `position`; no response depends on it. */
const newRow = (
  tenant: string,
  run: NewRun,
  { threadId, assistant }: { threadId: string; assistant: AssistantRow },
): RunRow => ({
  id: run.runId,
  tenant,
  thread_id: threadId,
  assistant_id: assistant.id,
  position: 0,
  created_at: run.now,
  status: 'queued',
  started_at: null,
  expires_at: run.expiresAt,
  cancelled_at: null,
  failed_at: null,
  completed_at: null,
  ended_at: null,
  cancel_asked_at: null,
  config: runConfig(run.params, assistant.body, run),
  metadata: run.params.metadata ?? {},
  required: null,
  last_error: null,
  incomplete_reason: null,
  usage: null,
  round: 0,
  epoch: 0,
  event_seq: 2,
  pruned: 0,
  bytes: null,
});

/** An existing thread is locked and must have no live run; a new one is inserted. $16: its metadata. */
const PLACES = {
  known: `
  locked as (
    select t.* from threads t, asked where t.id = $5 and t.tenant = $2 and $16::text is null for no key update of t
  ),
  place as (
    select * from locked where not exists (select 1 from runs where thread_id = $5 and ${LIVE})
  )`,
  created: `
  place as (
    insert into threads (id, tenant, created_at, metadata, brought_by)
    select $5, $2, $6, $16::json, $1 from asked returning *
  )`,
} as const;

const startStatement = (place: keyof typeof PLACES): string => `
  with asked as (select id from assistants where id = $3 and tenant = $2 and xmin::text = $4),
  ${PLACES[place]},
  said as (
    insert into messages (id, tenant, thread_id, created_at, role, status, content, metadata, brought_by, completed_at)
    select m.id, $2, place.id, $6, m.role, 'completed', m.content::json, m.metadata::json, $1, $6
    from place, unnest($10::text[], $11::text[], $12::text[], $13::text[]) with ordinality as m (id, role, content, metadata, ord)
    order by m.ord
  ),
  made as (
    insert into runs (id, tenant, thread_id, assistant_id, created_at, status, expires_at, config, metadata, event_seq)
    select $1, $2, place.id, $3, $6, 'queued', $7, $8::json, $9::json, 2 from place
  ),
  logged as (
    insert into run_events (run_id, seq, event, data)
    select $1, e.ord, e.event, e.data::json
    from place, unnest($14::text[], $15::text[]) with ordinality as e (event, data, ord)
  )
  select place.*, pg_notify('${CHANNEL}', $1 || ' 2') from place`;

const START = { known: startStatement('known'), created: startStatement('created') } as const;

/** One statement, committed by itself. null: the case is not the usual one, and nothing was done. */
const createRunFast = async (
  db: Database,
  tenant: string,
  run: NewRun,
  assistant: VersionedAssistant,
): Promise<CreatedRun | null> => {
  const { params, now, thread } = run;
  const place = 'create' in thread ? 'created' : 'known';
  const threadId = 'create' in thread ? mintId('thread') : thread.id;
  const said = [
    ...('create' in thread ? (thread.create.messages ?? []) : []),
    ...(params.additional_messages ?? []),
  ];
  const row = newRow(tenant, run, { threadId, assistant });
  const view = runView(row);
  const data = json(view);
  const events = eventsOf(view);
  const [found] = await db.query<ThreadRow>(
    START[place],
    [
      run.runId,
      tenant,
      assistant.id,
      assistant.version,
      threadId,
      now,
      run.expiresAt,
      json(row.config),
      json(row.metadata),
      said.map(() => mintId('msg')),
      said.map(({ role }) => role),
      said.map(({ content }) => json(messageContent(content))),
      said.map(({ metadata }) => json(metadata ?? {})),
      events.map(({ event }) => event),
      events.map(() => data),
      'create' in thread ? json(thread.create.metadata ?? {}) : null,
    ],
    `start-${place}`,
  );
  return found === undefined
    ? null
    : {
        run: view,
        thread: threadView(found),
        eventsAfter: 0,
        initialEvents: events,
        createdAt: now,
        expiresAt: run.expiresAt,
        existing: null,
      };
};

type VersionedAssistant = AssistantRow & { version: string };

const readAssistant = async (sql: Sql, tenant: string, id: string): Promise<VersionedAssistant> => {
  const [row] = await sql.query<VersionedAssistant>(
    'select *, xmin::text as version from assistants where id = $1 and tenant = $2',
    [id, tenant],
    'read-assistant',
  );
  if (row === undefined) throw apiErrors.notFound('assistant', id);
  return row;
};

/** Size of the cache of assistants; the one that was read longest ago is dropped first. */
const KEPT = 500;
const KEPT_CHARS = 16_384;

const assistantCache = () => {
  const kept = new Map<string, VersionedAssistant>();
  return {
    of: (tenant: string, id: string): VersionedAssistant | undefined => kept.get(`${tenant} ${id}`),
    keep: (row: VersionedAssistant): void => {
      const key = `${row.tenant} ${row.id}`;
      kept.delete(key);
      if (json(row.body).length > KEPT_CHARS) return;
      if (kept.size >= KEPT) for (const [oldest] of kept) if (kept.size >= KEPT) kept.delete(oldest);
      kept.set(key, row);
    },
  };
};

const createRun = async (
  db: Database,
  tenant: string,
  run: NewRun,
  assistants: ReturnType<typeof assistantCache>,
): Promise<CreatedRun> => {
  try {
    const known = run.idempotency === null ? assistants.of(tenant, run.params.assistant_id) : undefined;
    const created =
      (known === undefined ? null : await createRunFast(db, tenant, run, known)) ??
      (await db.transaction((sql) => insertRun(sql, tenant, run, assistants.keep)));
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

/** Locks the run's row, as the rollback does, so that one of the two comes first. */
const acknowledgeRun = async (db: Database, runId: string): Promise<boolean> => {
  const vouched = await db.query(
    `with row as (select id from runs where id = $1 for no key update)
     update idempotency_keys set vouched = true from row where run_id = row.id returning 1`,
    [runId],
  );
  return vouched.length > 0;
};

export const startStore = (
  db: Database,
): Pick<RunStore, 'createRun' | 'removeUnclaimed' | 'acknowledgeRun'> => {
  const assistants = assistantCache();
  return {
    createRun: (tenant, run) => createRun(db, tenant, run, assistants),
    removeUnclaimed: (runId) => removeUnclaimed(db, runId),
    acknowledgeRun: (runId) => acknowledgeRun(db, runId),
  };
};
