import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { createOpenAiCompatible } from '../../../backends/models/openai-compatible/index.ts';
import type { Model } from '../../../protocol/ports/model.ts';
import { body, call, delta, DONE, ends, piece, said, usage } from '../../support/chat-wire.ts';
import { describeModelContract, type ModelWire, type Scenario } from '../../support/model-contract.ts';
import { scriptedHttp, sse, type ScriptedHttp, type Step } from '../../support/scripted-http.ts';

let server: ScriptedHttp;
let models: Model[] = [];
let closings: Promise<void>[] = [];
beforeAll(async () => {
  server = await scriptedHttp();
});
beforeEach(() => {
  server.script.length = 0;
  server.requests.length = 0;
  closings = [];
});
afterEach(async () => {
  for (const model of models) await model.dispose();
  models = [];
});
afterAll(() => server.close());

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

const watched =
  (step: Step): Step =>
  (request, socket) => {
    closings.push(new Promise((resolve) => socket.once('close', () => resolve())));
    return step(request, socket);
  };

const wire: ModelWire = {
  play: (...scenarios) => void server.script.push(...scenarios.map((one) => watched(stepOf(one)))),
  requests: () => server.requests.map((one) => JSON.parse(one.body) as Record<string, unknown>),
  closed: async () => await closings.at(-1),
  create: () => {
    const model = createOpenAiCompatible({ baseUrl: `${server.url}/v1`, apiKey: 'key-1', settleMs: 30 });
    models.push(model);
    return model;
  },
  repeats: (request, signature) => {
    const text = JSON.stringify(request);
    return (
      text.includes(`"extra_content":{"signature":"${signature}"}`) &&
      text.includes('"id_0"') &&
      text.includes('"id_1"')
    );
  },
};

describeModelContract('openai-compatible', () => wire);
