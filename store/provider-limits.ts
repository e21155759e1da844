/**
 * The limits of providers, shared by all workers of one database.
 *
 * Rule: the row of the provider is locked while leave is decided, so that two workers never take the same leave; the database's
 * clock counts. A slot that has run out is deleted by the next request for one.
 * Imported within `store/` only.
 */
import type { ProviderLimits } from '../protocol/models.ts';
import type { ProviderLimitStore, SlotAnswer, SlotRequest } from '../protocol/ports/provider-limits.ts';
import type { Database, Sql } from './database.ts';
import { bucketAfter, bucketWait } from './token-bucket.ts';

const NOW = '(extract(epoch from clock_timestamp()) * 1000)::float8';

interface Locked {
  requests_full_at: number;
  tokens_full_at: number;
  now: number;
}

const LOCK = `select requests_full_at, tokens_full_at, ${NOW} as now from provider_limits where provider = $1 for update`;

/** The row of a provider, locked; made when it is asked for the first time. */
const lockProvider = async (sql: Sql, provider: string): Promise<Locked> => {
  const [known] = await sql.query<Locked>(LOCK, [provider], 'lock-provider');
  if (known !== undefined) return known;
  await sql.query('insert into provider_limits (provider) values ($1) on conflict do nothing', [provider]);
  const [made] = await sql.query<Locked>(LOCK, [provider], 'lock-provider');
  if (made === undefined) throw new Error('insert into provider_limits left no row');
  return made;
};

/** A worker that waits for another one's answer asks again after this time: an end elsewhere is not announced. */
const SLOT_POLL_MS = 250;

const slotWait = async (
  sql: Sql,
  provider: string,
  { concurrency }: ProviderLimits,
  now: number,
): Promise<number> => {
  if (concurrency === null) return 0;
  await sql.query('delete from provider_slots where provider = $1 and ends_at <= $2', [provider, now]);
  const [row] = await sql.query<{ taken: number }>(
    'select count(*) as taken from provider_slots where provider = $1',
    [provider],
    'taken-slots',
  );
  return (row?.taken ?? 0) < concurrency ? 0 : SLOT_POLL_MS;
};

const take = async (sql: Sql, request: SlotRequest): Promise<SlotAnswer> => {
  const { provider, limits, slot, tokens, slotMs } = request;
  const { requestsPerMinute, tokensPerMinute } = limits;
  const { now, ...row } = await lockProvider(sql, provider);
  const waitMs = Math.max(
    requestsPerMinute === null ? 0 : bucketWait(requestsPerMinute, row.requests_full_at, 1, now),
    tokensPerMinute === null ? 0 : bucketWait(tokensPerMinute, row.tokens_full_at, tokens, now),
  );
  if (waitMs > 0) return { granted: false, waitMs };
  const waitForSlot = await slotWait(sql, provider, limits, now);
  if (waitForSlot > 0) return { granted: false, waitMs: waitForSlot };
  await sql.query(
    'update provider_limits set requests_full_at = $2, tokens_full_at = $3 where provider = $1',
    [
      provider,
      requestsPerMinute === null ? 0 : bucketAfter(requestsPerMinute, row.requests_full_at, 1, now),
      tokensPerMinute === null ? 0 : bucketAfter(tokensPerMinute, row.tokens_full_at, tokens, now),
    ],
    'take-provider',
  );
  if (limits.concurrency !== null)
    await sql.query(
      'insert into provider_slots (id, provider, ends_at) values ($1, $2, $3)',
      [slot, provider, now + slotMs],
      'take-slot',
    );
  return { granted: true };
};

const chargeTokens = async (sql: Sql, provider: string, perMinute: number, tokens: number): Promise<void> => {
  const { tokens_full_at, now } = await lockProvider(sql, provider);
  await sql.query(
    'update provider_limits set tokens_full_at = $2 where provider = $1',
    [provider, bucketAfter(perMinute, tokens_full_at, tokens, now)],
    'charge-tokens',
  );
};

export const providerLimitStore = (db: Database): ProviderLimitStore => ({
  takeSlot: (request) => db.transaction((sql) => take(sql, request)),
  async renewSlots(slots, slotMs) {
    await db.query(`update provider_slots set ends_at = ${NOW} + $2 where id = any($1::text[])`, [
      slots,
      slotMs,
    ]);
  },
  async returnSlot(slot, provider, { concurrency, tokensPerMinute }, tokens) {
    if (concurrency !== null)
      await db.query('delete from provider_slots where id = $1', [slot], 'return-slot');
    if (tokensPerMinute !== null && tokens !== 0)
      await db.transaction((sql) => chargeTokens(sql, provider, tokensPerMinute, tokens));
  },
});
