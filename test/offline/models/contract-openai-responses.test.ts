/** The contract of models by OpenAI's Responses, and what only this wire has. */
import { expect, test } from 'vitest';
import { openModel } from '../../../backends/models/open-model.ts';
import { weatherAnswered } from '../../support/given-back.ts';
import { describeModelContract } from '../../support/model-contract.ts';
import { collectTurn, modelRequest, withTools } from '../../support/model-turn.ts';
import { useWire } from '../../support/model-wire.ts';
import {
  responsesCall,
  responsesEnd,
  responsesEvent,
  responsesReasoning,
  responsesStart,
  responsesStep,
  responsesText,
} from '../../support/responses-wire.ts';
import { json, sse } from '../../support/scripted-http.ts';

const wire = useWire({
  stepOf: responsesStep,
  create: (url) => openModel('openai-responses', { baseUrl: `${url}/v1`, apiKey: 'key-1' }),
  repeats: (request, signature) => {
    const text = JSON.stringify(request);
    return (
      text.includes(`{"type":"reasoning","id":"rs_0","encrypted_content":"${signature}","summary":[]}`) &&
      text.includes('"call_own_0"') &&
      text.includes('"call_own_1"')
    );
  },
});

describeModelContract('openai-responses', wire);

const thoughtful = sse([
  responsesStart(),
  ...responsesReasoning(0, 'ZW5jcnlwdGVk', 'First.', 'Second.'),
  ...responsesText(1, 'I ', 'look.'),
  ...responsesCall(2, 'call_own', 'get_weather', '{"city":', '"Paris"}'),
  responsesEnd(),
]);

test('nothing is stored, and reasoning items go back encrypted with their ids, in their order', async () => {
  wire().script(thoughtful, responsesStep({ kind: 'length', text: 'x' }));
  const turn = await collectTurn(wire().create(), withTools({ reasoningEffort: 'low' }));
  expect(turn).toMatchObject({ reasoning: 'First.Second.', text: 'I look.', error: null });
  await collectTurn(wire().create(), withTools({ reasoningEffort: 'low', messages: weatherAnswered(turn) }));
  const [first, second] = wire().requests();
  expect(first).toMatchObject({
    store: false,
    stream: true,
    include: ['reasoning.encrypted_content'],
    reasoning: { effort: 'low' },
    tools: [{ strict: false }, { strict: false }, { strict: false }],
  });
  expect(second?.['input']).toMatchObject([
    { role: 'user' },
    {
      type: 'reasoning',
      id: 'rs_0',
      encrypted_content: 'ZW5jcnlwdGVk',
      summary: [
        { type: 'summary_text', text: 'First.' },
        { type: 'summary_text', text: 'Second.' },
      ],
    },
    { role: 'assistant', id: 'msg_1', content: [{ type: 'output_text', text: 'I look.' }] },
    { type: 'function_call', call_id: 'call_own', name: 'get_weather', arguments: '{"city":"Paris"}' },
    { type: 'function_call_output', call_id: 'call_own', output: 'Sunny.' },
  ]);
});

test.each([
  [400, 'The encrypted content for item rs_0 could not be verified.', 'invalid_encrypted_content'],
  [404, "Item with id 'rs_0' not found. Items are not persisted when `store` is set to false.", null],
])(
  'a %i refusal of an earlier reasoning item is asked once more without it',
  async (status, message, code) => {
    wire().script(
      thoughtful,
      json({ error: { message, type: 'invalid_request_error', param: 'input', code } }, status),
      responsesStep({ kind: 'length', text: 'Sunny' }),
    );
    const turn = await collectTurn(wire().create(), withTools());
    const again = await collectTurn(wire().create(), withTools({ messages: weatherAnswered(turn) }));
    expect(again).toMatchObject({ text: 'Sunny', error: null });
    expect(again.observed).toContainEqual({ kind: 'fallback', reason: 'no_provider_fields' });
    const last = JSON.stringify(wire().requests()[2]);
    expect(last).not.toMatch(/rs_0|msg_1|call_own|ZW5jcnlwdGVk/);
    expect(last).toMatch(/"call_id":"[A-Za-z0-9]{9}"/);
  },
);

test('a refusal of the model is no text', async () => {
  wire().script(
    sse([
      responsesStart(),
      responsesEvent('response.refusal.delta', { item_id: 'msg_0', output_index: 0, delta: 'I can' }),
      responsesEvent('response.refusal.delta', { item_id: 'msg_0', output_index: 0, delta: 'not.' }),
      responsesEnd(),
    ]),
  );
  expect(await collectTurn(wire().create(), modelRequest())).toMatchObject({
    text: '',
    refusal: 'I cannot.',
    finish: { reason: 'stop', raw: 'completed' },
  });
});

test('an error event has the provider’s words, the time to wait too', async () => {
  const error = {
    type: 'rate_limit_exceeded',
    code: 'rate_limit_exceeded',
    message: 'Rate limit reached. Please try again in 6s.',
  };
  wire().script(
    sse([responsesStart(), responsesEvent('error', { error })]),
    sse([
      responsesStart(),
      responsesEvent('error', { code: error.code, message: error.message, param: null }),
    ]),
  );
  for (let turns = 0; turns < 2; turns += 1)
    expect(await collectTurn(wire().create(), modelRequest())).toMatchObject({
      error: { kind: 'rate_limited', retryAfterMs: 6_000, code: 'rate_limit_exceeded' },
    });
});
