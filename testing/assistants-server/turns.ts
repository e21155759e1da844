/**
 * A run's next turn: the script's input, its decision, and its cost.
 *
 * Rule: reads records, changes none. Only `testing/assistants-server/` imports it.
 */
import type { MessageContent, WireUsage } from '../../protocol/wire/objects.ts';
import { takeTurn, tokens, underRules } from '../script.ts';
import type { ScriptedTurn, TurnInput } from '../script.ts';
import type { RunRecord } from './records.ts';

const textOf = (content: readonly MessageContent[]): string =>
  content.map((part) => (part.type === 'text' ? part.text.value : '')).join('');

export const turnInput = (run: RunRecord): TurnInput => {
  const last = run.steps.findLast((step) => 'calls' in step.details);
  const calls = last !== undefined && 'calls' in last.details ? last.details.calls : [];
  return {
    round: run.round,
    messages: run.thread.messages
      .filter((message) => message.status !== 'incomplete')
      .map((message) => ({ role: message.role, text: textOf(message.content) })),
    outputs: calls.map((call) => ({
      callId: call.id,
      name: call.name,
      arguments: call.arguments,
      output: call.output ?? '',
    })),
    model: run.model,
    instructions: run.instructions,
    tools: run.tools,
    argument: run.script.argument,
    assistant: run.assistant,
    run: { id: run.id, metadata: run.metadata },
  };
};

export const decide = (run: RunRecord, input: TurnInput): ScriptedTurn =>
  underRules(takeTurn(run.script, input), {
    toolChoice: run.params.tool_choice,
    parallel: run.params.parallel_tool_calls !== false,
  });

export const turnUsage = (turn: ScriptedTurn, input: TurnInput, said: string): WireUsage => {
  const prompt =
    turn.usage?.prompt_tokens ??
    tokens(
      input.instructions ?? '',
      ...input.messages.map(({ text }) => text),
      ...input.outputs.map(({ output }) => output),
    );
  const completion = turn.usage?.completion_tokens ?? tokens(said);
  const { cached_tokens: cached, reasoning_tokens: reasoning } = turn.usage ?? {};
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    ...(cached === undefined ? {} : { prompt_token_details: { cached_tokens: cached } }),
    ...(reasoning === undefined ? {} : { completion_tokens_details: { reasoning_tokens: reasoning } }),
  };
};

/** Completion tokens that the run may still spend; null = no limit. */
export const tokensLeft = (run: RunRecord): number | null =>
  run.params.max_completion_tokens == null
    ? null
    : Math.max(0, run.params.max_completion_tokens - (run.usage?.completion_tokens ?? 0));
