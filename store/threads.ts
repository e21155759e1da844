/**
 * Assistants, threads and messages: objects that exist without a run.
 *
 * Rule: adding messages, starting a run and deleting a thread all lock the thread's row before they check for a live
 * run, so the result of the check holds until the write.
 * Imported within `store/` only.
 */
import type {
  AssistantParams,
  MessageParams,
  PageQuery,
  ThreadParams,
} from '../protocol/ports/runs-service.ts';
import { apiErrors } from '../protocol/errors.ts';
import { mintId } from '../protocol/wire/ids.ts';
import type { ThreadStore } from '../protocol/ports/thread-store.ts';
import { ACTIVE_STATUSES, type MessageContent, type Metadata, type Page } from '../protocol/wire/objects.ts';
import type { Database, Sql } from './database.ts';
import { readPage, readTenantPage } from './paging.ts';
import type { AssistantRow, MessageRow, ThreadRow } from './schema.ts';
import { assistantView, messageView, threadView } from './views.ts';

export const LIVE = `status in (${ACTIVE_STATUSES.map((status) => `'${status}'`).join(', ')})`;

const json = (value: unknown): string => JSON.stringify(value);

type Body = AssistantRow['body'];

const assistantBody = (params: Partial<AssistantParams>, before: Body | null): Body => ({
  name: params.name === undefined ? (before?.name ?? null) : params.name,
  description: params.description === undefined ? (before?.description ?? null) : params.description,
  model: params.model ?? before?.model ?? '',
  instructions: params.instructions === undefined ? (before?.instructions ?? null) : params.instructions,
  tools: params.tools ?? before?.tools ?? [],
  tool_resources: {},
  metadata: params.metadata === undefined ? (before?.metadata ?? {}) : (params.metadata ?? {}),
  temperature: params.temperature === undefined ? (before?.temperature ?? null) : params.temperature,
  top_p: params.top_p === undefined ? (before?.top_p ?? null) : params.top_p,
  response_format:
    params.response_format === undefined
      ? (before?.response_format ?? 'auto')
      : (params.response_format ?? 'auto'),
  reasoning_effort:
    params.reasoning_effort === undefined ? (before?.reasoning_effort ?? null) : params.reasoning_effort,
});

/** A string, or parts from the API layer; `text` may be the request's plain string. */
export const messageContent = (content: MessageParams['content']): MessageContent[] => {
  if (typeof content === 'string') return [{ type: 'text', text: { value: content, annotations: [] } }];
  return content.map((part) => {
    const text: unknown = part.type === 'text' ? part.text : null;
    return typeof text === 'string'
      ? { type: 'text' as const, text: { value: text, annotations: [] } }
      : part;
  });
};

export const insertThread = async (
  sql: Sql,
  tenant: string,
  params: ThreadParams,
  now: number,
  broughtBy: string | null,
): Promise<ThreadRow> => {
  const [row] = await sql.query<ThreadRow>(
    'insert into threads (id, tenant, created_at, metadata, brought_by) values ($1, $2, $3, $4::json, $5) returning *',
    [mintId('thread'), tenant, now, json(params.metadata ?? {}), broughtBy],
  );
  if (row === undefined) throw new Error('insert into threads returned no row');
  await insertMessages(sql, row, params.messages ?? [], now, broughtBy);
  return row;
};

export const insertMessages = async (
  sql: Sql,
  thread: Pick<ThreadRow, 'id' | 'tenant'>,
  messages: readonly MessageParams[],
  now: number,
  broughtBy: string | null,
): Promise<MessageRow[]> => {
  if (messages.length === 0) return [];
  return sql.query<MessageRow>(
    `insert into messages (id, tenant, thread_id, created_at, role, status, content, metadata, brought_by, completed_at)
     select m.id, $1, $2, $3, m.role, 'completed', m.content::json, m.metadata::json, $4, $3
     from unnest($5::text[], $6::text[], $7::text[], $8::text[]) with ordinality as m (id, role, content, metadata, ord)
     order by m.ord returning *`,
    [
      thread.tenant,
      thread.id,
      now,
      broughtBy,
      messages.map(() => mintId('msg')),
      messages.map(({ role }) => role),
      messages.map(({ content }) => json(messageContent(content))),
      messages.map(({ metadata }) => json(metadata ?? {})),
    ],
    'insert-messages',
  );
};

