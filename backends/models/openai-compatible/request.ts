/**
 * The body of a chat-completions request.
 *
 * Rule: it has only the fields that the turn sets. A parameter with the server's default value is left out, since local
 * servers refuse unknown fields. A tool always has parameters, without which some templates fail. Pure. Imported within
 * `backends/models/openai-compatible/` and by tests.
 */
import type { ModelRequest } from '../../../protocol/ports/model.ts';
import type { FunctionTool, ToolChoice } from '../../../protocol/wire/objects.ts';
import { answerToolOf, refusesFormat, type AnswerTool } from './answer-tool.ts';
import type { Adjustment } from './capabilities.ts';
import { wireMessages, type Speaker } from './messages.ts';

export type MaxTokensField = 'max_completion_tokens' | 'max_tokens';

const NO_PARAMETERS = { type: 'object', properties: {} };

/** `strict: null` is the API's way to say nothing; model servers read it as a wrong type. */
const toolOf = ({ function: { strict, ...rest } }: FunctionTool): FunctionTool => ({
  type: 'function',
  function: { ...rest, parameters: rest.parameters ?? NO_PARAMETERS, ...(strict == null ? {} : { strict }) },
});

const streams = (tools: readonly FunctionTool[], adjustments: ReadonlySet<Adjustment>): boolean =>
  !adjustments.has('no_stream') && !(adjustments.has('no_stream_with_tools') && tools.length > 0);

export const maxTokensField = (adjustments: ReadonlySet<Adjustment>): MaxTokensField =>
  adjustments.has('other_max_tokens_field') ? 'max_tokens' : 'max_completion_tokens';

/** A turn that has to call a tool is sent without the format that the server does not take. */
const format = (
  { responseFormat, tools }: ModelRequest,
  adjustments: ReadonlySet<Adjustment>,
): Record<string, unknown> =>
  responseFormat === null ||
  responseFormat === 'auto' ||
  responseFormat.type === 'text' ||
  refusesFormat({ tools }, adjustments)
    ? {}
    : { response_format: responseFormat };

/**
 * With an answer tool the model has to call one of the tools; `required` is what servers know, and with one tool it forces that
 * one. A run that allows no calls offers the answer tool alone.
 */
const toolsAndChoice = (
  { tools, toolChoice }: ModelRequest,
  answerTool: AnswerTool | null,
  adjustments: ReadonlySet<Adjustment>,
): { tools: FunctionTool[]; choice: ToolChoice | null } => {
  if (answerTool === null)
    return { tools: tools.map(toolOf), choice: toolChoice === 'auto' ? null : toolChoice };
  return {
    tools: [...(toolChoice === 'none' ? [] : tools), answerTool.tool].map(toolOf),
    choice: adjustments.has('no_forced_answer_tool') ? null : 'required',
  };
};

export const requestBody = (
  request: ModelRequest,
  speaker: Speaker,
  adjustments: ReadonlySet<Adjustment>,
  extraBody: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> => {
  const { temperature, topP, reasoningEffort, maxOutputTokens } = request;
  const { tools, choice } = toolsAndChoice(request, answerToolOf(request, adjustments), adjustments);
  const sequential = !request.parallelToolCalls && !adjustments.has('no_parallel_tool_calls_field');
  return {
    model: request.model,
    messages: wireMessages(request.messages, speaker, adjustments),
    ...(tools.length === 0
      ? {}
      : {
          tools,
          ...(choice === null ? {} : { tool_choice: choice }),
          ...(sequential ? { parallel_tool_calls: false } : {}),
        }),
    ...(temperature === null ? {} : { temperature }),
    ...(topP === null ? {} : { top_p: topP }),
    ...format(request, adjustments),
    ...(reasoningEffort === null ? {} : { reasoning_effort: reasoningEffort }),
    ...(maxOutputTokens === null ? {} : { [maxTokensField(adjustments)]: maxOutputTokens }),
    ...(streams(tools, adjustments)
      ? {
          stream: true,
          ...(adjustments.has('no_stream_usage') ? {} : { stream_options: { include_usage: true } }),
        }
      : {}),
    ...extraBody,
  };
};
