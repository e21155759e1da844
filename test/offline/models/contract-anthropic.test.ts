/** The contract of models by Anthropic's messages, and what only this wire has. */
import { expect, test } from 'vitest';
import { openModel } from '../../../backends/models/open-model.ts';
import {
  anthropicBlock,
  anthropicCall,
  anthropicEnd,
  anthropicEvent,
  anthropicStart,
  anthropicStep,
  anthropicText,
  anthropicThinking,
} from '../../support/anthropic-wire.ts';
import { weatherAnswered } from '../../support/given-back.ts';
import { describeModelContract } from '../../support/model-contract.ts';
import { collectTurn, modelRequest, withTools } from '../../support/model-turn.ts';
import { useWire } from '../../support/model-wire.ts';
import { json, sse } from '../../support/scripted-http.ts';

const wire = useWire({
  stepOf: anthropicStep,
  create: (url) => openModel('anthropic', { baseUrl: `${url}/v1`, apiKey: 'key-1' }),
  repeats: (request, signature) => {
    const text = JSON.stringify(request);
    return (
      text.includes(`{"type":"thinking","thinking":"Two things are asked.","signature":"${signature}"}`) &&
      text.includes('"toolu_00"') &&
      text.includes('"toolu_01"')
    );
  },
});

describeModelContract('anthropic', wire);

const thoughtful = sse([
  anthropicStart(),
  ...anthropicThinking(0, 'First.', 'c2lnMQ=='),
  ...anthropicBlock(1, { type: 'redacted_thinking', data: 'cmVkYWN0ZWQ=' }, []),
  ...anthropicText(2, 'I ', 'look.'),
  ...anthropicCall(3, 'toolu_77', 'get_weather', '{"city":', '"Paris"}'),
  ...anthropicEnd('tool_use'),
]);

test('thinking, redacted thinking, text and calls go back in their order, with signatures and ids', async () => {
  wire().script(thoughtful, anthropicStep({ kind: 'length', text: 'x' }));
  const turn = await collectTurn(wire().create(), withTools({ reasoningEffort: 'low' }));
  expect(turn).toMatchObject({ reasoning: 'First.', text: 'I look.', error: null });
  await collectTurn(wire().create(), withTools({ reasoningEffort: 'low', messages: weatherAnswered(turn) }));
  const [first, second] = wire().requests();
  expect(first).toMatchObject({ thinking: { type: 'enabled', budget_tokens: 2_048 }, stream: true });
  expect(second?.['messages']).toMatchObject([
    { role: 'user' },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'First.', signature: 'c2lnMQ==' },
        { type: 'redacted_thinking', data: 'cmVkYWN0ZWQ=' },
        { type: 'text', text: 'I look.' },
        { type: 'tool_use', id: 'toolu_77', name: 'get_weather', input: { city: 'Paris' } },
      ],
    },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_77' }] },
  ]);
});

test('a refusal of the thinking of an earlier turn is asked once more without it', async () => {
  wire().script(
    thoughtful,
    json(
      {
        type: 'error',
        error: {
          type: 'invalid_request_error',
          message: 'messages.1.content.0: Invalid `signature` in `thinking` block',
        },
      },
      400,
    ),
    anthropicStep({ kind: 'length', text: 'Sunny' }),
  );
  const turn = await collectTurn(wire().create(), withTools());
  const again = await collectTurn(wire().create(), withTools({ messages: weatherAnswered(turn) }));
  expect(again).toMatchObject({ text: 'Sunny', error: null });
  expect(again.observed).toContainEqual({ kind: 'fallback', reason: 'no_provider_fields' });
  const last = JSON.stringify(wire().requests()[2]);
  expect(last).not.toContain('thinking');
  expect(last).not.toContain('toolu_77');
  expect(last).toMatch(/"tool_use_id":"[A-Za-z0-9]{9}"/);
});

const sunny = () => anthropicStep({ kind: 'length', text: 'Sunny' });

