/** Answers of Anthropic's messages, as steps of a scripted HTTP server; forms from its documents on streaming. Tests only. */
import type { Scenario } from './model-contract.ts';
import { json, sse, type Step } from './scripted-http.ts';

export const anthropicEvent = (type: string, fields: Record<string, unknown> = {}): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;

export const anthropicStart = (
  usage: Record<string, unknown> = { input_tokens: 3, output_tokens: 1 },
): string =>
  anthropicEvent('message_start', {
    message: {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'claude',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage,
    },
  });

/** A block with its pieces. */
export const anthropicBlock = (
  index: number,
  block: Record<string, unknown>,
  pieces: Record<string, unknown>[],
): string[] => [
  anthropicEvent('content_block_start', { index, content_block: block }),
  ...pieces.map((delta) => anthropicEvent('content_block_delta', { index, delta })),
  anthropicEvent('content_block_stop', { index }),
];

export const anthropicText = (index: number, ...pieces: string[]): string[] =>
  anthropicBlock(
    index,
    { type: 'text', text: '' },
    pieces.map((text) => ({ type: 'text_delta', text })),
  );

export const anthropicThinking = (index: number, thinking: string, signature: string): string[] =>
  anthropicBlock(index, { type: 'thinking', thinking: '', signature: '' }, [
    { type: 'thinking_delta', thinking },
    { type: 'signature_delta', signature },
  ]);

export const anthropicCall = (index: number, id: string, name: string, ...pieces: string[]): string[] =>
  anthropicBlock(
    index,
    { type: 'tool_use', id, name, input: {} },
    pieces.map((partial) => ({ type: 'input_json_delta', partial_json: partial })),
  );

export const anthropicEnd = (
  reason: string,
  usage: Record<string, unknown> = { output_tokens: 5 },
): string[] => [
  anthropicEvent('message_delta', { delta: { stop_reason: reason, stop_sequence: null }, usage }),
  anthropicEvent('message_stop'),
];

const refuses = (status: number, type: string, message: string, headers: Record<string, string> = {}): Step =>
  json({ type: 'error', error: { type, message }, request_id: 'req_1' }, status, headers);

export const anthropicStep = (scenario: Scenario): Step => {
  switch (scenario.kind) {
    case 'text': {
      const { prompt, completion, cached, reasoning } = scenario.usage;
      return sse([
        anthropicStart({ input_tokens: prompt - cached, cache_read_input_tokens: cached, output_tokens: 1 }),
        ...anthropicText(0, ...scenario.pieces),
        ...anthropicEnd('end_turn', {
          output_tokens: completion,
          output_tokens_details: { thinking_tokens: reasoning },
        }),
      ]);
    }
    case 'calls':
      return sse([
        anthropicStart(),
        ...anthropicThinking(0, 'Two things are asked.', scenario.signature),
        ...scenario.calls.flatMap(({ name, pieces }, at) =>
          anthropicCall(at + 1, `toolu_0${at}`, name, ...pieces),
        ),
        ...anthropicEnd('tool_use'),
      ]);
    case 'unknown':
      return sse([
        anthropicStart({ input_tokens: 3, output_tokens: 1, service_tier: 'new', counts: [{ a: 1 }] }),
        anthropicEvent('ping'),
        anthropicEvent('moon_phase', { phase: 'full' }),
        ...anthropicBlock(0, { type: 'hologram', rays: 3 }, [{ type: 'ray_delta', ray: 1 }]),
        ...anthropicBlock(1, { type: 'text', text: '', mood: { calm: true } }, [
          { type: 'text_delta', text: scenario.text, weight: 1 },
          { type: 'glow_delta', glow: 2 },
        ]),
        ...anthropicEnd('end_turn', { output_tokens: 5, lumen: { a: 1 } }),
      ]);
    case 'object':
      return sse([
        anthropicStart(),
        ...anthropicCall(0, 'toolu_01', 'json', scenario.text),
        ...anthropicEnd('tool_use'),
      ]);
    case 'length':
      return sse([anthropicStart(), ...anthropicText(0, scenario.text), ...anthropicEnd('max_tokens')]);
    case 'filtered':
      return sse([anthropicStart(), ...anthropicText(0, scenario.text), ...anthropicEnd('refusal')]);
    case 'cut':
    case 'stalls':
    case 'ends_early':
      return sse(
        [anthropicStart(), ...anthropicText(0, scenario.text)],
        scenario.kind === 'cut' ? 'cut' : scenario.kind === 'stalls' ? 'hold' : 'end',
      );
    case 'huge':
      return sse([anthropicStart(), `data: ${'x'.repeat(scenario.chars)}`], 'hold');
    case 'breaks_inside':
      return sse([
        anthropicStart(),
        ...anthropicText(0, scenario.text),
        anthropicEvent('error', { error: { type: 'overloaded_error', message: 'Overloaded' } }),
      ]);
    case 'too_long':
      return refuses(400, 'invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum');
    case 'unauthorized':
      return refuses(401, 'authentication_error', 'invalid x-api-key');
    case 'unavailable':
      return refuses(529, 'overloaded_error', 'Overloaded');
    case 'failed':
      return refuses(500, 'api_error', 'Internal server error');
    case 'rejected':
      return refuses(400, 'invalid_request_error', 'messages: text content blocks must be non-empty');
    default:
      return refuses(429, 'rate_limit_error', 'Number of requests exceeds your rate limit', {
        'retry-after': String(scenario.retryAfterSeconds),
      });
  }
};
