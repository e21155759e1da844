/**
 * The meaning of a server's finish reason.
 *
 * Rule: tolerant in spelling, strict in meaning: an unknown reason never makes an answer complete. Pure. Imported
 * within `backends/models/openai-compatible/` and by tests.
 */

/** `broken`: the answer is not whole, another attempt may be. `unknown`: the word is in no list. */
export type ReasonClass = 'stop' | 'length' | 'content_filter' | 'broken' | 'unknown';

const REASON_WORDS: Readonly<Record<Exclude<ReasonClass, 'unknown'>, readonly string[]>> = {
  stop: [
    'stop',
    'stopped',
    'stop_sequence',
    'stop_token',
    'stop_word',
    'eos',
    'eos_token',
    'eos_found',
    'end',
    'end_turn',
    'end_of_turn',
    'endturn',
    'endoftext',
    'end_of_text',
    'complete',
    'completed',
    'complete_text',
    'done',
    'finish',
    'finished',
    'normal',
    'success',
    'tool_calls',
    'tool_call',
    'toolcalls',
    'tool_use',
    'tooluse',
    'tools',
    'function_call',
    'function_calls',
    'functioncall',
    'requires_action',
  ],
  length: [
    'length',
    'length_capped',
    'max_tokens',
    'maxtokens',
    'max_output_tokens',
    'max_completion_tokens',
    'max_new_tokens',
    'max_length',
    'max_tokens_reached',
    'model_length',
    'token_limit',
    'token_limit_reached',
    'limit',
    'output_limit',
    'context_length',
    'incomplete',
    'model_context_window_exceeded',
    'context_window_exceeded',
    'max_context_length',
    'truncated',
  ],
  content_filter: [
    'content_filter',
    'contentfilter',
    'content_filtered',
    'contentfiltered',
    'content_filtering',
    'content_policy',
    'content_policy_violation',
    'filter',
    'filtered',
    'safety',
    'sensitive',
    'sensitive_content',
    'recitation',
    'blocklist',
    'prohibited_content',
    'spii',
    'image_safety',
    'refusal',
    'refused',
    'guardrail',
    'guardrail_intervened',
    'guardrails',
    'blocked',
    'moderation',
    'flagged',
    'error_toxic',
    'violation',
    'data_inspection_failed',
    'risk',
    'language',
    'model_armor',
  ],
  broken: [
    'error',
    'errored',
    'failed',
    'failure',
    'abort',
    'aborted',
    'cancel',
    'cancelled',
    'canceled',
    'interrupted',
    'timeout',
    'timed_out',
    'network_error',
    'server_error',
    'internal_error',
    'internal_server_error',
    'engine_error',
    'engine_overloaded',
    'overloaded',
    'insufficient_system_resource',
    'insufficient_resources',
    'unavailable',
    'connection_error',
    'stream_error',
    'upstream_error',
    'malformed_function_call',
    'malformed_response',
    'malformed_model_output',
    'malformed_tool_use',
    'unexpected_tool_call',
    'too_many_tool_calls',
    'finish_reason_unspecified',
    'unspecified',
    'other',
    'unknown',
    'pause_turn',
    'preempted',
    'shutdown',
    'repetition',
    'user_cancelled',
    'insufficient_quota',
    'rate_limit',
    'no_image',
    'missing_thought_signature',
  ],
};

const CLASS_BY_WORD = new Map(
  Object.entries(REASON_WORDS).flatMap(([meaning, words]) =>
    words.map((word) => [word, meaning as ReasonClass] as const),
  ),
);

/** `FinishReason.MAX_TOKENS`, `max-tokens`, `Max Tokens` → `max_tokens`. */
export const normalReason = (word: string): string =>
  word
    .trim()
    .toLowerCase()
    .replace(/^finish_?reason[._]/, '')
    .replace(/^<\|?|\|?>$/g, '')
    .replaceAll(/[\s.-]+/g, '_');

/** `own`: meanings that the operator has set; they come first. */
export const reasonClass = (word: string, own: Readonly<Record<string, ReasonClass>> = {}): ReasonClass =>
  (Object.hasOwn(own, word) ? own[word] : undefined) ?? CLASS_BY_WORD.get(normalReason(word)) ?? 'unknown';
