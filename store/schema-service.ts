/**
 * The tables beside those of threads and runs: keys of requests, limits of providers, sessions, and values about the whole store.
 *
 * Rule: as in `schema.ts`. Times are unix milliseconds of the database's clock where processes compare them.
 * Imported by drizzle-kit and the schema test only.
 */
import {
  bigint,
  boolean,
  doublePrecision,
  index,
  integer,
  json,
  pgTable,
  primaryKey,
  text,
} from 'drizzle-orm/pg-core';

export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    tenant: text().notNull(),
    /** SHA-256 of the key as sent. */
    key: text().notNull(),
    /** SHA-256 of the request that carried it. */
    request: text().notNull(),
    run_id: text().notNull(),
    created_at: bigint({ mode: 'number' }).notNull(),
    /** A later request with this key has returned the run: the first request may not roll it back any more. */
    vouched: boolean().notNull().default(false),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.key] }),
    index('idempotency_keys_by_age').on(table.created_at),
  ],
);

/** Limits of providers that all workers share. */
export const providerLimits = pgTable('provider_limits', {
  provider: text().primaryKey(),
  /** When the buckets will be full again, in milliseconds of the database's clock. */
  requests_full_at: doublePrecision().notNull().default(0),
  tokens_full_at: doublePrecision().notNull().default(0),
});

/** Providers and models that are left alone for a while, since they have refused. */
export const providerCooldowns = pgTable(
  'provider_cooldowns',
  {
    provider: text().notNull(),
    /** '' = the whole provider. */
    model: text().notNull(),
    reason: text().notNull(),
    /** In milliseconds of the database's clock. */
    until: doublePrecision().notNull(),
    times: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.provider, table.model] })],
);

/** Answers under way at providers that limit their number. */
export const providerSlots = pgTable(
  'provider_slots',
  {
    id: text().primaryKey(),
    provider: text().notNull(),
    /** A worker that lives renews it. */
    ends_at: doublePrecision().notNull(),
  },
  (table) => [index('provider_slots_of').on(table.provider, table.ends_at)],
);

/** People who signed in. */
export const sessions = pgTable(
  'sessions',
  {
    /** SHA-256 of the cookie's value. */
    digest: text().primaryKey(),
    method: text().notNull(),
    name: text().notNull(),
    tenant: text().notNull(),
    /** What proved the name: a digest of the key, or issuer and subject. */
    proof: text().notNull(),
    /** Groups that the identity provider stated. */
    groups: json().$type<readonly string[]>().notNull(),
    created_at: bigint({ mode: 'number' }).notNull(),
    used_at: bigint({ mode: 'number' }).notNull(),
    expires_at: bigint({ mode: 'number' }).notNull(),
  },
  (table) => [
    index('sessions_of_person').on(table.tenant, table.name),
    index('sessions_by_use').on(table.used_at),
    index('sessions_by_expiry').on(table.expires_at),
  ],
);

export const facts = pgTable('facts', {
  name: text().primaryKey(),
  value: text().notNull(),
});
