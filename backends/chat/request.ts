/**
 * Builds the request for one turn from a run's state. Pure.
 *
 * Rule: only what the run asks for. A forced tool applies to the first turn: forced again, the run would never end.
 * Imported within `backends/chat/` and by tests.
 */
import type { ModelMessage, ModelRequest } from '../../protocol/ports/model.ts';
import type { ModelCandidate } from '../../protocol/ports/model-router.ts';
import type { RunConfig, StoredRunState } from '../../protocol/ports/turn-store.ts';
import type { ResponseFormat, ToolChoice } from '../../protocol/wire/objects.ts';

const toolChoice = (choice: ToolChoice, firstTurn: boolean): ToolChoice | null => {
  if (choice === 'auto') return null;
  if (choice === 'none') return 'none';
  return firstTurn ? choice : null;
};

const responseFormat = (format: ResponseFormat): ResponseFormat | null =>
  format === 'auto' || format.type === 'text' ? null : format;

/** Tokens left for answers of this run; null = no limit. 0 or less: none. */
export const completionTokensLeft = (state: Pick<StoredRunState, 'config' | 'usage'>): number | null =>
  state.config.max_completion_tokens === null
    ? null
    : state.config.max_completion_tokens - (state.usage?.completionTokens ?? 0);

export const promptTokensLeft = (state: Pick<StoredRunState, 'config' | 'usage'>): number | null =>
  state.config.max_prompt_tokens === null
    ? null
    : state.config.max_prompt_tokens - (state.usage?.promptTokens ?? 0);

export const systemMessages = (config: Pick<RunConfig, 'instructions'>): ModelMessage[] =>
  config.instructions === null || config.instructions === ''
    ? []
    : [{ role: 'system', text: config.instructions }];

/** `speaker`: the model, as its provider calls it, and what it can do. */
export const turnRequest = (
  { config, usage, round }: Pick<StoredRunState, 'config' | 'usage' | 'round'>,
  messages: readonly ModelMessage[],
  { model, capabilities }: Pick<ModelCandidate, 'model' | 'capabilities'>,
): ModelRequest => ({
  model,
  capabilities,
  messages: [...systemMessages(config), ...messages],
  // Tools that the run was only offered are left out for a model that calls none.
  tools: config.offer_tools === true && capabilities.tools === false ? [] : config.tools,
  toolChoice: toolChoice(config.tool_choice, round === null),
  parallelToolCalls: config.parallel_tool_calls,
  responseFormat: responseFormat(config.response_format),
  temperature: config.temperature,
  topP: config.top_p,
  reasoningEffort: config.reasoning_effort,
  maxOutputTokens: completionTokensLeft({ config, usage }),
});
