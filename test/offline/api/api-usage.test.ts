/** The reports of what models used: whose they are, of which days, and the budget of a day before a run. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApi, keyAuth, parseApiKeys } from '../../../api/index.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { createRunsService, type Workflows } from '../../../service/index.ts';
import { call } from '../../support/http.ts';
import { claimedRun, dayBudget, used } from '../../support/reserve.ts';
import { memoryStore } from '../../support/store.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const KEY = {
  acme: 'sk-acme-0123456789abcdef',
  shop: 'sk-shop-0123456789abcdef',
  ops: 'sk-ops-0123456789abcdef',
};
const KEYS = `acme:${KEY.acme} shop:${KEY.shop} ops:${KEY.ops}::name=olga;role=operator`;

let store: Store;
const spend = async (tenant: string, at: number, totalTokens = 200): Promise<void> => {
  const lease = await claimedRun(store, tenant, NOW);
  const usage = { ...used, promptTokens: totalTokens - 100, totalTokens };
  await store.settleTurn(lease, { outcome: { kind: 'completed' }, message: null, usage }, at);
};

beforeAll(async () => {
  store = await memoryStore();
  await spend('acme', NOW);
  await spend('acme', NOW - 6 * 86_400_000);
  await spend('acme', NOW - 7 * 86_400_000);
  await spend('shop', NOW, 500);
}, 60_000);
afterAll(() => store.close());

const started: string[] = [];
const workflows = {
  start: async (input: { runId: string }) => {
    started.push(input.runId);
  },
  ping: async () => undefined,
} as unknown as Workflows;
const api = () =>
  createApi({
    engine: createRunsService({
      store,
      client: { workflows },
      now: () => NOW,
      budgets: new Map([['shop', dayBudget(500)]]),
    }),
    auth: keyAuth(parseApiKeys(KEYS)),
  });

type Report = { data: { tenant: string; day: string; turns: number }[]; error?: { message: string } };
const asked = async (key: keyof typeof KEY, path: string) => {
  const { status, body } = await call(api().fetch, 'GET', path, undefined, {
    authorization: `Bearer ${KEY[key]}`,
  });
  return { status, report: body as Report };
};
const rows = async (key: keyof typeof KEY, query = ''): Promise<string[]> => {
  const { report } = await asked(key, `/v1/usage${query}`);
  return report.data.map(({ day, tenant, turns }) => `${day} ${tenant} ${turns}`);
};

describe('GET /v1/usage', () => {
  test('reports the last seven days of the key’s tenant', async () => {
    expect(await rows('acme')).toEqual(['2026-11-26 acme 1', '2026-11-20 acme 1']);
  });

  test('reports the days that are named, both included', async () => {
    expect(await rows('acme', '?from=2026-11-19&to=2026-11-20')).toEqual([
      '2026-11-20 acme 1',
      '2026-11-19 acme 1',
    ]);
    expect(await rows('acme', '?to=2026-11-19')).toEqual(['2026-11-19 acme 1']);
  });

  test('reports all tenants to an operator, or the one that it names', async () => {
    expect(await rows('ops', '?from=2026-11-26')).toEqual(['2026-11-26 acme 1', '2026-11-26 shop 1']);
    expect(await rows('ops', '?from=2026-11-26&tenant=shop')).toEqual(['2026-11-26 shop 1']);
  });

  test('of another tenant needs the role of an operator', async () => {
    expect(await rows('acme', '?tenant=acme&from=2026-11-26')).toEqual(['2026-11-26 acme 1']);
    expect((await asked('acme', '/v1/usage?tenant=shop')).status).toBe(403);
  });

  test.each(['2026-02-30', '2026-1-1', 'today', '2026-11-26T00:00:00Z'])(
    'refuses the day %s',
    async (day) => {
      const { status, report } = await asked('acme', `/v1/usage?from=${day}`);
      expect([status, report.error?.message]).toEqual([400, expect.stringContaining("Invalid 'from'")]);
    },
  );
});

/** An assistant of the tenant is run with the key. */
const create = async (key: keyof typeof KEY, tenant: string) => {
  const assistant = await store.createAssistant(tenant, { model: 'm' }, NOW);
  return call(
    api().fetch,
    'POST',
    '/v1/threads/runs',
    { assistant_id: assistant.id },
    { authorization: `Bearer ${KEY[key]}` },
  );
};

describe('a day whose budget is used up', () => {
  test('refuses a run before it exists, and asks clients not to repeat the request', async () => {
    const before = started.length;
    const { status, body, headers } = await create('shop', 'shop');
    expect([status, body]).toMatchObject([
      429,
      { error: { type: 'insufficient_quota', code: 'insufficient_quota' } },
    ]);
    expect(headers.get('x-should-retry')).toBe('false');
    expect(started).toHaveLength(before);
  });

  test('is that of one tenant', async () => {
    expect((await create('acme', 'acme')).status).toBe(200);
  });
});

test.each([{ usd: '1' }, { USD: '-1' }, { USD: '' }, { USD: '1e3' }])(
  'a max_cost of %j is refused',
  async (cost) => {
    const assistant = await store.createAssistant('acme', { model: 'm' }, NOW);
    const { status, body } = await call(
      api().fetch,
      'POST',
      '/v1/threads/runs',
      { assistant_id: assistant.id, max_cost: cost },
      { authorization: `Bearer ${KEY.acme}` },
    );
    expect([status, body]).toMatchObject([400, { error: { param: 'max_cost' } }]);
  },
);
