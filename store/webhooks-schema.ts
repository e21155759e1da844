/**
 * The tables of webhooks, as drizzle describes them: endpoints, the outbox of events, and their deliveries.
 *
 * Rule: triggers of the migration write events, in the transaction of the change, so that neither a process that dies nor
 * one of an older version leaves one out. Otherwise as in `schema.ts`.
 * Imported as types by `store/`; as values by drizzle-kit and the schema test only.
 */
import { sql } from 'drizzle-orm';
import { index, integer, json, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import type { OutboxData, StoredSecret } from '../protocol/ports/webhook-store.ts';
import type { DeliveryAttempt, DeliveryStatus, WebhookEventType } from '../protocol/wire/webhooks.ts';
import { position, time } from './schema.ts';

export const webhooks = pgTable(
  'webhooks',
  {
    id: text().primaryKey(),
    tenant: text().notNull(),
    position: position(),
    created_at: time().notNull(),
    url: text().notNull(),
    description: json().$type<string>(),
    /** null = all. */
    events: text().array().$type<WebhookEventType[]>(),
    /** The newest first. */
    secrets: json().$type<StoredSecret[]>().notNull(),
    disabled_at: time(),
    disabled_reason: text().$type<'by_operator' | 'gone'>(),
  },
  (table) => [
    index('webhooks_of_tenant').on(table.tenant, table.position),
    index('webhooks_page').on(table.position),
  ],
);

/** The number of the latest event of a run. Its row is the lock that orders the run's events. */
export const webhookSequences = pgTable('webhook_sequences', {
  run_id: text().primaryKey(),
  sequence: integer().notNull(),
});

export const webhookEvents = pgTable(
  'webhook_events',
  {
    /** The header `webhook-id`. */
    id: text().primaryKey(),
    tenant: text().notNull(),
    // No foreign key: deleting a thread does not delete what is still to be told.
    run_id: text(),
    sequence: integer().notNull(),
    type: text().notNull(),
    created_at: time().notNull(),
    data: json().$type<OutboxData>().notNull(),
  },
  (table) => [
    uniqueIndex('webhook_events_of_run').on(table.run_id, table.sequence),
    index('webhook_events_by_age').on(table.created_at),
  ],
);

export const webhookDeliveries = pgTable(
  'webhook_deliveries',
  {
    id: text().primaryKey(),
    tenant: text().notNull(),
    position: position(),
    created_at: time().notNull(),
    webhook_id: text()
      .notNull()
      .references(() => webhooks.id, { onDelete: 'cascade' }),
    event_id: text()
      .notNull()
      .references(() => webhookEvents.id, { onDelete: 'cascade' }),
    run_id: text(),
    sequence: integer().notNull(),
    type: text().notNull(),
    status: text().$type<DeliveryStatus>().notNull().default('pending'),
    /** What the dispatcher has still to do; null = a workflow knows of it. */
    dispatch: text().$type<'new' | 'again'>().default('new'),
    attempts: integer().notNull().default(0),
    /** The latest attempts. */
    log: json()
      .$type<DeliveryAttempt[]>()
      .notNull()
      .default(sql`'[]'::json`),
    delivered_at: time(),
  },
  (table) => [
    index('webhook_deliveries_pending')
      .on(table.webhook_id, table.run_id, table.sequence)
      .where(sql`status = 'pending'`),
    index('webhook_deliveries_undispatched')
      .on(table.position)
      .where(sql`dispatch is not null`),
    index('webhook_deliveries_page_of_tenant').on(table.tenant, table.position),
    index('webhook_deliveries_page').on(table.position),
    index('webhook_deliveries_of_event').on(table.event_id),
    index('webhook_deliveries_of_webhook').on(table.webhook_id, table.position),
  ],
);

export type WebhookRow = (typeof webhooks)['$inferSelect'];
export type DeliveryRow = (typeof webhookDeliveries)['$inferSelect'];
export type WebhookEventRow = (typeof webhookEvents)['$inferSelect'];