/** Locks the thread and returns it with its live run, if any. */
export const lockThread = async (
  sql: Sql,
  tenant: string,
  id: string,
): Promise<{ thread: ThreadRow; liveRun: string | null }> => {
  // Sent together and run in this order: the second sees what was committed while the first waited for the lock.
  const [[thread], [live]] = await Promise.all([
    sql.query<ThreadRow>(
      'select * from threads where id = $1 and tenant = $2 for no key update',
      [id, tenant],
      'lock-thread',
    ),
    sql.query<{ id: string }>(`select id from runs where thread_id = $1 and ${LIVE}`, [id], 'live-run'),
  ]);
  if (thread === undefined) throw apiErrors.notFound('thread', id);
  return { thread, liveRun: live?.id ?? null };
};

export const requireThread = async (sql: Sql, tenant: string, id: string): Promise<ThreadRow> => {
  const [row] = await sql.query<ThreadRow>('select * from threads where id = $1 and tenant = $2', [
    id,
    tenant,
  ]);
  if (row === undefined) throw apiErrors.notFound('thread', id);
  return row;
};

export const requireAssistant = async (sql: Sql, tenant: string, id: string): Promise<AssistantRow> => {
  const [row] = await sql.query<AssistantRow>('select * from assistants where id = $1 and tenant = $2', [
    id,
    tenant,
  ]);
  if (row === undefined) throw apiErrors.notFound('assistant', id);
  return row;
};

/** `undefined` leaves metadata as it is, null empties it. */
export const updateMetadata = async <Row>(
  sql: Sql,
  table: 'threads' | 'messages' | 'runs',
  where: { id: string; tenant: string; threadId?: string },
  metadata: Metadata | null | undefined,
): Promise<Row | undefined> => {
  const [row] = await sql.query<Row>(
    `update ${table} set metadata = coalesce($3::json, metadata) where id = $1 and tenant = $2
     ${where.threadId === undefined ? '' : 'and thread_id = $4'} returning *`,
    [
      where.id,
      where.tenant,
      metadata === undefined ? null : json(metadata ?? {}),
      ...(where.threadId === undefined ? [] : [where.threadId]),
    ],
  );
  return row;
};

/** A page of a thread's rows; an empty page may mean that the thread does not exist. */
export const pageOfThread = async <T>(
  sql: Sql,
  tenant: string,
  threadId: string,
  page: Promise<Page<T>>,
): Promise<Page<T>> => {
  const found = await page;
  if (found.data.length === 0) await requireThread(sql, tenant, threadId);
  return found;
};

const assistantsOf = (
  db: Database,
): Pick<
  ThreadStore,
  'createAssistant' | 'listAssistants' | 'getAssistant' | 'updateAssistant' | 'deleteAssistant'
> => ({
  async createAssistant(tenant, params, now) {
    const [row] = await db.query<AssistantRow>(
      'insert into assistants (id, tenant, created_at, body) values ($1, $2, $3, $4::json) returning *',
      [mintId('asst'), tenant, now, json(assistantBody(params, null))],
    );
    if (row === undefined) throw new Error('insert into assistants returned no row');
    return assistantView(row);
  },
  listAssistants: (tenant, query) =>
    readTenantPage(db, tenant, { table: 'assistants', kind: 'assistant', view: assistantView }, query),
  getAssistant: async (tenant, id) => assistantView(await requireAssistant(db, tenant, id)),
  updateAssistant: (tenant, id, params) =>
    db.transaction(async (sql) => {
      const [row] = await sql.query<AssistantRow>(
        'select * from assistants where id = $1 and tenant = $2 for update',
        [id, tenant],
      );
      if (row === undefined) throw apiErrors.notFound('assistant', id);
      row.body = assistantBody(params, row.body);
      await sql.query('update assistants set body = $2::json where id = $1', [id, json(row.body)]);
      return assistantView(row);
    }),
  async deleteAssistant(tenant, id) {
    const rows = await db.query('delete from assistants where id = $1 and tenant = $2 returning id', [
      id,
      tenant,
    ]);
    if (rows.length === 0) throw apiErrors.notFound('assistant', id);
    return { id, object: 'assistant.deleted', deleted: true };
  },
});

