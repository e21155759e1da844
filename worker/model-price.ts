/**
 * `RUNS_MODEL_PRICE`: what the models of the server's one provider cost.
 *
 * Rule: no effects; a value that can't be read is a problem, never a guess: a wrong price would be kept with every turn.
 * Imported by `config.ts` and `describe-config.ts`.
 */
import { quote } from '../protocol/index.ts';
import { CURRENCY, type TokenPrice } from '../protocol/rules/cost.ts';

const EXAMPLE = '{"currency":"USD","input":2.5,"cached_input":1.25,"output":10}';
const KEYS: readonly string[] = ['currency', 'input', 'cached_input', 'output'];
/** For a million tokens, in any currency. */
const MAX_PRICE = 1_000_000_000;

const isPrice = (value: unknown): value is number =>
  typeof value === 'number' && value >= 0 && value <= MAX_PRICE;

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** Pushes what can't be read to `problems`. null = no price is set. */
export const readModelPrice = (text: string | null, problems: string[]): TokenPrice | null => {
  if (text === null) return null;
  const wrong = (what: string): null => {
    problems.push(`RUNS_MODEL_PRICE must be the price of a million tokens, such as ${EXAMPLE}; ${what}`);
    return null;
  };
  const value = parsed(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return wrong('the value is not a JSON object');
  const { currency, input, cached_input: cachedInput = null, output } = value as Record<string, unknown>;
  const unknown = Object.keys(value).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) return wrong(`${quote(unknown)} is not one of its fields`);
  if (typeof currency !== 'string' || !CURRENCY.test(currency))
    return wrong('"currency" must be three capital letters');
  if (!isPrice(input)) return wrong(`"input" must be a number from 0 to ${MAX_PRICE}; got ${quote(input)}`);
  if (!isPrice(output))
    return wrong(`"output" must be a number from 0 to ${MAX_PRICE}; got ${quote(output)}`);
  if (cachedInput !== null && !isPrice(cachedInput))
    return wrong(`"cached_input" must be a number from 0 to ${MAX_PRICE}; got ${quote(cachedInput)}`);
  return { currency, input, cachedInput, output };
};

export const describePrice = (price: TokenPrice | null): string => {
  if (price === null) return 'not known';
  const cached = price.cachedInput === null ? '' : `, ${price.cachedInput} cached`;
  return `${price.input}${cached}, ${price.output} for answers, in ${price.currency} for a million tokens`;
};
