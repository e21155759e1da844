/**
 * The body of a chat-completions request, from a run's state. Pure.
 *
 * Rule: only what the run asks for is sent; a parameter that says what the server does anyway is left out, since local
 * servers refuse what they do not know. Forcing a tool applies to the first turn: forced again, the run would never end.
 * Imported within `backends/chat/` and by tests.
 */
import type { RunConfig, StoredRunState } from '../../protocol/ports/run-store.ts';
import type { FunctionTool, ResponseFormat, ToolChoice } from '../../protocol/wire/objects.ts';
import type { ChatMessage } from './types.ts';

export interface RequestOptions {
  /** Asked for in the place of the run's model. */
  model?: string;
  stream: boolean;
  /** Ask for token counts in the stream. */
  streamUsage: boolean;
  /** How the server calls the limit of an answer's length. */
  maxTokensField: 'max_completion_tokens' | 'max_tokens';
}

const toolChoice = (choice: ToolChoice, firstTurn: boolean): ToolChoice | null => {
  if (choice === 'auto') return null;
  if (choice === 'none') return 'none';
  return firstTurn ? choice : null;
};

const responseFormat = (format: ResponseFormat): ResponseFormat | null =>
  format === 'auto' || format.type === 'text' ? null : format;

/** `strict: null` is the API's way to say nothing; model servers read it as a wrong type. */
const toolOf = ({ type, function: { strict, ...rest } }: FunctionTool): FunctionTool => ({
  type,
  function: strict == null ? rest : { ...rest, strict },
});

/** Tokens that answers of this run may still have; null = no limit. 0 or less: none. */
export const completionTokensLeft = (state: Pick<StoredRunState, 'config' | 'usage'>): number | null =>
  state.config.max_completion_tokens === null
    ? null
    : state.config.max_completion_tokens - (state.usage?.completionTokens ?? 0);

export const promptTokensLeft = (state: Pick<StoredRunState, 'config' | 'usage'>): number | null =>
  state.config.max_prompt_tokens === null
    ? null
    : state.config.max_prompt_tokens - (state.usage?.promptTokens ?? 0);

export const systemMessages = (config: Pick<RunConfig, 'instructions'>): ChatMessage[] =>
  config.instructions === null || config.instructions === ''
    ? []
    : [{ role: 'system', content: config.instructions }];

/** A run may begin on an empty thread; servers want at least one message. */
const NOTHING_SAID: ChatMessage = { role: 'user', content: '' };

export const buildRequest = (
  state: Pick<StoredRunState, 'config' | 'usage' | 'round'>,
  messages: readonly ChatMessage[],
  options: RequestOptions,
): Record<string, unknown> => {
  const { config } = state;
  const tools = config.tools.map(toolOf);
  const choice = toolChoice(config.tool_choice, state.round === null);
  const format = responseFormat(config.response_format);
  const left = completionTokensLeft(state);
  const all = [...systemMessages(config), ...messages];
  return {
    model: options.model ?? config.model,
    messages: all.length === 0 ? [NOTHING_SAID] : all,
    ...(tools.length === 0
      ? {}
      : {
          tools,
          ...(choice === null ? {} : { tool_choice: choice }),
          ...(config.parallel_tool_calls ? {} : { parallel_tool_calls: false }),
        }),
    ...(config.temperature === null ? {} : { temperature: config.temperature }),
    ...(config.top_p === null ? {} : { top_p: config.top_p }),
    ...(format === null ? {} : { response_format: format }),
    ...(config.reasoning_effort === null ? {} : { reasoning_effort: config.reasoning_effort }),
    ...(left === null ? {} : { [options.maxTokensField]: left }),
    ...(options.stream
      ? { stream: true, ...(options.streamUsage ? { stream_options: { include_usage: true } } : {}) }
      : {}),
  };
};
