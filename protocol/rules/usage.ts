/**
 * Adds up the usage of turns, in the form of the wire. Pure.
 *
 * Rule: a part that no turn counted stays absent; absent is not zero. The details are spelled as the vendor's own runs spell
 * them, once with "token" and once with "tokens".
 * Any room may import it.
 */
import type { Usage } from '../ports/backend.ts';
import type { TurnUsage } from '../ports/turn-store.ts';
import type { WireUsage } from '../wire/objects.ts';
import { addCosts } from './cost.ts';

const sum = (before: number | undefined, turn: number | null | undefined): number | undefined =>
  turn == null ? before : (before ?? 0) + turn;

/** `before`: null = no turn was counted yet. The model is not kept: a run's turns may have several. */
export const sumUsage = (before: WireUsage | null, turn: Usage | null): WireUsage | null => {
  if (turn === null) return before;
  const cached = sum(before?.prompt_token_details?.cached_tokens, turn.cachedTokens);
  const reasoning = sum(before?.completion_tokens_details?.reasoning_tokens, turn.reasoningTokens);
  const cost = addCosts(before?.cost, turn.cost);
  return {
    prompt_tokens: (before?.prompt_tokens ?? 0) + turn.promptTokens,
    completion_tokens: (before?.completion_tokens ?? 0) + turn.completionTokens,
    total_tokens: (before?.total_tokens ?? 0) + turn.totalTokens,
    ...(cached === undefined ? {} : { prompt_token_details: { cached_tokens: cached } }),
    ...(reasoning === undefined ? {} : { completion_tokens_details: { reasoning_tokens: reasoning } }),
    ...(cost === undefined ? {} : { cost }),
  };
};

/** The usage of one turn, with the model that answered it. */
export const wireTurnUsage = (turn: TurnUsage | null): WireUsage | null => {
  const usage = sumUsage(null, turn);
  return usage === null || turn?.model === undefined ? usage : { ...usage, model: turn.model };
};

export const fromWireUsage = (usage: WireUsage): Usage => ({
  promptTokens: usage.prompt_tokens,
  completionTokens: usage.completion_tokens,
  totalTokens: usage.total_tokens,
  ...(usage.prompt_token_details === undefined
    ? {}
    : { cachedTokens: usage.prompt_token_details.cached_tokens }),
  ...(usage.completion_tokens_details === undefined
    ? {}
    : { reasoningTokens: usage.completion_tokens_details.reasoning_tokens }),
  ...(usage.cost === undefined ? {} : { cost: usage.cost }),
});
