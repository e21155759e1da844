/**
 * `RUNS_BUDGETS`: what the runs of each tenant may use.
 *
 * Rule: no effects; a value that can't be read is a problem, never a guess: a budget that is misread does not protect. Maps, not
 * records: tenants may have any name.
 * Imported by `config.ts` and `describe-config.ts`.
 */
import { quote } from '../protocol/index.ts';
import { type Budget, OTHER_TENANTS, type TenantBudgets } from '../protocol/rules/budget.ts';
import { CURRENCY, parseAmount, type Cost } from '../protocol/rules/cost.ts';
import { isRecord } from '../protocol/rules/is-record.ts';

const EXAMPLE = '{"*":{"tokens_per_day":1000000,"cost_per_day":{"USD":"20"}}}';
const TOKENS = ['tokens_per_run', 'tokens_per_day'] as const;
const COSTS = ['cost_per_run', 'cost_per_day'] as const;
const KEYS: readonly string[] = [...TOKENS, ...COSTS];

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const isCost = (value: unknown): value is Cost =>
  isRecord(value) &&
  Object.keys(value).length > 0 &&
  Object.entries(value).every(
    ([currency, amount]) =>
      CURRENCY.test(currency) && typeof amount === 'string' && parseAmount(amount) !== null,
  );

/** A budget, or what is wrong with it. */
const budgetFrom = (value: unknown): Budget | string => {
  if (!isRecord(value)) return 'must be an object';
  const unknown = Object.keys(value).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) return `has the unknown field ${quote(unknown)}; it may have ${KEYS.join(', ')}`;
  const badTokens = TOKENS.find((key) => {
    const tokens = value[key];
    return tokens !== undefined && !(Number.isSafeInteger(tokens) && Number(tokens) >= 0);
  });
  if (badTokens !== undefined)
    return `must have a whole number, 0 or more, as ${quote(badTokens)}; got ${quote(value[badTokens])}`;
  const badCost = COSTS.find((key) => value[key] !== undefined && !isCost(value[key]));
  if (badCost !== undefined)
    return `must have currencies and decimal amounts as ${quote(badCost)}, such as {"USD":"20.50"}; got ${quote(value[badCost])}`;
  const tokens = (key: (typeof TOKENS)[number]): number | null =>
    typeof value[key] === 'number' ? value[key] : null;
  const cost = (key: (typeof COSTS)[number]): Cost | null => (isCost(value[key]) ? value[key] : null);
  return {
    tokensPerRun: tokens('tokens_per_run'),
    tokensPerDay: tokens('tokens_per_day'),
    costPerRun: cost('cost_per_run'),
    costPerDay: cost('cost_per_day'),
  };
};

/** Pushes what can't be read to `problems`. */
export const readBudgets = (text: string | null, problems: string[]): TenantBudgets => {
  const budgets = new Map<string, Budget>();
  if (text === null) return budgets;
  const value = parsed(text);
  if (!isRecord(value)) {
    problems.push(
      `RUNS_BUDGETS must be a JSON object of tenants, such as ${EXAMPLE}; the value is not a JSON object`,
    );
    return budgets;
  }
  for (const [tenant, sent] of Object.entries(value)) {
    const budget = budgetFrom(sent);
    if (typeof budget === 'string') problems.push(`RUNS_BUDGETS: the budget of ${quote(tenant)} ${budget}`);
    else budgets.set(tenant, budget);
  }
  return budgets;
};

export const describeBudgets = (budgets: TenantBudgets): string =>
  budgets.size === 0
    ? 'none'
    : [...budgets.keys()].map((tenant) => (tenant === OTHER_TENANTS ? 'all others' : tenant)).join(', ');
