/**
 * The tables, as drizzle describes them. Migrations are generated from this file (`drizzle-kit generate`); rows are
 * typed by it. Queries are hand-written SQL elsewhere, so property names are the column names.
 *
 * Rule: whatever a caller, a model or a tool wrote lives in `json` columns. `text` and `jsonb` refuse U+0000 and lone
 * surrogates, and both do occur in tool outputs; `json` keeps the escaped text as it came.
 * Times are unix milliseconds. `position` is one sequence for all tables, so messages and rounds of a thread have an
 * order between them, and paging does not depend on clocks.
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
import type { Decision } from '../protocol/decisions.ts';
import type { RunConfig } from '../protocol/ports/run-store.ts';
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
const position = () =>
  bigint({ mode: 'number' })
    .notNull()
    .default(sql`nextval('positions')`);
const time = () => bigint({ mode: 'number' });
/** Bytes of the JSON that the row holds, kept by a trigger (`0002`): what pages and tenants are measured by. null: an older row. */
const bytes = () => integer();

export const assistants = pgTable(
  'assistants',
  {
    id: text().primaryKey(),
    tenant: text().notNull(),
    position: position(),
    created_at: time().notNull(),
    /** The wire object without `id`, `object` and `created_at`; temperature and the like are null when not given. */
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
    /** The run it was created with, in one request. */
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
    /** Set on messages that came with a run: `additional_messages`, or the thread of a create-thread-and-run. */
    brought_by: text(),
    /** The turn that wrote it: equals the round whose calls it introduces, if it does. */
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
    /** When a terminal status was reached, whichever. */
    ended_at: time(),
    /** When somebody asked to cancel. */
    cancel_asked_at: time(),
    config: json().$type<RunConfig>().notNull(),
    metadata: json().$type<Metadata>().notNull(),
    /** Unanswered external calls of the open round; null = nothing is asked of the API's caller. */
    required: json().$type<WireToolCall[]>(),
    last_error: json().$type<WireLastError>(),
    incomplete_reason: text(),
    /** Summed over turns; null = the model server never told. */
    usage: json().$type<WireUsage>(),
    /** Number of the newest round of calls; 0 before the first. */
    round: integer().notNull().default(0),
    /** Fencing: every attempt of a worker raises it, and a write that names an older one is refused. */
    epoch: integer().notNull().default(0),
    /** The newest event's number. */
    event_seq: bigint({ mode: 'number' }).notNull().default(0),
    /** What retention has taken from the event log: 0 nothing, 1 the deltas, 2 everything. */
    pruned: integer().notNull().default(0),
    bytes: bytes(),
  },
  (table) => [
    index('runs_of_tenant').on(table.tenant, table.bytes),
    index('runs_live_of_tenant')
      .on(table.tenant)
      .where(sql`status in ('queued', 'in_progress', 'requires_action', 'cancelling')`),
    /** The thread lock: at most one live run per thread, whoever inserts it. */
    uniqueIndex('runs_live')
      .on(table.thread_id)
      .where(sql`status in ('queued', 'in_progress', 'requires_action', 'cancelling')`),
    index('runs_page').on(table.thread_id, table.position),
    index('runs_live_by_age')
      .on(table.position)
      .where(sql`status in ('queued', 'in_progress', 'requires_action', 'cancelling')`),
    // No index may name event_seq: it changes with every flush, and those updates are to stay heap-only.
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
    /** In the model's order, with the plans that were decided when the round settled. */
    calls: json().$type<PlannedCall[]>().notNull(),
    /** Call id → output. */
    outputs: json().$type<Record<string, string>>().notNull(),
    /** All outputs are there and the next turn may begin. */
    done: boolean().notNull().default(false),
    /** `event_seq` before the external calls' acceptance: where the submitter's stream begins. */
    accepted_after: bigint({ mode: 'number' }),
    /** The request that is told "accepted"; every other one is late. */
    accepted_by: text(),
    bytes: bytes(),
    /** What the model's provider must get back with this round; null = nothing, or an older process wrote the row. */
    provider_turn: json().$type<ProviderTurn>(),
  },
  (table) => [
    primaryKey({ columns: [table.run_id, table.round] }),
    index('rounds_of_thread').on(table.thread_id, table.position),
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
  },
  (table) => [
    index('steps_page').on(table.run_id, table.position),
    index('steps_of_tenant').on(table.tenant, table.bytes),
  ],
);

export const runEvents = pgTable(
  'run_events',
  {
    // No foreign key: it would lock the run's row once more for every flushed delta.
    run_id: text().notNull(),
    seq: bigint({ mode: 'number' }).notNull(),
    event: text().notNull(),
    data: json().notNull(),
    bytes: bytes(),
  },
  (table) => [primaryKey({ columns: [table.run_id, table.seq] })],
);

export const decisions = pgTable(
  'decisions',
  {
    /** Made of run, round, call and time, so that a repeated write finds the first one. */
    id: text().primaryKey(),
    // No foreign key: who deletes a thread does not delete what was decided about its calls.
    tenant: text().notNull(),
    thread_id: text().notNull(),
    run_id: text().notNull(),
    position: position(),
    /** The tool's name, which grants of keys are compared with. */
    tool: text().notNull(),
    decided_at: time().notNull(),
    body: json().$type<Decision>().notNull(),
  },
  (table) => [
    index('decisions_page').on(table.run_id, table.position),
    index('decisions_of_thread').on(table.thread_id),
  ],
);

export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    tenant: text().notNull(),
    /** SHA-256 of the key as sent. */
    key: text().notNull(),
    /** SHA-256 of what was asked with it. */
    request: text().notNull(),
    run_id: text().notNull(),
    created_at: time().notNull(),
    /** A later request under this key told of the run: the one that created it may not take it back any more. */
    vouched: boolean().notNull().default(false),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.key] }),
    index('idempotency_keys_by_age').on(table.created_at),
  ],
);

export const facts = pgTable('facts', {
  name: text().primaryKey(),
  value: text().notNull(),
});

type Row<Table extends { $inferSelect: unknown }> = Table['$inferSelect'];
export type AssistantRow = Row<typeof assistants>;
export type ThreadRow = Row<typeof threads>;
export type MessageRow = Row<typeof messages>;
export type RunRow = Row<typeof runs>;
export type RoundRow = Row<typeof rounds>;
export type StepRow = Row<typeof steps>;
export type DecisionRow = Row<typeof decisions>;
