/**
 * Token counts, wherever a server puts them and whatever it calls them.
 *
 * Rule: of several counts of one answer the largest counts, field by field: streams send them growing, twice, or as zeros
 * at the end. Numbers may be text. Absurd numbers are no counts. Pure. Imported by the completion reader and tests.
 */
import type { ModelUsage } from '../../../protocol/ports/model.ts';
import { count, record } from './json-text.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';

/** No answer has as many tokens; a larger number is a timestamp or an error. */
const MAX_TOKENS = 1_000_000_000;

const first = (from: Record<string, unknown>, ...names: string[]): number | null => {
  for (const name of names) {
    const value = count(from[name]);
    if (value !== null && value <= MAX_TOKENS) return value;
  }
  return null;
};

const readOne = (raw: Record<string, unknown>): ModelUsage | null => {
  const prompt = first(
    raw,
    'prompt_tokens',
    'input_tokens',
    'promptTokens',
    'inputTokens',
    'prompt_eval_count',
    'prompt_n',
  );
  const completion = first(
    raw,
    'completion_tokens',
    'output_tokens',
    'completionTokens',
    'outputTokens',
    'eval_count',
    'predicted_n',
    'generated_tokens',
  );
  if (prompt === null && completion === null) return null;
  const inDetails = record(raw['prompt_tokens_details'] ?? raw['input_tokens_details']);
  const outDetails = record(raw['completion_tokens_details'] ?? raw['output_tokens_details']);
  const sum = (prompt ?? 0) + (completion ?? 0);
  return {
    promptTokens: prompt ?? 0,
    completionTokens: completion ?? 0,
    totalTokens: Math.max(first(raw, 'total_tokens', 'totalTokens') ?? 0, sum),
    cachedTokens:
      first(inDetails, 'cached_tokens') ??
      first(raw, 'prompt_cache_hit_tokens', 'cached_tokens', 'cache_read_input_tokens', 'cache_n'),
    reasoningTokens: first(outDetails, 'reasoning_tokens') ?? first(raw, 'reasoning_tokens'),
  };
};

const larger = (a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : Math.max(a, b);

const largest = (a: ModelUsage | null, b: ModelUsage | null): ModelUsage | null => {
  if (a === null || b === null) return a ?? b;
  return {
    promptTokens: Math.max(a.promptTokens, b.promptTokens),
    completionTokens: Math.max(a.completionTokens, b.completionTokens),
    totalTokens: Math.max(a.totalTokens, b.totalTokens),
    cachedTokens: larger(a.cachedTokens, b.cachedTokens),
    reasoningTokens: larger(a.reasoningTokens, b.reasoningTokens),
  };
};

/** No list of places is made: most chunks have no counts, and there is one for each token. */
const field = (of: unknown, name: string): unknown => (isRecord(of) ? of[name] : undefined);

/** Adds the counts of one chunk or a whole body to the earlier counts. */
export const mergeUsage = (
  before: ModelUsage | null,
  body: Record<string, unknown>,
  choices: readonly unknown[],
): ModelUsage | null => {
  let usage = before;
  const add = (place: unknown): void => {
    if (isRecord(place)) usage = largest(usage, readOne(place));
  };
  add(body['usage']);
  add(field(body['x_groq'], 'usage'));
  for (const choice of choices) {
    add(field(choice, 'usage'));
    add(field(field(choice, 'delta'), 'usage'));
  }
  add(body['timings']);
  return usage;
};
