import { createOpenAiCompatible } from '../../../backends/models/openai-compatible/index.ts';
import { body, call, data, delta, DONE, ends, piece, said, usage } from '../../support/chat-wire.ts';
import { describeModelContract, type Scenario } from '../../support/model-contract.ts';
import { useWire } from '../../support/model-wire.ts';
import { sse, type Step } from '../../support/scripted-http.ts';

const refuses = (
  status: number,
  message: string,
  code: string | null = null,
  headers: Record<string, string> = {},
): Step => body({ error: { message, type: 'invalid_request_error', param: null, code } }, status, headers);

const stepOf = (scenario: Scenario): Step => {
  switch (scenario.kind) {
    case 'text': {
      const { prompt, completion, cached, reasoning } = scenario.usage;
      return sse([
        ...scenario.pieces.map(said),
        ends(),
        usage({
          prompt_tokens: prompt,
          completion_tokens: completion,
          total_tokens: prompt + completion,
          prompt_tokens_details: { cached_tokens: cached },
          completion_tokens_details: { reasoning_tokens: reasoning },
        }),
        DONE,
      ]);
    }
    case 'calls':
      return sse([
        delta({ role: 'assistant', content: null }),
        ...scenario.calls.flatMap(({ name, pieces }, index) => [
          piece(call(index, `id_${index}`, name, '', { extra_content: { signature: scenario.signature } })),
          ...pieces.map((args) => piece(call(index, undefined, null, args))),
        ]),
        ends('tool_calls'),
        DONE,
      ]);
    case 'length':
      return sse([said(scenario.text), ends('length'), DONE]);
    case 'filtered':
      return sse([said(scenario.text), ends('content_filter'), DONE]);
    case 'ends_early':
      return sse([said(scenario.text)]);
    case 'breaks_inside':
      return sse([said(scenario.text), data({ error: { message: 'Overloaded', code: 503 } })]);
    case 'unknown':
      return sse([
        ': moon\n\n',
        data({ moon_phase: 'full' }),
        delta({ content: scenario.text, mood: { calm: true } }, null, { lumen: [1] }),
        ends(),
        DONE,
      ]);
    case 'object':
      return sse([said(scenario.text), ends(), DONE]);
    case 'huge':
      return sse([`data: ${'x'.repeat(scenario.chars)}`], 'hold');
    case 'failed':
      return refuses(500, 'internal error');
    case 'cut':
      return sse([said(scenario.text)], 'cut');
    case 'stalls':
      return sse([said(scenario.text)], 'hold');
    case 'too_long':
      return refuses(400, 'too long', 'context_length_exceeded');
    case 'unauthorized':
      return refuses(401, 'Incorrect API key', 'invalid_api_key');
    case 'unavailable':
      return refuses(503, 'overloaded');
    case 'rejected':
      return refuses(400, 'bad request');
    default:
      return refuses(429, 'slow down', 'rate_limit_exceeded', {
        'retry-after': String(scenario.retryAfterSeconds),
      });
  }
};

const wire = useWire({
  stepOf,
  create: (url) =>
    Promise.resolve(createOpenAiCompatible({ baseUrl: `${url}/v1`, apiKey: 'key-1', settleMs: 30 })),
  repeats: (request, signature) => {
    const text = JSON.stringify(request);
    return (
      text.includes(`"extra_content":{"signature":"${signature}"}`) &&
      text.includes('"id_0"') &&
      text.includes('"id_1"')
    );
  },
});

describeModelContract('openai-compatible', wire);
