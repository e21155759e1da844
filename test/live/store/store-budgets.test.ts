/** Counters and reservations between processes, on a real PostgreSQL: exact, whoever counts and reserves at a time. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { openStore } from '../../../store/index.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';
import { claimedRun, dayBudget, reserves, used } from '../../support/reserve.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const DAY = '2026-11-26';
let database: FreshDatabase;
let stores: Store[] = [];

beforeAll(async () => {
  database = await freshDatabase();
  stores = [await openStore({ databaseUrl: database.url }), await openStore({ databaseUrl: database.url })];
});
afterAll(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await database.drop();
});

const each = <Value>(count: number, work: (store: Store) => Promise<Value>): Promise<Value[]> =>
  Promise.all(
    Array.from({ length: count }, (_, index) => {
      const store = stores[index % stores.length];
      if (store === undefined) throw new Error('no store');
      return work(store);
    }),
  );

test('of twenty turns that ask at once, as many begin as fit the day', async () => {
  const T = 'at-once';
  const leases = await each(20, (store) => claimedRun(store, T, NOW));
  let next = 0;
  const kinds = await each(20, async (store) => {
    const lease = leases[next++];
    if (lease === undefined) throw new Error('no lease');
    return (await reserves(store, lease, dayBudget(1_000), NOW)).kind;
  });
  expect(kinds.filter((kind) => kind === 'granted')).toHaveLength(5);
  expect(kinds.filter((kind) => kind === 'wait')).toHaveLength(15);
});

test('turns that settle at once are all counted, each once', async () => {
  const T = 'settles';
  await each(40, async (store) => {
    const lease = await claimedRun(store, T, NOW);
    const usage = { ...used, cost: { USD: '0.000000000001' } };
    await store.settleTurn(lease, { outcome: { kind: 'completed' }, message: null, usage }, NOW);
  });
  const [first] = stores;
  expect(await first?.usageByDay({ tenant: T, from: DAY, to: DAY, limit: 10 })).toMatchObject({
    data: [{ turns: 40, usage: { total_tokens: 8_000, cost: { USD: '0.00000000004' } } }],
  });
});