const messagesOf = (
  db: Database,
): Pick<
  ThreadStore,
  'createMessage' | 'listMessages' | 'getMessage' | 'updateMessage' | 'deleteMessage'
> => ({
  createMessage: (tenant, threadId, params, now) =>
    db.transaction(async (sql) => {
      const { thread, liveRun } = await lockThread(sql, tenant, threadId);
      if (liveRun !== null) throw apiErrors.messageWhileActive(threadId, liveRun);
      const [row] = await insertMessages(sql, thread, [params], now, null);
      if (row === undefined) throw new Error('insert into messages returned no row');
      return messageView(row);
    }),
  listMessages: (tenant, threadId, query: PageQuery & { runId?: string }) =>
    pageOfThread(
      db,
      tenant,
      threadId,
      readPage<MessageRow, ReturnType<typeof messageView>>(
        db,
        {
          table: 'messages',
          where: `thread_id = $1 and tenant = $2${query.runId === undefined ? '' : ' and run_id = $3'}`,
          params: [threadId, tenant, ...(query.runId === undefined ? [] : [query.runId])],
          view: messageView,
          notFound: (id) => apiErrors.notFound('message', id),
        },
        query,
      ),
    ),
  async getMessage(tenant, threadId, id) {
    const [row] = await db.query<MessageRow>(
      'select * from messages where id = $1 and tenant = $2 and thread_id = $3',
      [id, tenant, threadId],
    );
    if (row === undefined) throw apiErrors.notFound('message', id);
    return messageView(row);
  },
  async updateMessage(tenant, threadId, id, params) {
    const row = await updateMetadata<MessageRow>(db, 'messages', { id, tenant, threadId }, params.metadata);
    if (row === undefined) throw apiErrors.notFound('message', id);
    return messageView(row);
  },
  async deleteMessage(tenant, threadId, id) {
    const [row] = await db.query<Pick<MessageRow, 'id'>>(
      "delete from messages where id = $1 and tenant = $2 and thread_id = $3 and status <> 'in_progress' returning id",
      [id, tenant, threadId],
    );
    if (row !== undefined) return { id, object: 'thread.message.deleted', deleted: true };
    const [open] = await db.query<Pick<MessageRow, 'run_id'>>(
      'select run_id from messages where id = $1 and tenant = $2 and thread_id = $3',
      [id, tenant, threadId],
    );
    if (open === undefined) throw apiErrors.notFound('message', id);
    // Its run still writes to it.
    throw apiErrors.deleteWhileActive(id, open.run_id ?? '');
  },
});

export const threadStore = (db: Database): Omit<ThreadStore, 'ownerOf'> => ({
  ...assistantsOf(db),
  ...messagesOf(db),
  createThread: (tenant, params, now) =>
    db.transaction(async (sql) => threadView(await insertThread(sql, tenant, params, now, null))),
  listThreads: (tenant, query) =>
    readTenantPage(db, tenant, { table: 'threads', kind: 'thread', view: threadView }, query),
  getThread: async (tenant, id) => threadView(await requireThread(db, tenant, id)),
  async updateThread(tenant, id, params) {
    const row = await updateMetadata<ThreadRow>(db, 'threads', { id, tenant }, params.metadata);
    if (row === undefined) throw apiErrors.notFound('thread', id);
    return threadView(row);
  },
  deleteThread: (tenant, id) =>
    db.transaction(async (sql) => {
      const { liveRun } = await lockThread(sql, tenant, id);
      if (liveRun !== null) throw apiErrors.deleteWhileActive(id, liveRun);
      await sql.query('delete from run_events where run_id in (select id from runs where thread_id = $1)', [
        id,
      ]);
      await sql.query('delete from threads where id = $1', [id]);
      return { id, object: 'thread.deleted', deleted: true };
    }),
});
