/**
 * The tables of what models used, as drizzle describes them; see `schema.ts`.
 *
 * Rule: amounts are `numeric`: sums of them are exact.
 * Imported as values by drizzle-kit and the schema test only.
 */
import { bigint, index, integer, numeric, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { runs } from './schema.ts';

/**
 * What the turns of a day used, by tenant, model and currency. Days are UTC, by the settling worker's clock. `slot` spreads
 * the rows: settlements of one tenant would otherwise wait for each other's commits.
 */
export const usageDays = pgTable(
  'usage_days',
  {
    tenant: text().notNull(),
    /** `YYYY-MM-DD`. */
    day: text().notNull(),
    model: text().notNull(),
    /** Empty = the model had no price. */
    currency: text().notNull(),
    slot: integer().notNull(),
    turns: bigint({ mode: 'number' }).notNull(),
    prompt_tokens: bigint({ mode: 'number' }).notNull(),
    cached_tokens: bigint({ mode: 'number' }).notNull(),
    completion_tokens: bigint({ mode: 'number' }).notNull(),
    reasoning_tokens: bigint({ mode: 'number' }).notNull(),
    total_tokens: bigint({ mode: 'number' }).notNull(),
    cost: numeric().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.day, table.model, table.currency, table.slot] }),
    index('usage_days_by_day').on(table.day),
  ],
);

/** What a turn under way may still use of its tenant's budget for the day; deleted when the turn settles or the run ends. */
export const turnReservations = pgTable(
  'turn_reservations',
  {
    run_id: text()
      .primaryKey()
      .references(() => runs.id, { onDelete: 'cascade' }),
    tenant: text().notNull(),
    tokens: bigint({ mode: 'number' }).notNull(),
    /** Empty = the model has no price. */
    currency: text().notNull(),
    cost: numeric().notNull(),
  },
  (table) => [index('turn_reservations_of_tenant').on(table.tenant)],
);
