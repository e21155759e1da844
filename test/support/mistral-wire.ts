/** Answers of Mistral's chat completions, as steps of a scripted HTTP server; forms from its reference. Tests only. */
import { DONE } from './chat-server.ts';
import type { Scenario } from './model-contract.ts';
import { json, sse, type Step } from './scripted-http.ts';

type Fields = Record<string, unknown>;

export const mistralChunk = (delta: Fields, finish: string | null = null, more: Fields = {}): string =>
  `data: ${JSON.stringify({
    id: 'c1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices: [{ index: 0, delta, finish_reason: finish }],
    ...more,
  })}\n\n`;

export const MISTRAL_USAGE = { usage: { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 } };

export const mistralCall = (index: number, id: string, name: string, args: string): Fields => ({
  id,
  index,
  function: { name, arguments: args },
});

const refuses = (status: number, type: string, message: string, headers: Record<string, string> = {}): Step =>
  json({ object: 'error', message, type, param: null, code: null }, status, headers);

export const mistralStep = (scenario: Scenario): Step => {
  switch (scenario.kind) {
    case 'text': {
      const { prompt, completion, cached } = scenario.usage;
      return sse([
        mistralChunk({ role: 'assistant', content: '' }),
        ...scenario.pieces.map((content) => mistralChunk({ content })),
        mistralChunk({ content: '' }, 'stop', {
          usage: {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt + completion,
            num_cached_tokens: cached,
          },
        }),
        DONE,
      ]);
    }
    case 'calls':
      return sse([
        mistralChunk({
          content: [{ type: 'thinking', thinking: [{ type: 'text', text: scenario.signature }] }],
        }),
        mistralChunk(
          {
            content: '',
            tool_calls: scenario.calls.map(({ name, pieces }, at) =>
              mistralCall(at, `own${at}ABCDE`, name, pieces.join('')),
            ),
          },
          'tool_calls',
          MISTRAL_USAGE,
        ),
        DONE,
      ]);
    case 'unknown':
      return sse([
        `data: ${JSON.stringify({ moon_phase: 'full' })}\n\n`,
        mistralChunk(
          {
            content: [
              { type: 'hologram', rays: 3 },
              { type: 'text', text: scenario.text, mood: 1 },
            ],
          },
          null,
          {
            lumen: { a: 1 },
          },
        ),
        mistralChunk({}, 'stop', { usage: { ...MISTRAL_USAGE.usage, glow: { a: 1 } } }),
        DONE,
      ]);
    case 'object':
      return sse([mistralChunk({ content: scenario.text }), mistralChunk({}, 'stop', MISTRAL_USAGE), DONE]);
    case 'length':
      return sse([mistralChunk({ content: scenario.text }, 'length', MISTRAL_USAGE), DONE]);
    case 'filtered':
      return sse([mistralChunk({ content: scenario.text }, 'content_filter', MISTRAL_USAGE), DONE]);
    case 'cut':
    case 'stalls':
    case 'ends_early':
      return sse(
        [mistralChunk({ content: scenario.text })],
        scenario.kind === 'cut' ? 'cut' : scenario.kind === 'stalls' ? 'hold' : 'end',
      );
    case 'huge':
      return sse([mistralChunk({ content: 'a' }), `data: ${'x'.repeat(scenario.chars)}`], 'hold');
    case 'breaks_inside':
      return sse([
        mistralChunk({ content: scenario.text }),
        `data: ${JSON.stringify({ object: 'error', message: 'Service unavailable.', type: 'internal_server_error', code: '3505' })}\n\n`,
      ]);
    case 'too_long':
      return refuses(
        400,
        'invalid_request_error',
        'Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length',
      );
    case 'unauthorized':
      return json({ message: 'Unauthorized', request_id: 'r1' }, 401);
    case 'unavailable':
      return refuses(503, 'internal_server_error', 'Service unavailable.');
    case 'failed':
      return refuses(500, 'internal_server_error', 'Internal server error.');
    case 'rejected':
      return refuses(400, 'invalid_request_error', 'Invalid model.');
    default:
      return refuses(429, 'rate_limited', 'Requests rate limit exceeded', {
        'retry-after': String(scenario.retryAfterSeconds),
      });
  }
};
