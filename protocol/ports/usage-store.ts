/**
 * The part of the store that reports what was used of models.
 *
 * Rule: as in `run-store.ts`. A turn is counted in the transaction that settles it, on the UTC day of the settlement.
 * Imports protocol shapes only. `store/` implements it; `service/` and tests import it.
 */
import type { SpentUsage } from '../rules/budget.ts';
import type { DayUsage, ThreadUsage } from '../wire/usage.ts';

export interface UsageQuery {
  /** null = of all tenants. */
  tenant: string | null;
  /** First and last day, `YYYY-MM-DD`. */
  from: string;
  to: string;
  /** Rows at most: one for each day, tenant, model and currency. */
  limit: number;
}

export interface UsageStore {
  /** Newest day first, then by tenant and model. `more`: the limit cut the list. */
  usageByDay(query: UsageQuery): Promise<{ data: DayUsage[]; more: boolean }>;
  usageOfThread(tenant: string, threadId: string): Promise<ThreadUsage>;
  spentOn(tenant: string, day: string): Promise<SpentUsage>;
}
