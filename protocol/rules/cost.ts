/**
 * What tokens cost, and whether the next turn fits what may still be spent. Pure.
 *
 * Rule: no floating-point sums. A price is a whole number of millionths of its currency for a million tokens, so a token costs
 * a whole number of 10⁻¹² ("picos"), and the cost of a turn is exact. Only a price with more than six decimals is rounded, once.
 * Amounts leave this file as decimal texts, by currency; nothing converts one currency into another.
 * Any room may import it.
 */
import type { Usage } from '../ports/backend.ts';

/** What a million tokens cost, in a currency of three capital letters. */
export interface TokenPrice {
  currency: string;
  input: number;
  /** null = as `input`. */
  cachedInput: number | null;
  output: number;
}

/** Currency → decimal amount, such as `{ USD: '0.0125' }`. */
export type Cost = Readonly<Record<string, string>>;

const DECIMALS = 12;
const ONE = 10n ** BigInt(DECIMALS);
const AMOUNT = /^(\d{1,15})(?:\.(\d{1,12}))?$/;
export const CURRENCY = /^[A-Z]{3}$/;

/** Picos of a decimal text; null = it is no amount: digits, at most 15 before and 12 after the point. */
export const parseAmount = (text: string): bigint | null => {
  const parts = AMOUNT.exec(text);
  if (parts === null) return null;
  return BigInt(parts[1] ?? '0') * ONE + BigInt((parts[2] ?? '').padEnd(DECIMALS, '0'));
};

/** The shortest decimal text of an amount that is not negative. */
export const formatAmount = (picos: bigint): string => {
  const decimals = (picos % ONE).toString().padStart(DECIMALS, '0').replace(/0+$/, '');
  return `${picos / ONE}${decimals === '' ? '' : `.${decimals}`}`;
};

/** Picos of one token at a price for a million, rounded to the nearest millionth of the currency for a million. */
export const picosPerToken = (perMillion: number): bigint => BigInt(Math.round(perMillion * 1_000_000));

type Counted = Pick<Usage, 'promptTokens' | 'completionTokens'> & { cachedTokens?: number | null };

/** Picos. Cached tokens are a part of the prompt's; reasoning is a part of the answer's, at the same price. */
export const costOf = (usage: Counted, price: TokenPrice): bigint => {
  const cached = Math.min(usage.cachedTokens ?? 0, usage.promptTokens);
  const input = picosPerToken(price.input);
  const cachedInput = price.cachedInput === null ? input : picosPerToken(price.cachedInput);
  return (
    BigInt(usage.promptTokens - cached) * input +
    BigInt(cached) * cachedInput +
    BigInt(usage.completionTokens) * picosPerToken(price.output)
  );
};

/** Picos in one currency. */
export const amountIn = (cost: Cost | undefined, currency: string): bigint =>
  cost !== undefined && Object.hasOwn(cost, currency) ? (parseAmount(cost[currency] ?? '') ?? 0n) : 0n;

/** undefined = neither has a cost. */
export const addCosts = (a: Cost | undefined, b: Cost | undefined): Cost | undefined => {
  if (a === undefined || b === undefined) return a ?? b;
  const sum: Record<string, string> = { ...a };
  for (const currency of Object.keys(b))
    sum[currency] = formatAmount(amountIn(a, currency) + amountIn(b, currency));
  return sum;
};
