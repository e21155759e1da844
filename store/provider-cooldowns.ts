/**
 * Cooldowns of providers and their models, shared by all workers of one database.
 *
 * Rule: the database's clock counts. A row is locked while its next cooldown is decided. A provider has a bounded number of rows: those
 * that are forgotten go with the next cooldown, then the one that ends first.
 * Imported within `store/` only.
 */
import type { CooldownStore, StoredCooldown } from '../protocol/ports/provider-limits.ts';
import { COOLDOWN_LIMITS, cooldownAfter, type CooldownReason } from '../protocol/rules/cooldown.ts';
import type { Database, Sql } from './database.ts';

const NOW = '(extract(epoch from clock_timestamp()) * 1000)::float8';
/** The row of the whole provider; no model has this name. */
const WHOLE = '';

interface Row {
  model: string;
  reason: CooldownReason;
  until: number;
  times: number;
  now: number;
}

const stored = ({ model, reason, until, times, now }: Row): StoredCooldown => ({
  model: model === WHOLE ? null : model,
  reason,
  leftMs: until - now,
  times,
});

const coolDown = async (
  sql: Sql,
  { provider, model, reason, retryAfterMs }: Parameters<CooldownStore['coolDown']>[0],
): Promise<StoredCooldown> => {
  const key = model ?? WHOLE;
  // The row exists before it is locked, so that two first refusals at a time are decided one after the other.
  await sql.query(
    `insert into provider_cooldowns (provider, model, reason, until, times) values ($1, $2, $3, 0, 0) on conflict do nothing`,
    [provider, key, reason],
  );
  const [row] = await sql.query<Row>(
    `select model, reason, until, times, ${NOW} as now from provider_cooldowns
     where provider = $1 and model = $2 for update`,
    [provider, key],
  );
  if (row === undefined) throw new Error('insert into provider_cooldowns left no row');
  const next = cooldownAfter(row.times === 0 ? null : row, retryAfterMs, row.now);
  await sql.query(
    'update provider_cooldowns set reason = $3, until = $4, times = $5 where provider = $1 and model = $2',
    [provider, key, reason, next.until, next.times],
  );
  await sql.query(
    `delete from provider_cooldowns where provider = $1 and model <> $2 and (until < $3 or model not in (
       select model from provider_cooldowns where provider = $1 order by until desc limit $4))`,
    [provider, key, row.now - COOLDOWN_LIMITS.forgottenMs, COOLDOWN_LIMITS.models],
  );
  return stored({ ...row, ...next, reason });
};

export const cooldownStore = (db: Database): CooldownStore => ({
  async readCooldowns(provider, model) {
    const rows = await db.query<Row>(
      `select model, reason, until, times, ${NOW} as now from provider_cooldowns
       where provider = $1 and model in ('', $2)`,
      [provider, model],
      'read-cooldowns',
    );
    return rows.map(stored);
  },
  coolDown: (request) => db.transaction((sql) => coolDown(sql, request)),
  async endCooldowns(provider, model) {
    // One that has begun since belongs to a later refusal.
    await db.query(
      `delete from provider_cooldowns where provider = $1 and model in ('', $2) and until <= ${NOW}`,
      [provider, model],
      'end-cooldowns',
    );
  },
});