test('data that was refused is not sent again, is shown as learned, and data of other threads still goes back', async () => {
  const refusal = json(
    { type: 'error', error: { type: 'invalid_request_error', message: 'Invalid `signature` in `thinking`' } },
    400,
  );
  const other = sse([
    anthropicStart(),
    ...anthropicThinking(0, 'Other.', 'b3RoZXI='),
    ...anthropicCall(1, 'toolu_88', 'get_weather', '{}'),
    ...anthropicEnd('tool_use'),
  ]);
  wire().script(thoughtful, other, refusal, sunny(), sunny(), sunny());
  const model = wire().create();
  const [one, two] = [await collectTurn(model, withTools()), await collectTurn(model, withTools())];
  const refused = await collectTurn(model, withTools({ messages: weatherAnswered(one) }));
  expect(refused.observed).toContainEqual({
    kind: 'capability',
    capability: 'no_provider_fields',
    change: 'learned',
  });
  await collectTurn(model, withTools({ messages: weatherAnswered(one) }));
  await collectTurn(model, withTools({ messages: weatherAnswered(two) }));
  const sent = wire()
    .requests()
    .map((request) => JSON.stringify(request));
  expect(sent.slice(2).map((text) => text.includes('c2lnMQ=='))).toEqual([true, false, false, false]);
  expect(sent.at(-1)).toContain('b3RoZXI=');
  expect(model.learned()).toMatchObject([{ model: 'model-a', capability: 'no_provider_fields', times: 1 }]);
});

test('pause_turn is an error of its own, and not an end', async () => {
  wire().script(sse([anthropicStart(), ...anthropicText(0, 'Wait'), ...anthropicEnd('pause_turn')]));
  expect(await collectTurn(wire().create(), modelRequest())).toMatchObject({
    error: { kind: 'rejected', code: 'pause_turn', cost: 'turn', retryable: false },
  });
});

test('an end without message_stop, and a word that is not known, are broken off', async () => {
  const [delta = ''] = anthropicEnd('end_turn');
  wire().script(
    sse([anthropicStart(), ...anthropicText(0, 'Half'), delta]),
    sse([anthropicStart(), ...anthropicText(0, 'Half'), ...anthropicEnd('tired')]),
  );
  for (let turns = 0; turns < 2; turns += 1)
    expect(await collectTurn(wire().create(), modelRequest())).toMatchObject({
      text: 'Half',
      error: { kind: 'broken_off', cost: 'turn' },
    });
});

test('tool_choice none keeps the tools, which earlier calls need', async () => {
  wire().play({ kind: 'length', text: 'x' });
  await collectTurn(wire().create(), withTools({ toolChoice: 'none', parallelToolCalls: false }));
  expect(wire().requests()[0]).toMatchObject({ tool_choice: { type: 'none' }, tools: expect.any(Array) });
});

test('without a forced tool on the wire, a JSON object is asked for by one', async () => {
  wire().play({ kind: 'object', text: '{"a":1}' });
  const turn = await collectTurn(
    wire().create(),
    modelRequest({ responseFormat: { type: 'json_object' }, model: 'claude-sonnet-4-5' }),
  );
  expect(turn).toMatchObject({ text: '{"a":1}', finish: { reason: 'stop', raw: 'tool_use' } });
  expect(wire().requests()[0]).toMatchObject({ tools: [{ name: 'json' }] });
});

test('the key has its header, the version too, and the library’s stand-in for a key is not sent', async () => {
  wire().play({ kind: 'length', text: 'x' });
  await collectTurn(wire().create(), modelRequest());
  const [{ headers, target } = { headers: {}, target: '' }] = wire().http.requests;
  expect(target).toBe('/v1/messages');
  expect(headers).toMatchObject({ 'x-api-key': 'key-1', 'anthropic-version': '2023-06-01' });
  expect(JSON.stringify(headers)).not.toContain('unused');
});

test('an error event in the stream has the provider’s words', async () => {
  wire().script(
    sse([
      anthropicStart(),
      anthropicEvent('error', { error: { type: 'rate_limit_error', message: 'Slow down, key-1!' } }),
    ]),
  );
  const { error } = await collectTurn(wire().create(), modelRequest());
  expect(error).toMatchObject({ kind: 'rate_limited', code: 'rate_limit_error' });
  expect(String(error)).toContain('Slow down, [key]!');
});

test('a prompt that a filter refuses ends by the filter, and not in an error', async () => {
  wire().script(
    json(
      {
        type: 'error',
        error: { type: 'invalid_request_error', message: 'Output blocked by content filtering policy' },
      },
      400,
    ),
  );
  expect(await collectTurn(wire().create(), modelRequest())).toMatchObject({
    finish: { reason: 'content_filter', raw: null },
    error: null,
  });
});
