/**
 * Asks the budgets before a turn: those of the run, then that of the tenant's day.
 *
 * Rule: nothing is asked of the store for a tenant without a budget of the day. A refusal costs nothing and ends the run; a
 * wait for other turns is a failed attempt that Temporal repeats, and counts as no attempt at the model.
 * Imported within `backends/chat/` and by tests.
 */
import { BackendError } from '../../protocol/errors.ts';
import type { BackendContext } from '../../protocol/ports/backend.ts';
import type { ModelRequest } from '../../protocol/ports/model.ts';
import type { RunLease, StoredRunState, TurnStore } from '../../protocol/ports/turn-store.ts';
import {
  allowTurn,
  hasDayBudget,
  leftForRun,
  type Budget,
  type BudgetName,
  type TurnAllowance,
} from '../../protocol/rules/budget.ts';
import type { TokenPrice } from '../../protocol/rules/cost.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import { estimateTokens } from './prompt.ts';

/** Least pause between two looks at a budget that other turns have reserved; jitter doubles it at most. */
const WAIT_MS = 1_000;

/** The last two select the text of the run's `last_error` (last-error.ts). */
const REASONS: Record<Exclude<BudgetName, 'max_cost'>, 'run_budget_spent' | 'day_budget_spent'> = {
  tokens_per_run: 'run_budget_spent',
  cost_per_run: 'run_budget_spent',
  tokens_per_day: 'day_budget_spent',
  cost_per_day: 'day_budget_spent',
};

const refusal = (by: Exclude<BudgetName, 'max_cost'>): BackendError =>
  new BackendError(
    FAILURES.backendRejected,
    `The next turn does not fit the tenant's budget ${JSON.stringify(by)} (RUNS_BUDGETS, or budgets of the file of RUNS_MODELS). Raise it, or wait for the next day if it is one of the day.`,
    { details: [{ reason: REASONS[by] }] },
  );

const later = (by: BudgetName): BackendError =>
  new BackendError(
    FAILURES.backendUnavailable,
    `The next turn waits: running turns have reserved the rest of the tenant's budget ${JSON.stringify(by)}.`,
    { retryable: true, retryAfterMs: Math.ceil(WAIT_MS * (1 + Math.random())) },
  );

const noPrice = (currencies: readonly string[]): BackendError =>
  new BackendError(
    FAILURES.backendRejected,
    `The run has a max_cost in ${currencies.join(', ')}, and its model has no price in it (RUNS_MODEL_PRICE).`,
    { details: [{ reason: 'no_price' }] },
  );

export interface BudgetQuestion {
  state: StoredRunState;
  request: ModelRequest;
  price: TokenPrice | null;
  /** null = the tenant has none. */
  budget: Budget | null;
}

/** Tokens of a request, estimated as the prompt is cut. */
const promptTokens = ({ messages, tools }: ModelRequest): number =>
  estimateTokens(messages) + (tools.length === 0 ? 0 : Math.ceil(JSON.stringify(tools).length / 4));

export const hasBudget = ({ state, budget }: Pick<BudgetQuestion, 'state' | 'budget'>): boolean =>
  budget !== null || state.config.max_cost !== undefined;

/**
 * The longest answer that the budgets allow. Throws when a budget of the server refuses the turn; the run's own `max_cost` is
 * returned as the reason.
 */
export const askBudgets = async (
  { state, request, price, budget }: BudgetQuestion,
  store: Pick<TurnStore, 'reserveTurn'>,
  lease: RunLease,
  ctx: BackendContext,
): Promise<TurnAllowance> => {
  const need = { promptTokens: promptTokens(request), price };
  const maxCost = state.config.max_cost ?? null;
  if (maxCost !== null && (price === null || !Object.hasOwn(maxCost, price.currency)))
    throw noPrice(Object.keys(maxCost));
  const spent = { tokens: state.usage?.totalTokens ?? 0, cost: state.usage?.cost ?? {} };
  const ofRun = leftForRun(budget, maxCost, spent);
  const allowed = allowTurn(ofRun, need, request.maxOutputTokens);
  const refuse = (by: BudgetName): TurnAllowance => {
    ctx.observe?.({ kind: 'budget', budget: by, outcome: 'refused' });
    if (by === 'max_cost') return { kind: 'refused', by };
    throw refusal(by);
  };
  if (allowed.kind === 'refused') return refuse(allowed.by);
  if (!hasDayBudget(budget)) return allowed;
  const admission = await store.reserveTurn(lease, { budget, need, wanted: allowed.answer }, ctx.now());
  if (admission.kind === 'refused') return refuse(admission.by);
  if (admission.kind === 'wait') {
    ctx.observe?.({ kind: 'budget', budget: admission.by, outcome: 'waits' });
    throw later(admission.by);
  }
  return allowTurn([...ofRun, ...admission.left], need, request.maxOutputTokens);
};
