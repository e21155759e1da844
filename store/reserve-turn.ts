/**
 * Reserves what a turn may use of its tenant's budget for the day.
 *
 * Rule: turns of a tenant are admitted one after the other, under an advisory lock: each sees what those before it have used and
 * reserved. The reservation is one row of the run, so a repeated attempt replaces its own; it ends in the transaction that
 * counts the turn or ends the run.
 * Imported within `store/` only.
 */
import type { RunLease, TurnStore } from '../protocol/ports/turn-store.ts';
import { addSpent, admitTurn, type TurnAdmission, type SpentUsage } from '../protocol/rules/budget.ts';
import { formatAmount, parseAmount } from '../protocol/rules/cost.ts';
import { utcDay } from '../protocol/rules/utc-day.ts';
import type { Database, Sql } from './database.ts';
import { changeExistingRun } from './update-run.ts';

interface SpentRow {
  reserved: boolean;
  currency: string;
  tokens: number;
  cost: string;
}

/** Counters and reservations in one snapshot: a turn that settles meanwhile is in one of them. */
const SPENT = `
  select false as reserved, currency, sum(total_tokens)::bigint as tokens, sum(cost)::text as cost
  from usage_days where tenant = $1 and day = $2 group by currency
  union all
  select true, currency, sum(tokens)::bigint, sum(cost)::text
  from turn_reservations where tenant = $1 and run_id <> $3 group by currency`;

const sumOf = (rows: readonly SpentRow[]): SpentUsage =>
  rows
    .map(({ currency, tokens, cost }) => ({
      tokens,
      cost: currency === '' ? {} : { [currency]: formatAmount(parseAmount(cost) ?? 0n) },
    }))
    .reduce<SpentUsage>(addSpent, { tokens: 0, cost: {} });

const reserve = async (
  sql: Sql,
  runId: string,
  tenant: string,
  { tokens, cost }: SpentUsage,
): Promise<void> => {
  const [currency, amount] = Object.entries(cost)[0] ?? ['', '0'];
  await sql.query(
    `insert into turn_reservations (run_id, tenant, tokens, currency, cost) values ($1, $2, $3, $4, $5::numeric)
     on conflict (run_id) do update set tokens = excluded.tokens, currency = excluded.currency, cost = excluded.cost`,
    [runId, tenant, tokens, currency, amount],
    'reserve-turn',
  );
};

export const reserveTurn = (
  db: Database,
  lease: RunLease,
  { budget, need, wanted }: Parameters<TurnStore['reserveTurn']>[1],
  now: number,
): Promise<TurnAdmission> =>
  changeExistingRun(db, lease.runId, lease, async ({ sql, row: { id, tenant } }) => {
    // Ends with the transaction. The next statement's snapshot is taken when the lock is held.
    await sql.query(
      'select pg_advisory_xact_lock(hashtextextended($1, 0))',
      [`budget ${tenant}`],
      'budget-lock',
    );
    const rows = await sql.query<SpentRow>(SPENT, [tenant, utcDay(now), id], 'spent-and-reserved');
    const spent = sumOf(rows.filter(({ reserved }) => !reserved));
    const others = sumOf(rows.filter(({ reserved }) => reserved));
    const admission = admitTurn(budget, spent, others, need, wanted);
    if (admission.kind === 'granted') await reserve(sql, id, tenant, admission.reserved);
    return admission;
  });
