/** The contract of models by Google's generateContent, and what only this wire has. */
import { expect, test } from 'vitest';
import { openModel } from '../../../backends/models/open-model.ts';
import { weatherAnswered } from '../../support/given-back.ts';
import { googleChunk, googleStep } from '../../support/google-wire.ts';
import { describeModelContract } from '../../support/model-contract.ts';
import { collectTurn, modelRequest, withTools } from '../../support/model-turn.ts';
import { useWire } from '../../support/model-wire.ts';
import { json, sse } from '../../support/scripted-http.ts';

const wire = useWire({
  stepOf: googleStep,
  create: (url) => openModel('google', { baseUrl: `${url}/v1beta`, apiKey: 'key-1' }),
  repeats: (request, signature) => {
    const text = JSON.stringify(request);
    return (
      text.includes(`"thoughtSignature":"${signature}"`) &&
      text.includes('"own_0"') &&
      text.includes('"own_1"')
    );
  },
});

describeModelContract('google', wire);

const thoughtful = sse([
  googleChunk([{ text: 'First.', thought: true }]),
  googleChunk([{ text: 'I look.' }]),
  googleChunk([
    { functionCall: { name: 'get_weather', args: { city: 'Paris' } }, thoughtSignature: 'c2lnMQ==' },
  ]),
  googleChunk([], 'STOP'),
]);

test('a thought signature goes back with its call', async () => {
  wire().script(thoughtful, googleStep({ kind: 'length', text: 'x' }));
  const turn = await collectTurn(wire().create(), withTools({ model: 'gemini-3-pro' }));
  expect(turn).toMatchObject({ reasoning: 'First.', text: 'I look.', error: null });
  await collectTurn(wire().create(), withTools({ model: 'gemini-3-pro', messages: weatherAnswered(turn) }));
  const [, second] = wire().requests();
  expect(second?.['contents']).toMatchObject([
    { role: 'user' },
    {
      role: 'model',
      parts: [
        { text: 'I look.' },
        { functionCall: { name: 'get_weather', args: { city: 'Paris' } }, thoughtSignature: 'c2lnMQ==' },
      ],
    },
    { role: 'user', parts: [{ functionResponse: { name: 'get_weather' } }] },
  ]);
});

test('calls that Gemini misses a signature for are told in words at the third request', async () => {
  const missing = json(
    {
      error: {
        code: 400,
        status: 'INVALID_ARGUMENT',
        message: 'Function call is missing a thought_signature in functionCall parts.',
      },
    },
    400,
  );
  wire().script(thoughtful, missing, missing, googleStep({ kind: 'length', text: 'Sunny' }));
  const turn = await collectTurn(wire().create(), withTools());
  const again = await collectTurn(wire().create(), withTools({ messages: weatherAnswered(turn) }));
  expect(again).toMatchObject({ text: 'Sunny', error: null });
  const last = JSON.stringify(wire().requests()[3]);
  expect(last).toContain('[Called get_weather with');
  expect(last).not.toContain('functionCall');
});

test('a blocked prompt ends by the filter, with the provider’s word', async () => {
  wire().script(
    sse([
      `data: ${JSON.stringify({ promptFeedback: { blockReason: 'OTHER' }, usageMetadata: { promptTokenCount: 3 } })}\n\n`,
    ]),
  );
  expect(await collectTurn(wire().create(), modelRequest())).toMatchObject({
    finish: { reason: 'content_filter', raw: 'OTHER' },
    error: null,
  });
});

test('a reason that makes the library ask again costs no second request', async () => {
  wire().script(sse([googleChunk([{ text: 'Half' }], 'CONTINUATION')]));
  expect(await collectTurn(wire().create(), modelRequest())).toMatchObject({ error: { kind: 'broken_off' } });
  expect(wire().requests()).toHaveLength(1);
});

test.each([
  ['gemini-2.5-flash', 'low', { thinkingBudget: 1_024 }],
  ['gemini-3-pro', 'high', { thinkingLevel: 'high' }],
])('%s gets the effort %s in its own terms', async (model, reasoningEffort, thinkingConfig) => {
  wire().play({ kind: 'length', text: 'x' });
  await collectTurn(wire().create(), modelRequest({ model, reasoningEffort }));
  expect(wire().requests()[0]).toMatchObject({ generationConfig: { thinkingConfig } });
  const [{ target, headers } = { target: '', headers: {} }] = wire().http.requests;
  expect(target).toBe(`/v1beta/models/${model}:streamGenerateContent?alt=sse`);
  expect(headers).toMatchObject({ 'x-goog-api-key': 'key-1' });
});
