/** Budgets as decisions: what fits, what is refused, what waits, and that turns under way stay within the day together. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addSpent,
  admitTurn,
  allowTurn,
  budgetOf,
  leftForDay,
  leftForRun,
  MIN_ANSWER_TOKENS,
  RESERVED_ANSWER_TOKENS,
  spentBudget,
  type Budget,
  type SpentUsage,
  type TurnNeed,
} from '../../../protocol/rules/budget.ts';
import { amountIn } from '../../../protocol/rules/cost.ts';
import { holds } from '../../support/fuzz.ts';

const NONE: Budget = { tokensPerRun: null, tokensPerDay: null, costPerRun: null, costPerDay: null };
const USD = { currency: 'USD', input: 1, cachedInput: null, output: 2 };
const nothing: SpentUsage = { tokens: 0, cost: {} };
const need = (promptTokens: number, price: TurnNeed['price'] = USD): TurnNeed => ({ promptTokens, price });

const ofRun = (budget: Partial<Budget>, spent: SpentUsage, prompt: number, wanted: number | null = null) =>
  allowTurn(leftForRun({ ...NONE, ...budget }, null, spent), need(prompt), wanted);
const tokensSpent = (tokens: number): SpentUsage => ({ tokens, cost: {} });

describe('a turn of a run', () => {
  test.each([
    ['no budget leaves the answer as the run wants it', ofRun({}, nothing, 9_999), null, null],
    ['and where it wants a limit, that one', ofRun({}, nothing, 9_999, 300), 300, null],
    [
      'tokens bound the answer',
      ofRun({ tokensPerRun: 1_000 }, { tokens: 400, cost: {} }, 500),
      100,
      'tokens_per_run',
    ],
    ['the run may want less', ofRun({ tokensPerRun: 1_000 }, nothing, 500, 50), 50, null],
    // 0.001 USD left: 100 prompt tokens take 0.0001, and each token of the answer 0.000002.
    ['money bounds the answer', ofRun({ costPerRun: { USD: '0.001' } }, nothing, 100), 450, 'cost_per_run'],
    [
      'the tightest bounds',
      ofRun({ costPerRun: { USD: '0.001' }, tokensPerRun: 300 }, nothing, 100),
      200,
      'tokens_per_run',
    ],
    ['another currency bounds nothing', ofRun({ costPerRun: { EUR: '0' } }, nothing, 100), null, null],
  ])('%s', (_name, allowed, answer, by) => {
    expect(allowed).toEqual({ kind: 'fits', answer, by });
  });

  test.each([
    ['the prompt alone does not fit', ofRun({ tokensPerRun: 1_000 }, nothing, 1_001), 'tokens_per_run'],
    [
      'too little is left for an answer',
      ofRun({ tokensPerRun: 1_000 }, nothing, 1_000 - MIN_ANSWER_TOKENS + 1),
      'tokens_per_run',
    ],
    ['nothing is left', ofRun({ tokensPerRun: 1_000 }, { tokens: 1_000, cost: {} }, 0), 'tokens_per_run'],
    [
      'the money is spent',
      ofRun({ costPerRun: { USD: '1' } }, { tokens: 0, cost: { USD: '1' } }, 1),
      'cost_per_run',
    ],
    [
      'more was spent than there was',
      ofRun({ costPerRun: { USD: '1' } }, { tokens: 0, cost: { USD: '3' } }, 1),
      'cost_per_run',
    ],
  ])('is refused when %s', (_name, allowed, by) => {
    expect(allowed).toEqual({ kind: 'refused', by });
  });

  test('max_cost is a limit beside those of the server', () => {
    const left = leftForRun({ ...NONE, costPerRun: { USD: '5' } }, { USD: '0.001' }, nothing);
    expect(allowTurn(left, need(100), null)).toEqual({ kind: 'fits', answer: 450, by: 'max_cost' });
    expect(allowTurn(leftForRun(null, { USD: '0' }, nothing), need(1), null)).toEqual({
      kind: 'refused',
      by: 'max_cost',
    });
  });

  test('a model that costs nothing is bounded by no amount', () => {
    const free = { ...USD, input: 0, output: 0 };
    expect(allowTurn(leftForRun(null, { USD: '0' }, nothing), need(1_000, free), null)).toMatchObject({
      kind: 'fits',
      answer: null,
    });
  });
});

describe('a turn of a day', () => {
  const day: Budget = { ...NONE, tokensPerDay: 10_000 };

  test('reserves its prompt and the answer that it may give', () => {
    expect(admitTurn(day, tokensSpent(0), tokensSpent(0), need(100), null)).toMatchObject({
      kind: 'granted',
      reserved: { tokens: 100 + RESERVED_ANSWER_TOKENS },
    });
    expect(admitTurn(day, tokensSpent(0), tokensSpent(0), need(100), 300)).toMatchObject({
      reserved: { tokens: 400 },
    });
    expect(admitTurn(day, tokensSpent(9_000), tokensSpent(0), need(100), null)).toMatchObject({
      reserved: { tokens: 1_000 },
    });
  });

  test('waits for turns under way, and is refused when it would not fit without them either', () => {
    expect(admitTurn(day, tokensSpent(0), tokensSpent(9_990), need(100), null)).toEqual({
      kind: 'wait',
      by: 'tokens_per_day',
    });
    expect(admitTurn(day, tokensSpent(9_990), tokensSpent(0), need(100), null)).toEqual({
      kind: 'refused',
      by: 'tokens_per_day',
    });
    expect(admitTurn(day, tokensSpent(9_990), tokensSpent(10), need(100), null).kind).toBe('refused');
  });

  test('whatever turns begin and end, in any order: reserved and spent stay within the day', () => {
    const budget: Budget = { ...NONE, tokensPerDay: 50_000, costPerDay: { USD: '0.06' } };
    const limit = amountIn(budget.costPerDay ?? {}, 'USD');
    const begin = fc.record({
      prompt: fc.nat({ max: 6_000 }),
      wanted: fc.option(fc.integer({ min: 1, max: 9_000 })),
    });
    holds(
      fc.property(fc.array(fc.oneof(begin, fc.constant(null)), { maxLength: 60 }), (steps) => {
        let used = nothing;
        const open: SpentUsage[] = [];
        let waits = false;
        for (const step of steps) {
          const reserved = open.reduce(addSpent, nothing);
          if (step === null) used = addSpent(used, open.shift() ?? nothing);
          else {
            const admission = admitTurn(budget, used, reserved, need(step.prompt), step.wanted);
            if (admission.kind === 'granted') open.push(admission.reserved);
            // With nothing under way there is nothing to wait for.
            waits ||= admission.kind === 'wait' && open.length === 0;
          }
          const all = addSpent(used, open.reduce(addSpent, nothing));
          expect(all.tokens).toBeLessThanOrEqual(50_000);
          expect(amountIn(all.cost, 'USD') <= limit).toBe(true);
        }
        expect(waits).toBe(false);
      }),
    );
  });

  test('is over when nothing is left of one of its limits', () => {
    const both: Budget = { ...day, costPerDay: { USD: '1' } };
    expect(spentBudget(both, { tokens: 9_999, cost: { USD: '0.999999999999' } })).toBeNull();
    expect(spentBudget(both, { tokens: 10_000, cost: {} })).toBe('tokens_per_day');
    expect(spentBudget(both, { tokens: 0, cost: { USD: '1' } })).toBe('cost_per_day');
    expect(leftForDay(NONE, nothing)).toEqual([]);
  });
});

test('a tenant has its own budget, or that of all others', () => {
  const others = { ...NONE, tokensPerDay: 1 };
  const budgets = new Map([
    ['*', others],
    ['shop', NONE],
  ]);
  expect([budgetOf(budgets, 'shop'), budgetOf(budgets, 'x'), budgetOf(new Map(), 'x')]).toEqual([
    NONE,
    others,
    null,
  ]);
});
