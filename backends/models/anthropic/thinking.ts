/**
 * How much a Claude model shall think, wherever it runs.
 *
 * Rule: none where the provider refuses it: with a forced tool, or when the newest calls are those of another model. Pure.
 * Imported by the adapters for Anthropic and Bedrock.
 */
import type { ModelRequest } from '../../../protocol/ports/model.ts';

/** Thinking tokens for each reasoning effort. A model that sets its own budget gets the effort only. */
const BUDGETS: Readonly<Record<string, number>> = { minimal: 1_024, low: 2_048, medium: 8_192, high: 24_576 };

/** The provider's least. */
const LEAST_BUDGET = 1_024;
/** Room for the answer behind the thinking. */
const LEAST_ANSWER = 256;

/** The newest round of calls is the model's own: calls without their thinking are refused. */
const thoughtBefore = ({ messages }: ModelRequest): boolean => {
  const at = messages.findLastIndex(({ role }) => role === 'user');
  return messages
    .slice(at + 1)
    .every((message) => message.role !== 'assistant' || message.providerTurn?.data != null);
};

/** `maxOutputTokens`: of the answer alone, as the libraries take it; null = no limit. */
export const claudeThinking = (
  request: ModelRequest,
): { budgetTokens: number; maxOutputTokens: number | null } | null => {
  const { reasoningEffort, toolChoice, responseFormat, maxOutputTokens } = request;
  const wanted = reasoningEffort === null ? undefined : BUDGETS[reasoningEffort];
  // A forced tool and thinking exclude each other, and a schema may become a forced tool.
  const forced =
    (toolChoice !== null && toolChoice !== 'auto' && toolChoice !== 'none') || responseFormat !== null;
  if (wanted === undefined || forced || !thoughtBefore(request)) return null;
  const budgetTokens = maxOutputTokens === null ? wanted : Math.min(wanted, maxOutputTokens - LEAST_ANSWER);
  if (budgetTokens < LEAST_BUDGET) return null;
  return {
    budgetTokens,
    maxOutputTokens: maxOutputTokens === null ? null : maxOutputTokens - budgetTokens,
  };
};
