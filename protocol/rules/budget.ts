/**
 * Budgets: whether the next turn of a run may begin, and how long its answer may be. Pure.
 *
 * Rule: a turn that can't fit is refused before its request, and one that may begin gets a limit for its answer that keeps it
 * within what is left. The prompt is an estimate; a cost is counted at the price without cache. What several turns under way
 * may still use is reserved, so that together they stay within the day.
 * Any room may import it.
 */
import { addCosts, amountIn, formatAmount, picosPerToken, type Cost, type TokenPrice } from './cost.ts';

/** What one tenant's runs may use. null = no limit. */
export interface Budget {
  tokensPerRun: number | null;
  tokensPerDay: number | null;
  costPerRun: Cost | null;
  costPerDay: Cost | null;
}

/** By tenant. `*` is every tenant that is not listed. */
export type TenantBudgets = ReadonlyMap<string, Budget>;
export const OTHER_TENANTS = '*';

/** null = the tenant has none. */
export const budgetOf = (budgets: TenantBudgets, tenant: string): Budget | null =>
  budgets.get(tenant) ?? budgets.get(OTHER_TENANTS) ?? null;

/** What is refused: `max_cost` is the run's own limit, the others are the server's. */
export type BudgetName = 'max_cost' | 'tokens_per_run' | 'cost_per_run' | 'tokens_per_day' | 'cost_per_day';

export interface SpentUsage {
  tokens: number;
  cost: Cost;
}

/** Tokens of an answer below which a turn is not worth its prompt. */
export const MIN_ANSWER_TOKENS = 16;
/** Tokens of an answer that a turn reserves of its tenant's day when its run sets no limit. */
export const RESERVED_ANSWER_TOKENS = 4_096;

/** What is left of one limit: whole tokens, or picos of a currency. */
export type BudgetLeft = { name: BudgetName } & (
  | { unit: 'tokens'; left: number }
  | { unit: 'cost'; currency: string; left: bigint }
);

export interface TurnNeed {
  /** Estimated. */
  promptTokens: number;
  /** null = the model has no price. */
  price: TokenPrice | null;
}

/** Answer tokens that fit what is left; Infinity = the limit does not bound them. */
const answerTokens = (line: BudgetLeft, { promptTokens, price }: TurnNeed): number => {
  if (line.unit === 'tokens') return line.left - promptTokens;
  // A model without a price in this currency costs nothing that this limit counts.
  if (price?.currency !== line.currency) return Infinity;
  const left = line.left - BigInt(promptTokens) * picosPerToken(price.input);
  const each = picosPerToken(price.output);
  if (left < 0n) return -1;
  return each === 0n ? Infinity : Number(left / each);
};

export type TurnAllowance =
  /** `answer`: the longest answer in tokens; null = not bounded. `by`: the limit that bounds it. */
  { kind: 'fits'; answer: number | null; by: BudgetName | null } | { kind: 'refused'; by: BudgetName };

/** The tightest of the limits decides. `wanted`: the run's own limit of answer tokens; null = none. */
export const allowTurn = (
  lines: readonly BudgetLeft[],
  need: TurnNeed,
  wanted: number | null,
): TurnAllowance => {
  const least = Math.min(MIN_ANSWER_TOKENS, wanted ?? MIN_ANSWER_TOKENS);
  let answer = wanted ?? Infinity;
  let by: BudgetName | null = null;
  for (const line of lines) {
    const fits = answerTokens(line, need);
    if (fits < least) return { kind: 'refused', by: line.name };
    if (fits >= answer) continue;
    answer = fits;
    by = line.name;
  }
  return { kind: 'fits', answer: answer === Infinity ? null : answer, by };
};

const costLines = (name: BudgetName, limit: Cost | null, spent: Cost): BudgetLeft[] =>
  Object.keys(limit ?? {}).map((currency) => ({
    name,
    unit: 'cost',
    currency,
    left: amountIn(limit ?? {}, currency) - amountIn(spent, currency),
  }));

const tokenLines = (name: BudgetName, limit: number | null, spent: number): BudgetLeft[] =>
  limit === null ? [] : [{ name, unit: 'tokens', left: limit - spent }];

/** `maxCost`: the run's own limit; null = none. */
export const leftForRun = (budget: Budget | null, maxCost: Cost | null, spent: SpentUsage): BudgetLeft[] => [
  ...costLines('max_cost', maxCost, spent.cost),
  ...tokenLines('tokens_per_run', budget?.tokensPerRun ?? null, spent.tokens),
  ...costLines('cost_per_run', budget?.costPerRun ?? null, spent.cost),
];

export const leftForDay = (budget: Budget, spent: SpentUsage): BudgetLeft[] => [
  ...tokenLines('tokens_per_day', budget.tokensPerDay, spent.tokens),
  ...costLines('cost_per_day', budget.costPerDay, spent.cost),
];

export const hasDayBudget = (budget: Budget | null): budget is Budget =>
  budget !== null && (budget.tokensPerDay !== null || budget.costPerDay !== null);

/** The limit of the day that nothing is left of; null = something is left of each. */
export const spentBudget = (budget: Budget, spent: SpentUsage): BudgetName | null =>
  leftForDay(budget, spent).find(({ left }) => left <= 0)?.name ?? null;

export const addSpent = (a: SpentUsage, b: SpentUsage): SpentUsage => ({
  tokens: a.tokens + b.tokens,
  cost: addCosts(a.cost, b.cost) ?? {},
});

export type TurnAdmission =
  /** The turn may begin; `reserved` is what it may use, and `left` bounds its answer. */
  | { kind: 'granted'; reserved: SpentUsage; left: BudgetLeft[] }
  /** It does not fit beside the turns under way, and may when they have ended. */
  | { kind: 'wait'; by: BudgetName }
  | { kind: 'refused'; by: BudgetName };

/** `others`: what other turns under way have reserved. `wanted`: answer tokens of the run's own limit; null = none. */
export const admitTurn = (
  budget: Budget,
  spent: SpentUsage,
  others: SpentUsage,
  need: TurnNeed,
  wanted: number | null,
): TurnAdmission => {
  const alone = allowTurn(leftForDay(budget, spent), need, wanted);
  if (alone.kind === 'refused') return alone;
  const left = leftForDay(budget, addSpent(spent, others));
  const beside = allowTurn(left, need, wanted);
  if (beside.kind === 'refused') return { kind: 'wait', by: beside.by };
  const answer = Math.min(beside.answer ?? RESERVED_ANSWER_TOKENS, wanted ?? RESERVED_ANSWER_TOKENS);
  return { kind: 'granted', reserved: usageOfTurn(need, answer), left };
};

const usageOfTurn = ({ promptTokens, price }: TurnNeed, answer: number): SpentUsage => ({
  tokens: promptTokens + answer,
  cost:
    price === null
      ? {}
      : {
          [price.currency]: formatAmount(
            BigInt(promptTokens) * picosPerToken(price.input) + BigInt(answer) * picosPerToken(price.output),
          ),
        },
});
