/** Reservations of a tenant's day, as workers make them; for tests on PGlite and PostgreSQL. */
import type { Store } from '../../protocol/ports/run-store.ts';
import type { RunLease } from '../../protocol/ports/turn-store.ts';
import type { TurnAdmission, Budget } from '../../protocol/rules/budget.ts';
import { startedRun } from './store.ts';

export const dayBudget = (tokensPerDay: number): Budget => ({
  tokensPerRun: null,
  tokensPerDay,
  costPerRun: null,
  costPerDay: null,
});

/** A claimed run of the tenant. */
export const claimedRun = async (store: Store, tenant: string, now: number): Promise<RunLease> => {
  const { runId } = await startedRun(store, tenant, now);
  const claim = await store.claim(runId, now);
  if (claim === null) throw new Error('no row');
  return claim.lease;
};

/** A turn of 100 prompt tokens and at most 100 of the answer asks for its place in a budget. */
export const reserves = (
  store: Store,
  lease: RunLease,
  budget: Budget,
  now: number,
): Promise<TurnAdmission> =>
  store.reserveTurn(lease, { budget, need: { promptTokens: 100, price: null }, wanted: 100 }, now);

export const used = { promptTokens: 100, completionTokens: 100, totalTokens: 200, model: 'model-a' };
