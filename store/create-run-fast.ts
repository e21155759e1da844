/**
 * Creates a run by one statement that commits by itself, in the usual case: the assistant is the version that this process
 * has read, and the thread is new or has no live run.
 *
 * Rule: in every other case the statement does nothing, and the transaction of `create-run.ts` decides.
 * Imported within `store/` only.
 */
import { mintId } from '../protocol/wire/ids.ts';
import type { SequencedEvent } from '../protocol/wire/events.ts';
import { apiErrors } from '../protocol/errors.ts';
import type { CreatedRun, NewRun } from '../protocol/ports/run-store.ts';
import type { Run } from '../protocol/wire/objects.ts';
import { CHANNEL, type Database, type Sql } from './database.ts';
import { runConfig } from './run-config.ts';
import type { AssistantRow, RunRow, ThreadRow } from './schema.ts';
import { LIVE, messageContent } from './threads.ts';
import { runView, threadView } from './views.ts';

const json = (value: unknown): string => JSON.stringify(value);

/** The first events of a run. */
export const firstEvents = (view: Run): SequencedEvent[] => [
  { seq: 1, event: 'thread.run.created', data: view },
  { seq: 2, event: 'thread.run.queued', data: view },
];

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
const PARAMETER_POSITIONS = {
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

const startStatement = (place: keyof typeof PARAMETER_POSITIONS): string => `
  with asked as (select id from assistants where id = $3 and tenant = $2 and xmin::text = $4),
  ${PARAMETER_POSITIONS[place]},
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
export const createRunFast = async (
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
  const events = firstEvents(view);
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

export type VersionedAssistant = AssistantRow & { version: string };

export const readAssistant = async (sql: Sql, tenant: string, id: string): Promise<VersionedAssistant> => {
  const [row] = await sql.query<VersionedAssistant>(
    'select *, xmin::text as version from assistants where id = $1 and tenant = $2',
    [id, tenant],
    'read-assistant',
  );
  if (row === undefined) throw apiErrors.notFound('assistant', id);
  return row;
};

/** Size of the cache of assistants; the one that was read longest ago is dropped first. */
const CACHE_SIZE = 500;
const MAX_CACHED_CHARS = 16_384;

export const createAssistantCache = () => {
  const kept = new Map<string, VersionedAssistant>();
  return {
    of: (tenant: string, id: string): VersionedAssistant | undefined => kept.get(`${tenant} ${id}`),
    keep: (row: VersionedAssistant): void => {
      const key = `${row.tenant} ${row.id}`;
      kept.delete(key);
      if (json(row.body).length > MAX_CACHED_CHARS) return;
      if (kept.size >= CACHE_SIZE)
        for (const [oldest] of kept) if (kept.size >= CACHE_SIZE) kept.delete(oldest);
      kept.set(key, row);
    },
  };
};
