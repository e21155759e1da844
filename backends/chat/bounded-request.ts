/**
 * The request of a turn within the run's limits and the budgets, and the estimate of what a turn used.
 *
 * Rule: a run or tenant with a limit is counted on every server; where the server reports nothing, by an estimate.
 * Imported by `turn.ts` and `ask-models.ts`.
 */
import type { BackendContext, Usage } from '../../protocol/ports/backend.ts';
import type { ModelRequest } from '../../protocol/ports/model.ts';
import type { ModelCandidate } from '../../protocol/ports/model-router.ts';
import type { RunLease, StoredRunState, TurnStore } from '../../protocol/ports/turn-store.ts';
import type { Budget, TurnAllowance } from '../../protocol/rules/budget.ts';
import type { TokenPrice } from '../../protocol/rules/cost.ts';
import { askBudgets, hasBudget } from './budget.ts';
import type { PendingClaim } from './pending-claim.ts';
import { estimateTokens, type PromptCut } from './prompt.ts';
import { systemMessages, turnRequest } from './request.ts';
import type { ModelTurn } from './turn-recorder.ts';

export interface PricingOptions {
  /** What a model costs now whose entry says nothing; null = not known. */
  priceOf: (model: string) => TokenPrice | null;
  /** null = the tenant has no budget. */
  budgetOf: (tenant: string) => Budget | null;
}

export interface BoundedRequest {
  request: ModelRequest;
  price: TokenPrice | null;
  allowed: TurnAllowance;
}

/** The turn's request, its answer bounded by the run's limits and by the budgets. Throws when a budget refuses the turn. */
export const boundedRequest = async (
  state: StoredRunState,
  speaker: Pick<ModelCandidate, 'model' | 'price' | 'capabilities'>,
  messages: ModelRequest['messages'],
  options: PricingOptions & { store: Pick<TurnStore, 'reserveTurn'> },
  { lease, taking, ctx }: { lease: RunLease; taking: PendingClaim; ctx: BackendContext },
): Promise<BoundedRequest> => {
  const request = turnRequest(state, messages, speaker);
  const price = speaker.price ?? options.priceOf(request.model);
  const budget = options.budgetOf(state.tenant);
  if (!hasBudget({ state, budget }))
    return { request, price, allowed: { kind: 'fits', answer: request.maxOutputTokens, by: null } };
  // A reservation is written: the claim must be whole.
  await taking.done;
  const allowed = await askBudgets({ state, request, price, budget }, options.store, lease, ctx);
  return allowed.kind === 'fits'
    ? { request: { ...request, maxOutputTokens: allowed.answer }, price, allowed }
    : { request, price, allowed };
};

/** A limit or a budget must end a run also on a server that never reports usage. */
export const mustCount = (state: StoredRunState, { budgetOf }: Pick<PricingOptions, 'budgetOf'>): boolean =>
  state.config.max_completion_tokens !== null ||
  state.config.max_prompt_tokens !== null ||
  hasBudget({ state, budget: budgetOf(state.tenant) });

export const estimatedUsage = (state: StoredRunState, cut: PromptCut, spoken: ModelTurn): Usage => {
  const promptTokens = cut.tokens + estimateTokens(systemMessages(state.config));
  const said = spoken.text + spoken.calls.map((call) => call.name + call.arguments).join('');
  const completionTokens = Math.ceil(Buffer.byteLength(said) / 4);
  return { promptTokens, completionTokens, totalTokens: promptTokens + completionTokens };
};
