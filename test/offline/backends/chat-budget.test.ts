/** Money and budgets around a turn: what is kept with it, how long its answer may be, and when it is not asked for. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ChatBackendOptions } from '../../../backends/chat/index.ts';
import type { Backend } from '../../../protocol/ports/backend.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { Budget } from '../../../protocol/rules/budget.ts';
import { fakeContext } from '../../support/backend-context.ts';
import { chatOnServer } from '../../support/chat-backend.ts';
import { calls, chunk, DONE, says } from '../../support/chat-server.ts';
import { ends, said, usage } from '../../support/chat-wire.ts';
import { tool } from '../../support/model-turn.ts';
import { scriptedHttp, sse, type ScriptedHttp } from '../../support/scripted-http.ts';
import { createRequest, memoryStore, startedRun } from '../../support/store.ts';
import type { RunParams } from '../../../protocol/ports/runs-service.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const DAY = '2026-11-26';
/** A token costs 0.01, a cached one 0.001, one of the answer 0.1. */
const PRICE = { currency: 'USD', input: 10_000, cachedInput: 1_000, output: 100_000 };
const NONE: Budget = { tokensPerRun: null, tokensPerDay: null, costPerRun: null, costPerDay: null };

let store: Store;
let server: ScriptedHttp;
let backend: (Backend & { dispose(): Promise<void> }) | undefined;
let tenants = 0;
let tenant = '';
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());
beforeEach(async () => {
  server = await scriptedHttp();
  tenant = `tenant-${(tenants += 1)}`;
});
afterEach(async () => {
  await backend?.dispose();
  await server.close();
});

const context = () => fakeContext({ now: () => NOW });
const start = async (
  params: Partial<RunParams>,
  options: Pick<ChatBackendOptions, 'priceOf' | 'budgetOf'> = { priceOf: () => PRICE },
) => {
  backend = chatOnServer({ store, baseUrl: `${server.url}/v1`, flushMs: 1, modelAttempts: 3, ...options });
  const run = await startedRun(store, tenant, NOW, { assistant: { tools: [tool('a')] }, params });
  const own = backend;
  return {
    ...run,
    create: () => own.create(createRequest(run, NOW), context()),
    /** The turn after the first round. */
    goOn: async (callId: string | undefined) =>
      own.submit(
        { backendRunId: run.runId, threadId: run.threadId },
        1,
        [{ tool_call_id: callId ?? '', output: 'x' }],
        context(),
      ),
    shown: () => store.getRun(tenant, run.threadId, run.runId),
  };
};
const answered = (counts: object) => sse([said('ok'), ends(), usage(counts), DONE]);
const maxTokens = (index: number): unknown =>
  (JSON.parse(server.requests[index]?.body ?? '{}') as Record<string, unknown>)['max_completion_tokens'];
const counted = async () => (await store.usageByDay({ tenant, from: DAY, to: DAY, limit: 10 })).data;
const firstCall = (settled: Awaited<ReturnType<Backend['create']>>): string | undefined =>
  settled.status === 'requires_action' ? settled.calls[0]?.callId : undefined;

test('a turn keeps its details, its model and its cost at the price of the moment', async () => {
  let price = PRICE;
  const run = await start({}, { priceOf: () => price });
  server.script.push(
    answered({
      prompt_tokens: 100,
      completion_tokens: 10,
      prompt_tokens_details: { cached_tokens: 60 },
      completion_tokens_details: { reasoning_tokens: 4 },
    }),
  );
  const settled = await run.create();
  // 40 × 0.01 + 60 × 0.001 + 10 × 0.1
  const details = { cachedTokens: 60, reasoningTokens: 4, cost: { USD: '1.46' } };
  expect(settled).toMatchObject({ status: 'completed', usage: { totalTokens: 110, ...details } });
  price = { ...PRICE, input: 1 };
  const usageOfRun = {
    prompt_tokens: 100,
    completion_tokens: 10,
    total_tokens: 110,
    prompt_token_details: { cached_tokens: 60 },
    completion_tokens_details: { reasoning_tokens: 4 },
    cost: { USD: '1.46' },
  };
  expect((await run.shown()).usage).toEqual(usageOfRun);
  const steps = await store.listSteps(tenant, run.threadId, run.runId, { limit: 5, order: 'asc' });
  expect(steps.data.map((step) => step.usage)).toEqual([{ ...usageOfRun, model: 'model-a' }]);
  expect(await counted()).toMatchObject([{ model: 'model-a', turns: 1, usage: usageOfRun }]);
});

