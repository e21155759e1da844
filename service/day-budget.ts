/**
 * Refuses runs of a tenant whose budget for the day is used up. The store's counters are cached for two seconds.
 *
 * Rule: a run that could not ask its model once is not created. The worker's check before each turn is binding; this
 * one reads the counters at most every two seconds for a tenant, and again before it refuses.
 * Imported by `service/` and tests.
 */
import { apiErrors } from '../protocol/errors.ts';
import type { UsageStore } from '../protocol/ports/usage-store.ts';
import {
  budgetOf,
  hasDayBudget,
  spentBudget,
  type SpentUsage,
  type TenantBudgets,
} from '../protocol/rules/budget.ts';
import { utcDay } from '../protocol/rules/utc-day.ts';

const FRESH_MS = 2_000;

interface DayFigure {
  day: string;
  spent: SpentUsage;
  readAt: number;
}

/** Throws `ApiError` 429 (`insufficient_quota`) when nothing is left. */
export type AssertBudgetLeft = (tenant: string) => Promise<void>;

export const createDayBudgets = (
  store: Pick<UsageStore, 'spentOn'>,
  budgets: TenantBudgets,
  now: () => number,
): AssertBudgetLeft => {
  const figures = new Map<string, DayFigure>();
  const read = async (tenant: string, day: string): Promise<DayFigure> => {
    const readAt = now();
    const figure = { day, spent: await store.spentOn(tenant, day), readAt };
    figures.set(tenant, figure);
    return figure;
  };
  return async (tenant) => {
    const budget = budgetOf(budgets, tenant);
    if (!hasDayBudget(budget)) return;
    const day = utcDay(now());
    const known = figures.get(tenant);
    const isFresh = known?.day === day && now() - known.readAt < FRESH_MS;
    const figure = isFresh ? known : await read(tenant, day);
    if (spentBudget(budget, figure.spent) === null) return;
    const { spent } = isFresh ? await read(tenant, day) : figure;
    const by = spentBudget(budget, spent);
    if (by !== null) throw apiErrors.budgetSpent(by === 'tokens_per_day' ? 'tokens' : 'cost');
  };
};
