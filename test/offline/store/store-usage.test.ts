/** What turns used: kept with step and run, counted once for the day, and reported by day and thread. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TurnUsage } from '../../../protocol/ports/turn-store.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { storeOn } from '../../../store/index.ts';
import { migrate, readMigrations } from '../../../store/migrate.ts';
import { openPglite } from '../../../store/pglite.ts';
import { automatic, image, startedRun } from '../../support/store.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const DAY = '2026-11-26';
let store: Store;
let close: () => Promise<void>;
/** Statements sent, by name; those without one by their first words. */
const sent: string[] = [];

beforeAll(async () => {
  const real = await openPglite({ memory: true, image: await image() });
  const noted =
    (sql: Pick<typeof real, 'query'>): (typeof real)['query'] =>
    (text, params, name) => {
      sent.push(name ?? text.trim().slice(0, 30));
      return sql.query(text, params, name);
    };
  await migrate(real, await readMigrations());
  store = storeOn({
    ...real,
    query: noted(real),
    transaction: (body) => real.transaction((sql) => body({ query: noted(sql) })),
  });
  close = () => real.close();
}, 60_000);
afterAll(() => close());

const turn = (more: Partial<TurnUsage> = {}): TurnUsage => ({
  promptTokens: 100,
  completionTokens: 10,
  totalTokens: 110,
  model: 'model-a',
  ...more,
});
const claimed = async (runId: string) => {
  const claim = await store.claim(runId, NOW);
  if (claim === null) throw new Error('no row');
  return claim.lease;
};
const roundOf = (callId: string) => ({
  kind: 'calls' as const,
  calls: [automatic(callId, 'a')],
  expiresAt: null,
});
const end = { outcome: { kind: 'completed' }, message: null } as const;
const ofTenant = (tenant: string, from = DAY, to = DAY) => store.usageByDay({ tenant, from, to, limit: 100 });

test('step, run and day have the details and the cost of their turns', async () => {
  const T = 'details';
  const { runId, threadId } = await startedRun(store, T, NOW);
  const first = turn({ cachedTokens: 40, reasoningTokens: null, cost: { USD: '0.1' } });
  await store.settleTurn(
    await claimed(runId),
    { outcome: roundOf('call_1'), message: null, usage: first },
    NOW,
  );
  await store.acceptOutputs(runId, [{ tool_call_id: 'call_1', output: 'x' }], { now: NOW, by: null });
  const second = turn({ cachedTokens: 100, reasoningTokens: 7, cost: { USD: '0.02' }, model: 'model-b' });
  const lease = await claimed(runId);
  const { messageId } = await store.openMessage(lease, NOW);
  const said = { id: messageId, content: [] };
  const state = await store.settleTurn(lease, { ...end, message: said, usage: second }, NOW);
  const whole = {
    prompt_tokens: 200,
    completion_tokens: 20,
    total_tokens: 220,
    prompt_token_details: { cached_tokens: 140 },
    completion_tokens_details: { reasoning_tokens: 7 },
    cost: { USD: '0.12' },
  };
  expect(state.usage).toEqual({
    promptTokens: 200,
    completionTokens: 20,
    totalTokens: 220,
    cachedTokens: 140,
    reasoningTokens: 7,
    cost: { USD: '0.12' },
  });
  expect((await store.getRun(T, threadId, runId)).usage).toEqual(whole);
  const { data } = await store.listSteps(T, threadId, runId, { limit: 10, order: 'asc' });
  expect(data.map(({ usage }) => usage)).toEqual([
    {
      prompt_tokens: 100,
      completion_tokens: 10,
      total_tokens: 110,
      prompt_token_details: { cached_tokens: 40 },
      cost: { USD: '0.1' },
      model: 'model-a',
    },
    {
      prompt_tokens: 100,
      completion_tokens: 10,
      total_tokens: 110,
      prompt_token_details: { cached_tokens: 100 },
      completion_tokens_details: { reasoning_tokens: 7 },
      cost: { USD: '0.02' },
      model: 'model-b',
    },
  ]);
  const { data: days } = await ofTenant(T);
  expect(days.map(({ model, turns, usage }) => [model, turns, usage.total_tokens, usage.cost])).toEqual([
    ['model-a', 1, 110, { USD: '0.1' }],
    ['model-b', 1, 110, { USD: '0.02' }],
  ]);
  expect(await store.usageOfThread(T, threadId)).toEqual({
    object: 'thread.usage',
    thread_id: threadId,
    runs: 1,
    usage: whole,
  });
  expect(await store.spentOn(T, DAY)).toEqual({ tokens: 220, cost: { USD: '0.12' } });
});

