/**
 * The tables, as drizzle describes them. Migrations are generated from this file (`drizzle-kit generate`); rows are typed by
 * it. Queries are hand-written SQL elsewhere, so property names are column names.
 *
 * Rule: text from a caller, a model or a tool is stored in `json` columns, which keep the escaped text. `text` and `jsonb`
 * refuse U+0000 and lone surrogates. Times are unix milliseconds. `position` is one sequence for all tables, so that
 * messages and rounds of a thread are ordered, and paging does not depend on clocks.
 * Imported as types by `store/`; as values by drizzle-kit and the schema test only.
 */
import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  index,
  integer,
  json,
  pgSequence,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import type { ProviderTurn } from '../protocol/ports/model.ts';
import type { PlannedCall } from '../protocol/tool-calls.ts';
import type { RunConfig } from '../protocol/ports/turn-store.ts';
import type { AwaitedCall } from '../protocol/wire/decisions.ts';
import type {
  Assistant,
  FunctionTool,
  MessageContent,
  Metadata,
  RunStatus,
  StepDetails,
  StepStatus,
  WireLastError,
  WireToolCall,
  WireUsage,
} from '../protocol/wire/objects.ts';

/** `tools` as they were sent. */
type AssistantBody = Omit<Assistant, 'id' | 'object' | 'created_at' | 'tools'> & { tools: FunctionTool[] };

export const positions = pgSequence('positions');
export const position = () =>
  bigint({ mode: 'number' })
    .notNull()
    .default(sql`nextval('positions')`);
/** Of a run that has not ended. */
const LIVE = sql`status in ('queued', 'in_progress', 'requires_action', 'cancelling')`;
const ENDED = sql`ended_at is not null`;
export const time = () => bigint({ mode: 'number' });
/** Bytes of the JSON in the row, kept by a trigger (`0002`); pages and tenants are measured by it. null: an older row. */
export const bytes = () => integer();

export const assistants = pgTable(
  'assistants',
  {
    id: text().primaryKey(),
    tenant: text().notNull(),
    position: position(),
    created_at: time().notNull(),
    /** The wire object without `id`, `object` and `created_at`; absent parameters such as temperature are null. */
    body: json().$type<AssistantBody>().notNull(),
    bytes: bytes(),
  },
  (table) => [index('assistants_page').on(table.tenant, table.position)],
);

export const threads = pgTable(
  'threads',
  {
    id: text().primaryKey(),
    tenant: text().notNull(),
    position: position(),
    created_at: time().notNull(),
    metadata: json().$type<Metadata>().notNull(),
    /** The run that was created in the same request. */
    brought_by: text(),
  },
  (table) => [index('threads_page').on(table.tenant, table.position)],
);

export const messages = pgTable(
  'messages',
  {
    id: text().primaryKey(),
    tenant: text().notNull(),
    thread_id: text()
      .notNull()
      .references(() => threads.id, { onDelete: 'cascade' }),
    position: position(),
    created_at: time().notNull(),
    role: text().$type<'user' | 'assistant'>().notNull(),
    status: text().$type<'in_progress' | 'incomplete' | 'completed'>().notNull(),
    content: json().$type<MessageContent[]>().notNull(),
    metadata: json().$type<Metadata>().notNull(),
    assistant_id: text(),
    /** Set on messages that a run wrote. */
    run_id: text(),
    /** Set on messages created with a run: `additional_messages`, or the thread of a create-thread-and-run. */
    brought_by: text(),
    /** The turn that wrote it; equals the round of its calls, if it has any. */
    round: integer(),
    incomplete_reason: text(),
    completed_at: time(),
    incomplete_at: time(),
    bytes: bytes(),
  },
  (table) => [
    index('messages_of_tenant').on(table.tenant, table.bytes),
    index('messages_page').on(table.thread_id, table.position),
    index('messages_of_run')
      .on(table.run_id)
      .where(sql`run_id is not null`),
  ],
);

