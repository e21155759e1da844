/**
 * Reports what was used of models: by day, and of a thread.
 *
 * Rule: days are read from counters (`count-turn.ts`), so the cost of a report does not grow with the number of turns. Amounts
 * are summed by the database as `numeric`, never as floating-point numbers.
 * Imported within `store/` only.
 */
import { apiErrors } from '../protocol/errors.ts';
import type { UsageQuery, UsageStore } from '../protocol/ports/usage-store.ts';
import type { SpentUsage } from '../protocol/rules/budget.ts';
import { addCosts, formatAmount, parseAmount, type Cost } from '../protocol/rules/cost.ts';
import type { WireUsage } from '../protocol/wire/objects.ts';
import type { DayUsage } from '../protocol/wire/usage.ts';
import type { Database, Param, Sql } from './database.ts';

interface Sums {
  prompt_tokens: number;
  cached_tokens: number | null;
  completion_tokens: number;
  reasoning_tokens: number | null;
  total_tokens: number;
}

const DAY_SUMS = ['prompt_tokens', 'cached_tokens', 'completion_tokens', 'reasoning_tokens', 'total_tokens'];

const usageOf = (sums: Sums, cost: Cost | undefined): WireUsage => ({
  prompt_tokens: sums.prompt_tokens,
  completion_tokens: sums.completion_tokens,
  total_tokens: sums.total_tokens,
  ...(sums.cached_tokens === null ? {} : { prompt_token_details: { cached_tokens: sums.cached_tokens } }),
  ...(sums.reasoning_tokens === null
    ? {}
    : { completion_tokens_details: { reasoning_tokens: sums.reasoning_tokens } }),
  ...(cost === undefined ? {} : { cost }),
});

/** `numeric` keeps trailing zeros of its scale. */
const costOfRow = (currency: string, amount: string): Cost | undefined =>
  currency === '' ? undefined : { [currency]: formatAmount(parseAmount(amount) ?? 0n) };

type DayRow = Sums & {
  day: string;
  tenant: string;
  model: string;
  currency: string;
  turns: number;
  cost: string;
};

const byDay = async (
  db: Database,
  { tenant, from, to, limit }: UsageQuery,
): Promise<{ data: DayUsage[]; more: boolean }> => {
  const params: Param[] = [from, to, limit + 1, ...(tenant === null ? [] : [tenant])];
  const rows = await db.query<DayRow>(
    `select day, tenant, model, currency, sum(turns)::bigint as turns, sum(cost)::text as cost,
       ${DAY_SUMS.map((column) => `sum(${column})::bigint as ${column}`).join(', ')}
     from usage_days where day >= $1 and day <= $2 ${tenant === null ? '' : 'and tenant = $4'}
     group by day, tenant, model, currency order by day desc, tenant, model, currency limit $3`,
    params,
  );
  const data: DayUsage[] = [];
  for (const row of rows.slice(0, limit)) {
    const { day, tenant: owner, model, turns } = row;
    const cost = costOfRow(row.currency, row.cost);
    const last = data.at(-1);
    // A model whose price changed its currency on this day, or was added on it.
    if (last !== undefined && last.day === day && last.tenant === owner && last.model === model) {
      last.turns += turns;
      last.usage = usageOf(addedSums(last.usage, row), addCosts(last.usage.cost, cost));
    } else data.push({ object: 'usage.day', day, tenant: owner, model, turns, usage: usageOf(row, cost) });
  }
  return { data, more: rows.length > limit };
};

const addedSums = (usage: WireUsage, row: Sums): Sums => ({
  prompt_tokens: usage.prompt_tokens + row.prompt_tokens,
  cached_tokens: (usage.prompt_token_details?.cached_tokens ?? 0) + (row.cached_tokens ?? 0),
  completion_tokens: usage.completion_tokens + row.completion_tokens,
  reasoning_tokens: (usage.completion_tokens_details?.reasoning_tokens ?? 0) + (row.reasoning_tokens ?? 0),
  total_tokens: usage.total_tokens + row.total_tokens,
});

type ThreadRow = Sums & { runs: number | null; cost: Cost | null };

/** The thread's row is returned also when no run has a usage; no row = no such thread. */
const OF_THREAD = `
  select s.*, (
    select json_object_agg(c.key, c.amount) from (
      select e.key, sum(e.value::numeric)::text as amount
      from runs r cross join lateral json_each_text(r.usage->'cost') e
      where r.thread_id = t.id and r.usage is not null and json_typeof(r.usage->'cost') = 'object'
      group by e.key
    ) c
  ) as cost
  from threads t left join lateral (
    select count(*)::bigint as runs,
      sum((usage->>'prompt_tokens')::bigint)::bigint as prompt_tokens,
      sum((usage->'prompt_token_details'->>'cached_tokens')::bigint)::bigint as cached_tokens,
      sum((usage->>'completion_tokens')::bigint)::bigint as completion_tokens,
      sum((usage->'completion_tokens_details'->>'reasoning_tokens')::bigint)::bigint as reasoning_tokens,
      sum((usage->>'total_tokens')::bigint)::bigint as total_tokens
    from runs where thread_id = t.id and usage is not null
  ) s on true
  where t.id = $1 and t.tenant = $2`;

export const readSpent = async (sql: Sql, tenant: string, day: string): Promise<SpentUsage> => {
  const rows = await sql.query<{ currency: string; tokens: number; cost: string }>(
    `select currency, sum(total_tokens)::bigint as tokens, sum(cost)::text as cost
     from usage_days where tenant = $1 and day = $2 group by currency`,
    [tenant, day],
    'spent-on-day',
  );
  let cost: Cost = {};
  let tokens = 0;
  for (const row of rows) {
    tokens += row.tokens;
    cost = addCosts(cost, costOfRow(row.currency, row.cost)) ?? cost;
  }
  return { tokens, cost };
};

export const modelUsageStore = (db: Database): UsageStore => ({
  usageByDay: (query) => byDay(db, query),
  async usageOfThread(tenant, threadId) {
    const [row] = await db.query<ThreadRow>(OF_THREAD, [threadId, tenant]);
    if (row === undefined) throw apiErrors.notFound('thread', threadId);
    const runs = row.runs ?? 0;
    const cost =
      row.cost === null
        ? undefined
        : Object.entries(row.cost)
            .map(([currency, amount]) => costOfRow(currency, amount))
            .reduce(addCosts, undefined);
    return {
      object: 'thread.usage',
      thread_id: threadId,
      runs,
      usage: runs === 0 ? null : usageOf(row, cost),
    };
  },
  spentOn: (tenant, day) => readSpent(db, tenant, day),
});
