/**
 * Counts a turn: what it used is added to its tenant's day, and what was reserved for it is free again.
 *
 * Rule: within the statement that writes the settled turn, so a turn is counted exactly when it is settled, and a count costs no
 * round trip. Rows of a day are spread over slots: settlements of one tenant do not wait for each other's commits.
 * Imported within `store/` only.
 */
import { formatAmount, parseAmount } from '../protocol/rules/cost.ts';
import { utcDay } from '../protocol/rules/utc-day.ts';
import type { TurnUsage } from '../protocol/ports/turn-store.ts';
import type { Param, Sql } from './database.ts';
import type { RunRow } from './schema.ts';

export interface TurnCount {
  usage: TurnUsage;
  /** Unix ms of the settlement: the UTC day that the turn belongs to. */
  now: number;
}

const SLOTS = 8;
const slotOf = (runId: string): number => (runId.codePointAt(runId.length - 1) ?? 0) % SLOTS;

const COUNTED = [
  'turns',
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'reasoning_tokens',
  'total_tokens',
  'cost',
] as const;
const COLUMNS = ['tenant', 'day', 'model', 'currency', 'slot', ...COUNTED] as const;
const TYPES: Partial<Record<(typeof COLUMNS)[number], string>> = {
  tenant: 'text',
  day: 'text',
  model: 'text',
  currency: 'text',
  slot: 'integer',
  cost: 'numeric',
};

/** Parts of a `with` list. `$1` is the run's id; the first of the turn's parameters is number `first`. */
export const countTurnSql = (first: number): string => `counted as (
    insert into usage_days as d (${COLUMNS.join(', ')})
    values (${COLUMNS.map((column, index) => `$${first + index}::${TYPES[column] ?? 'bigint'}`).join(', ')})
    on conflict (tenant, day, model, currency, slot)
      do update set ${COUNTED.map((column) => `${column} = d.${column} + excluded.${column}`).join(', ')}
  ),
  released as (delete from turn_reservations where run_id = $1)`;

export const countTurnParams = (
  row: Pick<RunRow, 'id' | 'tenant' | 'config'>,
  { usage, now }: TurnCount,
): Param[] => {
  // A turn has one model, and so one price.
  const [currency, amount] = Object.entries(usage.cost ?? {})[0] ?? ['', '0'];
  return [
    row.tenant,
    utcDay(now),
    usage.model ?? row.config.model,
    currency,
    slotOf(row.id),
    1,
    usage.promptTokens,
    usage.cachedTokens ?? 0,
    usage.completionTokens,
    usage.reasoningTokens ?? 0,
    usage.totalTokens,
    formatAmount(parseAmount(amount) ?? 0n),
  ];
};

/** The turn ended without usage: only its reservation ends. */
export const endReservation = async (sql: Sql, runId: string): Promise<void> => {
  await sql.query('delete from turn_reservations where run_id = $1', [runId], 'end-reservation');
};
