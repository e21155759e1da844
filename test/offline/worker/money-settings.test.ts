/** `RUNS_MODEL_PRICE` and `RUNS_BUDGETS`: read exactly, refused with what is wrong, shown by name. */
import { describe, expect, test } from 'vitest';
import { configErrors, configFromEnv } from '../../../worker/config.ts';
import { configWarnings } from '../../../worker/config-warnings.ts';
import { describeConfig } from '../../../worker/describe-config.ts';

const CHAT = {
  RUNS_BACKEND: 'chat',
  OPENAI_BASE_URL: 'http://127.0.0.1:9/v1',
  DATABASE_URL: 'postgres://h/x',
};

describe('the price of the models', () => {
  test('is what a million tokens cost', () => {
    const { modelPrice } = configFromEnv({
      RUNS_MODEL_PRICE: '{"currency":"USD","input":2.5,"cached_input":1.25,"output":10}',
    });
    expect(modelPrice).toEqual({ currency: 'USD', input: 2.5, cachedInput: 1.25, output: 10 });
    const plain = configFromEnv({ RUNS_MODEL_PRICE: '{"currency":"EUR","input":0,"output":0}' });
    expect(plain.modelPrice).toEqual({ currency: 'EUR', input: 0, cachedInput: null, output: 0 });
    expect(describeConfig(plain)['modelPrice']).toBe('0, 0 for answers, in EUR for a million tokens');
    expect(configFromEnv({}).modelPrice).toBeNull();
  });

  test.each([
    ['2.5', /not a JSON object/],
    ['{', /not a JSON object/],
    ['{"input":1,"output":1}', /"currency" must be three capital letters/],
    ['{"currency":"usd","input":1,"output":1}', /"currency" must be/],
    ['{"currency":"USD","input":-1,"output":1}', /"input" must be a number from 0/],
    ['{"currency":"USD","input":1,"output":"1"}', /"output" must be a number/],
    ['{"currency":"USD","input":1,"cached_input":-1,"output":1}', /"cached_input" must be/],
    ['{"currency":"USD","input":1,"output":1,"cached":1}', /"cached" is not one of its fields/],
  ])('%s is refused at start', (value, words) => {
    const errors = configErrors(configFromEnv({ ...CHAT, RUNS_MODEL_PRICE: value }), 'worker');
    expect(errors).toEqual([expect.stringMatching(words)]);
    expect(errors[0]).toContain('RUNS_MODEL_PRICE');
  });
});

describe('the budgets of tenants', () => {
  test('are those that are named, and of all others', () => {
    const config = configFromEnv({
      RUNS_BUDGETS: JSON.stringify({
        '*': { tokens_per_day: 1_000, cost_per_day: { USD: '20.5' } },
        shop: { tokens_per_run: 5, cost_per_run: { USD: '1', EUR: '0.9' } },
      }),
    });
    expect(config.invalid).toEqual([]);
    expect(config.budgets.get('*')).toEqual({
      tokensPerRun: null,
      tokensPerDay: 1_000,
      costPerRun: null,
      costPerDay: { USD: '20.5' },
    });
    expect(config.budgets.get('shop')).toEqual({
      tokensPerRun: 5,
      tokensPerDay: null,
      costPerRun: { USD: '1', EUR: '0.9' },
      costPerDay: null,
    });
    expect(describeConfig(config)['budgets']).toBe('all others, shop');
    expect(describeConfig(configFromEnv({}))['budgets']).toBe('none');
  });

  test.each([
    ['[]', /must be a JSON object of tenants/],
    ['{"shop":1}', /the budget of "shop" must be an object/],
    ['{"shop":{"tokens":1}}', /unknown field "tokens"; it may have tokens_per_run/],
    ['{"shop":{"tokens_per_day":1.5}}', /whole number, 0 or more, as "tokens_per_day"/],
    ['{"shop":{"tokens_per_run":-1}}', /whole number, 0 or more, as "tokens_per_run"/],
    ['{"shop":{"cost_per_day":20}}', /currencies and decimal amounts as "cost_per_day"/],
    ['{"shop":{"cost_per_day":{"USD":20}}}', /decimal amounts/],
    ['{"shop":{"cost_per_run":{}}}', /decimal amounts as "cost_per_run"/],
    ['{"shop":{"cost_per_run":{"usd":"1"}}}', /decimal amounts/],
  ])('%s is refused at start', (value, words) => {
    const errors = configErrors(configFromEnv({ ...CHAT, RUNS_BUDGETS: value }), 'serve');
    expect(errors).toEqual([expect.stringMatching(words)]);
    expect(errors[0]).toContain('RUNS_BUDGETS');
  });
});

const warnings = (env: Record<string, string>): string[] =>
  configWarnings(configFromEnv({ ...CHAT, ...env }), 'serve');

test('settings of money that have no effect are pointed out', () => {
  const budgets = { RUNS_BUDGETS: '{"shop":{"cost_per_day":{"USD":"1"}}}' };
  const price = { RUNS_MODEL_PRICE: '{"currency":"USD","input":1,"output":1}' };
  expect(warnings({ ...budgets, ...price })).toEqual([]);
  expect(warnings(budgets)).toEqual([
    'RUNS_BUDGETS limits costs in USD, and RUNS_MODEL_PRICE has no price in USD: these limits have no effect; set a price in that currency',
  ]);
  expect(warnings({ ...price, RUNS_BACKEND: 'assistants', DATABASE_URL: '' })).toEqual([
    'RUNS_MODEL_PRICE and RUNS_BUDGETS are ignored with RUNS_BACKEND=assistants: that server counts tokens',
  ]);
});
