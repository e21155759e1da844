/**
 * The parameters of a new run, resolved against its assistant.
 *
 * Rule: resolved once, at creation; later changes of the assistant do not reach the run. Pure. Imported within `store/` and by
 * tests.
 */
import type { RunParams } from '../protocol/ports/runs-service.ts';
import type { NewRun } from '../protocol/ports/run-store.ts';
import type { RunConfig } from '../protocol/ports/turn-store.ts';
import type { AssistantRow } from './schema.ts';

/** Parameters of the run first, then of the assistant, then the API's defaults. */
export const runConfig = (
  params: RunParams,
  assistant: AssistantRow['body'],
  {
    grantedTools,
    offerTools = false,
    requestedBy,
  }: Pick<NewRun, 'grantedTools' | 'offerTools' | 'requestedBy'>,
): RunConfig => {
  const base = params.instructions ?? assistant.instructions;
  const more = params.additional_instructions;
  return {
    model: params.model ?? assistant.model,
    instructions: more == null || more === '' ? base : base === null ? more : `${base}\n\n${more}`,
    tools: params.tools ?? assistant.tools,
    temperature: params.temperature ?? assistant.temperature,
    top_p: params.top_p ?? assistant.top_p,
    max_prompt_tokens: params.max_prompt_tokens ?? null,
    max_completion_tokens: params.max_completion_tokens ?? null,
    truncation_strategy: params.truncation_strategy ?? { type: 'auto', last_messages: null },
    tool_choice: params.tool_choice ?? 'auto',
    parallel_tool_calls: params.parallel_tool_calls ?? true,
    response_format: params.response_format ?? assistant.response_format,
    reasoning_effort: params.reasoning_effort ?? assistant.reasoning_effort ?? null,
    ...(Object.keys(params.max_cost ?? {}).length === 0 ? {} : { max_cost: params.max_cost ?? {} }),
    granted_tools: grantedTools,
    // A run with `tools: []` has no tools.
    ...(offerTools && params.tools == null && assistant.tools.length === 0 ? { offer_tools: true } : {}),
    ...(requestedBy === undefined ? {} : { requested_by: requestedBy }),
  };
};