test('an answer that broke off is counted when the server has said what it used, and so is the next', async () => {
  const run = await start({});
  // The stream ends without a reason and without its end.
  server.script.push(
    sse([said('half'), usage({ prompt_tokens: 100, completion_tokens: 1 })]),
    answered({ prompt_tokens: 100, completion_tokens: 10 }),
  );
  await expect(run.create()).rejects.toMatchObject({ retryable: true });
  expect(await counted()).toMatchObject([{ turns: 1, usage: { total_tokens: 101, cost: { USD: '1.1' } } }]);
  await run.create();
  expect((await run.shown()).usage).toMatchObject({ total_tokens: 211, cost: { USD: '3.1' } });
  expect(await counted()).toMatchObject([{ turns: 2, usage: { total_tokens: 211, cost: { USD: '3.1' } } }]);
});

describe('max_cost', () => {
  test('bounds the answer, and ends the run as incomplete when the next turn would pass it', async () => {
    const run = await start({ max_cost: { USD: '10' } });
    server.script.push(calls([{ name: 'a', arguments: '{}' }]));
    const settled = await run.create();
    const bound = Number(maxTokens(0));
    expect(bound).toBeGreaterThan(50);
    expect(bound).toBeLessThan(100);
    // 20 × 0.01 + 5 × 0.1 are spent. What the model says next costs more than is left.
    server.script.push(
      sse([
        chunk({ content: 'more '.repeat(40) }),
        chunk({}, 'length'),
        usage({ prompt_tokens: 30, completion_tokens: 90 }),
        DONE,
      ]),
    );
    const end = await run.goOn(firstCall(settled));
    expect(end).toMatchObject({ status: 'incomplete', incompleteDetails: { reason: 'max_cost' } });
    expect(await run.shown()).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_cost' },
      max_cost: { USD: '10' },
      usage: { cost: { USD: '10' } },
    });
  });

  test('that the prompt alone passes asks nothing', async () => {
    const run = await start({ max_cost: { USD: '0.01' } });
    expect(await run.create()).toMatchObject({ incompleteDetails: { reason: 'max_cost' } });
    expect(server.requests).toEqual([]);
    expect(await counted()).toEqual([]);
  });

  test('of a model without a price in its currency ends the run as failed, and asks nothing', async () => {
    const run = await start({ max_cost: { EUR: '10' } });
    await expect(run.create()).rejects.toMatchObject({ retryable: false, details: [{ reason: 'no_price' }] });
    expect(server.requests).toEqual([]);
  });
});

const budgeted = (budget: Partial<Budget>) => ({
  priceOf: () => PRICE,
  budgetOf: (of: string) => (of === tenant ? { ...NONE, ...budget } : null),
});

describe('a budget of the server', () => {
  test('for one run ends it as failed before the turn that would pass it', async () => {
    const run = await start({}, budgeted({ tokensPerRun: 120 }));
    server.script.push(calls([{ name: 'a', arguments: '{}' }]));
    const settled = await run.create();
    expect(Number(maxTokens(0))).toBeLessThan(120);
    await store.countTurn(
      { runId: run.runId, epoch: 1 },
      { promptTokens: 80, completionTokens: 0, totalTokens: 80 },
      NOW,
    );
    await expect(run.goOn(firstCall(settled))).rejects.toMatchObject({
      retryable: false,
      details: [{ reason: 'run_budget_spent' }],
    });
    expect(server.requests).toHaveLength(1);
  });

  test('for the day ends runs as failed when it is used up, and asks nothing', async () => {
    const first = await start({}, budgeted({ tokensPerDay: 400 }));
    server.script.push(answered({ prompt_tokens: 380, completion_tokens: 10 }));
    expect(await first.create()).toMatchObject({ status: 'completed' });
    const second = await start({}, budgeted({ tokensPerDay: 400 }));
    await expect(second.create()).rejects.toMatchObject({
      retryable: false,
      details: [{ reason: 'day_budget_spent' }],
    });
    expect(server.requests).toHaveLength(1);
  });

  test('for the day lets a turn wait while others have reserved the rest, without an attempt at the model', async () => {
    const other = await startedRun(store, tenant, NOW);
    const claim = await store.claim(other.runId, NOW);
    if (claim === null) throw new Error('no row');
    const need = { promptTokens: 100, price: null };
    const budget = { ...NONE, tokensPerDay: 400 };
    await store.reserveTurn(claim.lease, { budget, need, wanted: 290 }, NOW);
    const run = await start({}, budgeted(budget));
    await expect(run.create()).rejects.toMatchObject({ retryable: true });
    await store.closeRun(other.runId, { kind: 'cancel' }, NOW);
    server.script.push(says(['ok']));
    expect(await run.create()).toMatchObject({ status: 'completed' });
    expect(server.requests).toHaveLength(1);
  });

  test('counts a server that reports no usage by an estimate', async () => {
    const run = await start({}, budgeted({ tokensPerDay: 100_000 }));
    server.script.push(sse([said('twelve chars'), ends(), DONE]));
    await run.create();
    const [day] = await counted();
    expect(day?.usage).toMatchObject({ completion_tokens: 3 });
    expect(day?.usage.prompt_tokens).toBeGreaterThan(0);
  });
});
