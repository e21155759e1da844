/**
 * The body of a chat-completions request.
 *
 * Rule: only what the turn asks for is sent; a parameter that says what the server does anyway is left out, since local
 * servers refuse what they do not know. A tool always has parameters: some templates fail without. Pure.
 * Imported within `backends/models/openai-compatible/` and by tests.
 */
import type { ModelRequest } from '../../../protocol/ports/model.ts';
import type { FunctionTool } from '../../../protocol/wire/objects.ts';
import type { Adjustment } from './capabilities.ts';
import { wireMessages, type Speaker } from './messages.ts';

export type MaxTokensField = 'max_completion_tokens' | 'max_tokens';

const NO_PARAMETERS = { type: 'object', properties: {} };

/** `strict: null` is the API's way to say nothing; model servers read it as a wrong type. */
const toolOf = ({ function: { strict, ...rest } }: FunctionTool): FunctionTool => ({
  type: 'function',
  function: { ...rest, parameters: rest.parameters ?? NO_PARAMETERS, ...(strict == null ? {} : { strict }) },
});

export const streams = (request: ModelRequest, adjustments: ReadonlySet<Adjustment>): boolean =>
  !adjustments.has('no_stream') && !(adjustments.has('no_stream_with_tools') && request.tools.length > 0);

export const maxTokensField = (adjustments: ReadonlySet<Adjustment>): MaxTokensField =>
  adjustments.has('other_max_tokens_field') ? 'max_tokens' : 'max_completion_tokens';

const format = (given: ModelRequest['responseFormat']): Record<string, unknown> =>
  given === null || given === 'auto' || given.type === 'text' ? {} : { response_format: given };

export const requestBody = (
  request: ModelRequest,
  speaker: Speaker,
  adjustments: ReadonlySet<Adjustment>,
  extraBody: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> => {
  const { toolChoice, temperature, topP, reasoningEffort, maxOutputTokens } = request;
  const tools = request.tools.map(toolOf);
  const sequential = !request.parallelToolCalls && !adjustments.has('no_parallel_tool_calls_field');
  return {
    model: request.model,
    messages: wireMessages(request.messages, speaker, adjustments),
    ...(tools.length === 0
      ? {}
      : {
          tools,
          ...(toolChoice === null || toolChoice === 'auto' ? {} : { tool_choice: toolChoice }),
          ...(sequential ? { parallel_tool_calls: false } : {}),
        }),
    ...(temperature === null ? {} : { temperature }),
    ...(topP === null ? {} : { top_p: topP }),
    ...format(request.responseFormat),
    ...(reasoningEffort === null ? {} : { reasoning_effort: reasoningEffort }),
    ...(maxOutputTokens === null ? {} : { [maxTokensField(adjustments)]: maxOutputTokens }),
    ...(streams(request, adjustments)
      ? {
          stream: true,
          ...(adjustments.has('no_stream_usage') ? {} : { stream_options: { include_usage: true } }),
        }
      : {}),
    ...extraBody,
  };
};
