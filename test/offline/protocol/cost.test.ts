/** Amounts and usage: exact, additive, never negative, and read back from what is written. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  addCosts,
  amountIn,
  costOf,
  formatAmount,
  parseAmount,
  picosPerToken,
} from '../../../protocol/rules/cost.ts';
import { sumUsage, fromWireUsage, wireTurnUsage } from '../../../protocol/rules/usage.ts';
import { holds } from '../../support/fuzz.ts';

const tokens = fc.nat({ max: 10_000_000 });
/** Up to six decimals: exact. */
const perMillion = fc.nat({ max: 2_000_000_000 }).map((micros) => micros / 1_000_000);
const price = fc.record({
  currency: fc.constantFrom('USD', 'EUR'),
  input: perMillion,
  cachedInput: fc.option(perMillion),
  output: perMillion,
});
const counted = fc
  .record({
    promptTokens: tokens,
    completionTokens: tokens,
    cachedTokens: fc.option(tokens),
    reasoningTokens: fc.option(tokens),
  })
  .map((usage) => ({ ...usage, totalTokens: usage.promptTokens + usage.completionTokens }));

test('a price with six decimals is exact, one with more is rounded to the sixth', () => {
  expect([2.5, 0.1, 0.075, 0.0028, 0.000001, 0.0000004, 0.0000006].map(picosPerToken)).toEqual([
    2_500_000n,
    100_000n,
    75_000n,
    2_800n,
    1n,
    0n,
    1n,
  ]);
});

test('a million tokens cost their price', () => {
  const usd = { currency: 'USD', input: 2.5, cachedInput: 1.25, output: 10 };
  const cost = (promptTokens: number, cachedTokens: number | null, completionTokens: number): string =>
    formatAmount(costOf({ promptTokens, cachedTokens, completionTokens }, usd));
  expect(cost(1_000_000, null, 0)).toBe('2.5');
  expect(cost(1_000_000, 1_000_000, 0)).toBe('1.25');
  expect(cost(0, null, 1_000_000)).toBe('10');
  expect(cost(1, null, 1)).toBe('0.0000125');
  expect(cost(1_000, 400, 10)).toBe('0.0021');
  // A server that counts more cached tokens than there are in the prompt.
  expect(cost(10, 4_000, 0)).toBe('0.0000125');
});

test('cached tokens cost as the others where they have no price, and no turn costs less than nothing', () => {
  holds(
    fc.property(counted, price, (usage, at) => {
      const all = costOf(usage, at);
      expect(all >= 0n).toBe(true);
      expect(costOf(usage, { ...at, cachedInput: null })).toBe(costOf({ ...usage, cachedTokens: null }, at));
      expect(costOf({ ...usage, completionTokens: usage.completionTokens + 1 }, at) >= all).toBe(true);
    }),
  );
});

test('the cost of two turns is the cost of both counted together, whatever the price', () => {
  const plain = counted.filter(({ cachedTokens, promptTokens }) => (cachedTokens ?? 0) <= promptTokens);
  holds(
    fc.property(plain, plain, price, (a, b, at) => {
      const both = {
        promptTokens: a.promptTokens + b.promptTokens,
        completionTokens: a.completionTokens + b.completionTokens,
        cachedTokens: (a.cachedTokens ?? 0) + (b.cachedTokens ?? 0),
      };
      expect(costOf(a, at) + costOf(b, at)).toBe(costOf(both, at));
    }),
  );
});

test('an amount is read back from its text; other texts are none', () => {
  holds(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 27n - 1n }), (picos) => {
      const text = formatAmount(picos);
      expect(parseAmount(text)).toBe(picos);
      expect(text).not.toMatch(/\.$|\.\d*0$|e/);
    }),
  );
  const others = ['', '-1', '+1', '1.', '.5', '1e3', '0x1', '1,5', ' 1', '1.0000000000001', '١'];
  expect(others.filter((text) => parseAmount(text) !== null)).toEqual([]);
});

test('costs are summed by currency, in any order', () => {
  const cost = fc.dictionary(
    fc.constantFrom('USD', 'EUR', 'JPY'),
    fc.bigInt({ min: 0n, max: 10n ** 18n }).map(formatAmount),
  );
  holds(
    fc.property(cost, cost, (a, b) => {
      const sum = addCosts(a, b);
      expect(addCosts(b, a)).toEqual(sum);
      for (const currency of ['USD', 'EUR', 'JPY'])
        expect(amountIn(sum, currency)).toBe(amountIn(a, currency) + amountIn(b, currency));
    }),
  );
  expect(addCosts(undefined, undefined)).toBeUndefined();
});

test('a part that no turn counted is absent, one that any turn counted is the sum', () => {
  holds(
    fc.property(fc.array(counted, { minLength: 1, maxLength: 6 }), (turns) => {
      const sum = turns.reduce<ReturnType<typeof sumUsage>>(sumUsage, null);
      const total = (of: (turn: (typeof turns)[number]) => number | null): number | undefined =>
        turns.every((turn) => of(turn) === null)
          ? undefined
          : turns.reduce((all, turn) => all + (of(turn) ?? 0), 0);
      expect(sum?.prompt_token_details?.cached_tokens).toBe(total((turn) => turn.cachedTokens));
      expect(sum?.completion_tokens_details?.reasoning_tokens).toBe(total((turn) => turn.reasoningTokens));
      expect(sum?.total_tokens).toBe(total((turn) => turn.totalTokens));
      expect(sum === null ? null : sumUsage(null, fromWireUsage(sum))).toEqual(sum);
    }),
  );
  expect(sumUsage(null, null)).toBeNull();
  expect(wireTurnUsage({ promptTokens: 1, completionTokens: 1, totalTokens: 2, model: 'm' })).toEqual({
    prompt_tokens: 1,
    completion_tokens: 1,
    total_tokens: 2,
    model: 'm',
  });
});
