/**
 * The tables of approvals and decisions, as drizzle describes them. Rule: as in `schema.ts`, whose tables it refers to.
 * Imported as types by `store/`; as values by drizzle-kit and the schema test only.
 */
import { sql } from 'drizzle-orm';
import { bigint, boolean, index, integer, json, pgTable, text } from 'drizzle-orm/pg-core';
import type { Decision } from '../protocol/decisions.ts';
import type { Ballot } from '../protocol/rules/ballot.ts';
import type { ApprovalPolicy, OnDeadline, PlannedCall } from '../protocol/tool-calls.ts';
import type { ApprovalComment, ApprovalStatus } from '../protocol/wire/decisions.ts';
import { bytes, position, runs, time } from './schema.ts';

/** What the row of an approval holds of its call. */
type ApprovalCall = Pick<PlannedCall, 'arguments' | 'argumentsDigest' | 'digestRequired'> & {
  /** The policy of its plan that counts votes; absent = it has none. */
  approvers?: ApprovalPolicy;
};

/** A comment as it is stored; `at` in unix ms. */
export type StoredComment = Omit<ApprovalComment, 'verified'> & { verified?: true };

export const decisions = pgTable(
  'decisions',
  {
    /** Built from run, round, call and time, so that a repeated write finds the first one. */
    id: text().primaryKey(),
    // No foreign key: deleting a thread does not delete decisions about its calls.
    tenant: text().notNull(),
    thread_id: text().notNull(),
    run_id: text().notNull(),
    position: position(),
    /** The tool's name, which is compared with the grants of keys. */
    tool: text().notNull(),
    decided_at: time().notNull(),
    body: json().$type<Decision>().notNull(),
  },
  (table) => [
    index('decisions_page').on(table.run_id, table.position),
    index('decisions_of_thread').on(table.thread_id),
  ],
);

/** The default of columns that a change of the row sets again. */
const transaction = () =>
  bigint({ mode: 'number' })
    .notNull()
    .default(sql`pg_current_xact_id()::text::bigint`);

export const approvals = pgTable(
  'approvals',
  {
    /** Built from the run's position, the round and the place of the call. */
    id: text().primaryKey(),
    run_id: text()
      .notNull()
      .references(() => runs.id, { onDelete: 'cascade' }),
    tenant: text().notNull(),
    thread_id: text().notNull(),
    assistant_id: text().notNull(),
    position: position(),
    round: integer().notNull(),
    call_id: text().notNull(),
    /** `output`: a person sends the output of an external call. */
    kind: text().$type<'approval' | 'output'>().notNull().default('approval'),
    tool: text().notNull(),
    /** When the turn that made the call settled; null = not known. */
    asked_at: time(),
    /** Until when an answer is in time. Never changes; `NO_DEADLINE` = as long as the run lives. */
    due_at: time().notNull(),
    run_expires_at: time(),
    on_deadline: text().$type<OnDeadline>().notNull(),
    answer_within: time(),
    status: text().$type<ApprovalStatus>().notNull(),
    /** The run went on without this call's answer. */
    late: boolean().notNull().default(false),
    call: json().$type<ApprovalCall>().notNull(),
    /** The latest decision about the call; with `refusedEdit` it does not count. */
    decision: json().$type<Decision>(),
    /** Unix ms of `decision`: an older one changes nothing. */
    decided_at: time(),
    requested_by: text(),
    /** What the entries of the record make of the call; null = none does. */
    ballot: json().$type<Ballot>(),
    comments: json().$type<StoredComment[]>(),
    /** A pass compares the row with its round and decisions, since processes of an older version change these alone. */
    older: boolean().notNull().default(false),
    /** The place of the latest change among all changes: the transaction, and a number within it. */
    changed_in: transaction(),
    changed: position(),
    bytes: bytes(),
  },
  (table) => [
    index('approvals_of_run').on(table.run_id),
    index('approvals_waiting')
      .on(table.due_at, table.position)
      .where(sql`status = 'waiting'`),
    index('approvals_waiting_of_tenant')
      .on(table.tenant, table.due_at, table.position)
      .where(sql`status = 'waiting'`),
    index('approvals_past').on(table.status, table.changed),
    index('approvals_past_of_tenant').on(table.tenant, table.status, table.changed),
    index('approvals_changes').on(table.changed_in, table.changed),
    index('approvals_older')
      .on(table.run_id)
      .where(sql`older and status = 'waiting'`),
  ],
);

export type ApprovalRow = (typeof approvals)['$inferSelect'];
export type DecisionRow = (typeof decisions)['$inferSelect'];
