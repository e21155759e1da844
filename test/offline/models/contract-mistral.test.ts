/** The contract of models by Mistral's chat completions, and what only this wire has. */
import { expect, test } from 'vitest';
import { openModel } from '../../../backends/models/open-model.ts';
import { DONE } from '../../support/chat-server.ts';
import { weatherAnswered } from '../../support/given-back.ts';
import { MISTRAL_USAGE, mistralCall, mistralChunk, mistralStep } from '../../support/mistral-wire.ts';
import { describeModelContract } from '../../support/model-contract.ts';
import { collectTurn, modelRequest, withTools } from '../../support/model-turn.ts';
import { useWire } from '../../support/model-wire.ts';
import { sse } from '../../support/scripted-http.ts';

const wire = useWire({
  stepOf: mistralStep,
  create: (url) => openModel('mistral', { baseUrl: `${url}/v1`, apiKey: 'key-1' }),
  uncounted: ['reasoningTokens'],
  repeats: (request, signature) => {
    const text = JSON.stringify(request);
    return (
      text.includes(`{"type":"thinking","thinking":[{"type":"text","text":"${signature}"}]`) &&
      text.includes('"own0ABCDE"') &&
      text.includes('"own1ABCDE"')
    );
  },
});

describeModelContract('mistral', wire);

test('arguments as an object, and counts in a chunk without a choice, are read', async () => {
  const args = { city: 'Paris' };
  wire().script(
    sse([
      mistralChunk({
        tool_calls: [
          {
            ...mistralCall(0, 'abcdefghi', 'get_weather', ''),
            function: { name: 'get_weather', arguments: args },
          },
        ],
      }),
      mistralChunk({}, 'tool_calls'),
      `data: ${JSON.stringify({ choices: [], ...MISTRAL_USAGE })}\n\n`,
      DONE,
    ]),
  );
  const turn = await collectTurn(wire().create(), withTools());
  expect(turn).toMatchObject({
    calls: [['get_weather', JSON.stringify(args)]],
    usage: { totalTokens: 8 },
    finish: { reason: 'tool_calls', raw: 'tool_calls' },
  });
  wire().play({ kind: 'length', text: 'x' });
  await collectTurn(wire().create(), withTools({ messages: weatherAnswered(turn) }));
  expect(JSON.stringify(wire().requests()[1])).toContain('"tool_call_id":"abcdefghi"');
});

test.each([
  ['low', 'high'],
  ['minimal', 'none'],
])('the effort %s is %s', async (reasoningEffort, sent) => {
  wire().play({ kind: 'length', text: 'x' });
  await collectTurn(wire().create(), modelRequest({ reasoningEffort }));
  expect(wire().requests()[0]).toMatchObject({ reasoning_effort: sent });
});