test('a turn of a lost lease, and one that settles a second time, is not counted', async () => {
  const T = 'once';
  const { runId } = await startedRun(store, T, NOW);
  const old = await claimed(runId);
  const lease = await claimed(runId);
  await expect(store.settleTurn(old, { ...end, usage: turn() }, NOW)).rejects.toMatchObject({
    code: 'lease_lost',
  });
  await store.settleTurn(lease, { ...end, usage: turn() }, NOW);
  await expect(store.settleTurn(lease, { ...end, usage: turn() }, NOW)).rejects.toMatchObject({
    code: 'lease_lost',
  });
  await expect(store.countTurn(lease, turn(), NOW)).rejects.toMatchObject({ code: 'lease_lost' });
  expect((await ofTenant(T)).data).toMatchObject([{ turns: 1, usage: { total_tokens: 110 } }]);
});

test('an answer that broke off is counted with the run and the day, and the turn goes on', async () => {
  const T = 'broken';
  const { runId, threadId } = await startedRun(store, T, NOW);
  await store.countTurn(await claimed(runId), turn({ completionTokens: 0, totalTokens: 100 }), NOW);
  expect((await store.readState(runId))?.status).toBe('in_progress');
  await store.settleTurn(await claimed(runId), { ...end, usage: turn() }, NOW);
  expect((await store.getRun(T, threadId, runId)).usage).toMatchObject({ total_tokens: 210 });
  expect((await ofTenant(T)).data).toMatchObject([{ turns: 2, usage: { total_tokens: 210 } }]);
});

test('a turn belongs to the UTC day on which it settles; days are listed from the newest', async () => {
  const T = 'days';
  const times = ['2026-11-25T23:59:59.999Z', '2026-11-26T00:00:00Z', '2026-11-26T23:59:59Z'];
  for (const at of times) {
    const { runId } = await startedRun(store, T, NOW);
    await store.settleTurn(await claimed(runId), { ...end, usage: turn() }, Date.parse(at));
  }
  const { data, more } = await ofTenant(T, '2026-11-01', '2026-11-30');
  expect(data.map(({ day, turns }) => [day, turns])).toEqual([
    ['2026-11-26', 2],
    ['2026-11-25', 1],
  ]);
  expect(more).toBe(false);
  expect(await store.usageByDay({ tenant: T, from: '2026-11-01', to: '2026-11-30', limit: 1 })).toMatchObject(
    {
      data: [{ day: '2026-11-26' }],
      more: true,
    },
  );
  expect((await ofTenant(T, '2026-11-27', '2026-11-30')).data).toEqual([]);
});

test('a thread without counted turns has no usage, and one of another tenant is not found', async () => {
  const { threadId } = await startedRun(store, 'none', NOW);
  expect(await store.usageOfThread('none', threadId)).toMatchObject({ runs: 0, usage: null });
  await expect(store.usageOfThread('other', threadId)).rejects.toMatchObject({ status: 404 });
});

test('a price whose currency changes within a day is summed by currency', async () => {
  const T = 'currencies';
  for (const cost of [{ USD: '1' }, { EUR: '2.5' }, { USD: '0.000000000001' }]) {
    const { runId } = await startedRun(store, T, NOW);
    await store.settleTurn(await claimed(runId), { ...end, usage: turn({ cost }) }, NOW);
  }
  expect((await ofTenant(T)).data).toMatchObject([
    { turns: 3, usage: { total_tokens: 330, cost: { USD: '1.000000000001', EUR: '2.5' } } },
  ]);
});

test('counting a turn takes no statement of its own', async () => {
  const { runId } = await startedRun(store, 'statements', NOW);
  const lease = await claimed(runId);
  sent.length = 0;
  await store.settleTurn(lease, { ...end, usage: turn() }, NOW);
  expect(sent).toEqual(['lock-run', 'newest-round', 'begun-steps', 'write-turn']);
});
