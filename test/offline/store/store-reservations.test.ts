/** What turns under way reserve of their tenant's day: until they are counted, or their run has ended. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { claimedRun, dayBudget, reserves, used } from '../../support/reserve.ts';
import { memoryStore } from '../../support/store.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const BUDGET = dayBudget(500);
let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

const kinds = async (tenant: string): Promise<string> =>
  (await reserves(store, await claimedRun(store, tenant, NOW), BUDGET, NOW)).kind;

test('two turns of 200 fit a day of 500; the third waits, and begins when one is counted with less', async () => {
  const T = 'counted';
  const first = await claimedRun(store, T, NOW);
  expect((await reserves(store, first, BUDGET, NOW)).kind).toBe('granted');
  expect(await kinds(T)).toBe('granted');
  const third = await claimedRun(store, T, NOW);
  // 100 tokens are left, and the prompt takes them all.
  expect(await reserves(store, third, BUDGET, NOW)).toEqual({ kind: 'wait', by: 'tokens_per_day' });
  await store.settleTurn(
    first,
    { outcome: { kind: 'completed' }, message: null, usage: { ...used, totalTokens: 50 } },
    NOW,
  );
  expect((await reserves(store, third, BUDGET, NOW)).kind).toBe('granted');
});

test('what was counted is refused, not waited for; the next day begins anew', async () => {
  const T = 'refused';
  for (let n = 0; n < 2; n += 1) {
    const lease = await claimedRun(store, T, NOW);
    await store.settleTurn(lease, { outcome: { kind: 'completed' }, message: null, usage: used }, NOW);
  }
  const lease = await claimedRun(store, T, NOW);
  expect(await reserves(store, lease, BUDGET, NOW)).toEqual({ kind: 'refused', by: 'tokens_per_day' });
  expect((await reserves(store, lease, BUDGET, NOW + 86_400_000)).kind).toBe('granted');
});

test.each(['an end without usage', 'a cancel', 'a broken answer'])('%s ends the reservation', async (how) => {
  const T = how;
  const lease = await claimedRun(store, T, NOW);
  const held = dayBudget(200);
  expect((await reserves(store, lease, held, NOW)).kind).toBe('granted');
  const next = await claimedRun(store, T, NOW);
  expect((await reserves(store, next, held, NOW)).kind).toBe('wait');
  if (how === 'a cancel') await store.closeRun(lease.runId, { kind: 'cancel' }, NOW);
  else if (how === 'a broken answer')
    await store.countTurn(lease, { ...used, promptTokens: 0, completionTokens: 0, totalTokens: 0 }, NOW);
  else await store.settleTurn(lease, { outcome: { kind: 'completed' }, message: null, usage: null }, NOW);
  expect((await reserves(store, next, held, NOW)).kind).toBe('granted');
});

test('a repeated attempt replaces its own reservation, and a replaced one gets none', async () => {
  const T = 'repeated';
  const old = await claimedRun(store, T, NOW);
  const held = dayBudget(200);
  expect((await reserves(store, old, held, NOW)).kind).toBe('granted');
  const claim = await store.claim(old.runId, NOW);
  if (claim === null) throw new Error('no row');
  expect((await reserves(store, claim.lease, held, NOW)).kind).toBe('granted');
  await expect(reserves(store, old, held, NOW)).rejects.toMatchObject({ code: 'lease_lost' });
});

test('tenants do not share a day', async () => {
  expect(await kinds('one')).toBe('granted');
  expect(await kinds('two')).toBe('granted');
});