export const runs = pgTable(
  'runs',
  {
    id: text().primaryKey(),
    tenant: text().notNull(),
    thread_id: text()
      .notNull()
      .references(() => threads.id, { onDelete: 'cascade' }),
    assistant_id: text().notNull(),
    position: position(),
    created_at: time().notNull(),
    status: text().$type<RunStatus>().notNull(),
    started_at: time(),
    expires_at: time(),
    cancelled_at: time(),
    failed_at: time(),
    completed_at: time(),
    /** When any terminal status was reached. */
    ended_at: time(),
    /** When a cancel was requested. */
    cancel_asked_at: time(),
    config: json().$type<RunConfig>().notNull(),
    metadata: json().$type<Metadata>().notNull(),
    /** Open external calls of the round; null = the API's caller has nothing to answer. */
    required: json().$type<WireToolCall[]>(),
    /** Calls of the round that wait for a person or for the API's caller, decided ones with a mark; null = none. */
    awaiting: json().$type<(AwaitedCall & { decided?: true })[]>(),
    last_error: json().$type<WireLastError>(),
    incomplete_reason: text(),
    /** Summed over turns; null = the model server never reported it. */
    usage: json().$type<WireUsage>(),
    /** Number of the newest round of calls; 0 before the first. */
    round: integer().notNull().default(0),
    /** Fencing: every attempt of a worker raises it, and a write with an older value is refused. */
    epoch: integer().notNull().default(0),
    /** The sequence number of the newest event. */
    event_seq: bigint({ mode: 'number' }).notNull().default(0),
    /** What retention has removed from the event log: 0 nothing, 1 the deltas, 2 everything. */
    pruned: integer().notNull().default(0),
    bytes: bytes(),
    /** Models whose turns the run has, each once, in order; null = none, or an older process wrote the row. */
    models_used: json().$type<string[]>(),
  },
  (table) => [
    index('runs_of_tenant').on(table.tenant, table.bytes),
    index('runs_live_of_tenant').on(table.tenant).where(LIVE),
    /** The thread lock: at most one live run per thread. */
    uniqueIndex('runs_live').on(table.thread_id).where(LIVE),
    index('runs_page').on(table.thread_id, table.position),
    index('runs_page_of_tenant').on(table.tenant, table.position),
    index('runs_page_of_all').on(table.position),
    index('runs_live_by_age').on(table.position).where(LIVE),
    index('runs_page_of_assistant').on(table.assistant_id, table.position),
    index('runs_by_creation').on(table.created_at, table.tenant),
    index('runs_page_of_status').on(table.status, table.position).where(ENDED),
    index('runs_page_of_tenant_status').on(table.tenant, table.status, table.position).where(ENDED),
    index('runs_by_end').on(table.ended_at, table.status, table.tenant).where(ENDED),
    // No index may contain event_seq: every flush changes it, and those updates must stay heap-only.
    index('runs_unpruned')
      .on(table.ended_at)
      .where(sql`ended_at is not null and pruned < 2`),
  ],
);

export const rounds = pgTable(
  'rounds',
  {
    run_id: text()
      .notNull()
      .references(() => runs.id, { onDelete: 'cascade' }),
    round: integer().notNull(),
    thread_id: text().notNull(),
    position: position(),
    /** In the model's order, with the plans decided when the round settled. */
    calls: json().$type<PlannedCall[]>().notNull(),
    /** By call id. */
    outputs: json().$type<Record<string, string>>().notNull(),
    /** All outputs are there, and the next turn may begin. */
    done: boolean().notNull().default(false),
    /** `event_seq` before the external calls were accepted: the start of the submitter's stream. */
    accepted_after: bigint({ mode: 'number' }),
    /** The request that receives "accepted"; every other one is late. */
    accepted_by: text(),
    bytes: bytes(),
    /** What the model's provider must receive again; null = nothing, or an older process wrote the row. */
    provider_turn: json().$type<ProviderTurn>(),
    /** Its approvals have rows of their own; null = an older process wrote the row, and a pass adds them. */
    listed: boolean(),
  },
  (table) => [
    primaryKey({ columns: [table.run_id, table.round] }),
    index('rounds_of_thread').on(table.thread_id, table.position),
    // Late calls are looked for in these.
    index('rounds_follow_up')
      .on(table.run_id)
      .where(sql`done and calls::text like '%"onDeadline":"follow-up"%'`),
    index('rounds_unlisted')
      .on(table.run_id)
      .where(sql`listed is null and calls::text like '%"kind":"approval"%'`),
  ],
);

export const steps = pgTable(
  'steps',
  {
    id: text().primaryKey(),
    run_id: text()
      .notNull()
      .references(() => runs.id, { onDelete: 'cascade' }),
    tenant: text().notNull(),
    thread_id: text().notNull(),
    assistant_id: text().notNull(),
    position: position(),
    created_at: time().notNull(),
    kind: text().$type<'message' | 'calls'>().notNull(),
    round: integer().notNull(),
    status: text().$type<StepStatus>().notNull(),
    details: json().$type<StepDetails>().notNull(),
    last_error: json().$type<WireLastError>(),
    usage: json().$type<WireUsage>(),
    expires_at: time(),
    expired_at: time(),
    cancelled_at: time(),
    failed_at: time(),
    completed_at: time(),
    bytes: bytes(),
    /** The model that spoke; null = an older process wrote the row. */
    model: json().$type<string>(),
  },
  (table) => [
    index('steps_page').on(table.run_id, table.position),
    index('steps_of_tenant').on(table.tenant, table.bytes),
  ],
);

export const runEvents = pgTable(
  'run_events',
  {
    // No foreign key: it would lock the run's row again for every flushed delta.
    run_id: text().notNull(),
    seq: bigint({ mode: 'number' }).notNull(),
    event: text().notNull(),
    data: json().notNull(),
    bytes: bytes(),
  },
  (table) => [primaryKey({ columns: [table.run_id, table.seq] })],
);

type Row<Table extends { $inferSelect: unknown }> = Table['$inferSelect'];
export type AssistantRow = Row<typeof assistants>;
export type ThreadRow = Row<typeof threads>;
export type MessageRow = Row<typeof messages>;
export type RunRow = Row<typeof runs>;
export type RoundRow = Row<typeof rounds>;
export type StepRow = Row<typeof steps>;
