import { describe, expect, test } from 'vitest';
import {
  body,
  call,
  data,
  delta,
  DONE,
  ends,
  fine,
  piece,
  said,
  usage,
  whole,
  wholeMessage,
} from '../../support/chat-wire.ts';
import { checkTurn, collectTurn, messageOf, outcomeOf, withTools } from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';
import { sse, type Step } from '../../support/scripted-http.ts';

const server = useModelServer();

const reasons: [word: string, source: string, outcome: string][] = [
  ['stop', 'OpenAI', 'stop "Half"'],
  ['STOP', 'Gemini', 'stop "Half"'],
  ['end_turn', 'llmgateway#1701', 'stop "Half"'],
  ['end', 'pi#2116', 'stop "Half"'],
  ['eos', 'vespa#33327', 'stop "Half"'],
  ['eos_token', 'TGI', 'stop "Half"'],
  ['stop_sequence', 'TGI', 'stop "Half"'],
  ['COMPLETE', 'Cohere', 'stop "Half"'],
  ['FinishReason.STOP', 'Vertex proxies', 'stop "Half"'],
  ['length', 'OpenAI', 'length "Half"'],
  ['max_tokens', 'Anthropic proxies', 'length "Half"'],
  ['MAX_TOKENS', 'Gemini', 'length "Half"'],
  ['model_length', 'Mistral', 'length "Half"'],
  ['max-tokens', 'reference', 'length "Half"'],
  ['model_context_window_exceeded', 'Anthropic', 'length "Half"'],
  ['content_filter', 'OpenAI', 'content_filter "Half"'],
  ['SAFETY', 'Gemini', 'content_filter "Half"'],
  ['sensitive', 'pi#1509', 'content_filter "Half"'],
  ['refusal', 'cherry-studio#16079', 'content_filter "Half"'],
  ['RECITATION', 'Gemini', 'content_filter "Half"'],
  ['guardrail_intervened', 'Bedrock', 'content_filter "Half"'],
  ['insufficient_system_resource', 'DeepSeek', 'error:broken_off retry'],
  ['network_error', 'pi#1509', 'error:broken_off retry'],
  ['abort', 'vllm#57082', 'error:broken_off retry'],
  ['error', 'OpenRouter', 'error:broken_off retry'],
  ['cancelled', 'reference', 'error:broken_off retry'],
  ['MALFORMED_FUNCTION_CALL', 'req_llm#935', 'error:broken_off retry'],
  ['pause_turn', 'Anthropic', 'error:broken_off retry'],
  ['a word that nobody knows', 'reference', 'error:broken_off retry'],
];

test.each(reasons)('finish reason %j (%s) ends the turn as %s', async (word, _source, outcome) => {
  server.script(sse([said('Half'), ends(word), DONE]));
  const turn = await collectTurn(server.model);
  checkTurn(turn);
  expect(outcomeOf(turn)).toBe(outcome);
  expect(turn.finish?.raw ?? messageOf(turn)).toContain(word);
});

const A = '{"city":"Paris"}';
const endings: [form: string, source: string, answer: Step, outcome: string][] = [
  [
    '`finishReason` beside `finish_reason: null`',
    'llmcord#84',
    sse([
      said('Hi'),
      data({ choices: [{ index: 0, delta: {}, finish_reason: null, finishReason: 'stop' }] }),
      DONE,
    ]),
    'stop "Hi"',
  ],
  [
    'a stop text in `stop_reason`',
    'vLLM',
    sse([
      said('Hi'),
      data({ choices: [{ index: 0, delta: {}, finish_reason: 'stop', stop_reason: '###' }] }),
      DONE,
    ]),
    'stop "Hi"',
  ],
  ['no reason, but `[DONE]`', 'open-assistant-api#28', sse([said('Hi'), DONE]), 'stop "Hi"'],
  [
    'calls without a reason, but `[DONE]`',
    'pi#6226',
    sse([piece(call(0, 'x', 'get_weather', A)), DONE]),
    `tool_calls get_weather(${A})`,
  ],
  [
    'half a call, then `[DONE]`',
    'reference',
    sse([piece(call(0, 'x', 'get_weather', '{"city":')), DONE]),
    'error:broken_off retry',
  ],
  ['`[DONE]` and nothing else', 'reference', sse([DONE]), 'error:broken_off retry'],
  [
    'an empty delta, then `[DONE]`',
    'reference',
    sse([delta({ role: 'assistant', content: '' }), DONE]),
    'error:broken_off retry',
  ],
  [
    'an empty answer with its reason',
    'OpenAI',
    sse([delta({ role: 'assistant', content: '' }), ends(), DONE]),
    'stop',
  ],
  ['the body’s end without a reason and `[DONE]`', 'pi#5793', sse([said('Hal')]), 'error:broken_off retry'],
  ['a cut connection', 'reference', sse([said('Hal')], 'cut'), 'error:broken_off retry'],
  ['a cut connection after the reason', 'reference', sse([said('Hi'), ends()], 'cut'), 'stop "Hi"'],
  [
    'a socket left open after the reason',
    'claude-code-router#1271',
    sse([said('Hi'), ends()], 'hold'),
    'stop "Hi"',
  ],
  [
    'an error after the reason',
    'reference',
    sse([said('Hi'), ends(), data({ error: { message: 'usage failed' } })]),
    'stop "Hi"',
  ],
  ['an empty body', 'reference', body(''), 'error:broken_off retry'],
  ['a whole answer without a reason', 'pydantic-ai#6610', wholeMessage({ content: 'Hi' }, null), 'stop "Hi"'],
  ['a whole answer without choices', 'OpenRouter', whole([]), 'error:broken_off retry'],
  ['a whole answer with `choices: null`', 'OpenRouter', whole(null), 'error:broken_off retry'],
  [
    'length, no word and no token: the prompt fills the window',
    'lmstudio-bug-tracker#2339',
    sse([ends('length', { usage: { prompt_tokens: 36_000, completion_tokens: 0 } }), DONE]),
    'error:too_long',
  ],
  [
    'a refusal',
    'OpenAI',
    sse([delta({ refusal: 'I can’t' }), delta({ refusal: ' help.' }), ends(), DONE]),
    'stop refusal "I can’t help."',
  ],
  [
    'two reasons, the second one graver',
    'reference',
    sse([said('Half'), ends('stop'), ends('length'), DONE]),
    'length "Half"',
  ],
];

test.each(endings)(
  'an answer is whole only when its end says so: %s (%s)',
  async (_form, _source, answer, outcome) => {
    server.script(answer);
    const turn = await collectTurn(server.model, withTools());
    checkTurn(turn);
    expect(outcomeOf(turn)).toBe(outcome);
  },
);

describe('a server that ends without a reason', () => {
  test('is believed the second time it ends like this, when it has never given one', async () => {
    server.script(sse([said('Hi')]), sse([said('Hi')]));
    expect(outcomeOf(await collectTurn(server.model))).toBe('error:broken_off retry');
    expect(outcomeOf(await collectTurn(server.model))).toBe('stop "Hi"');
  });

  test.each([
    ['its own end', sse([said('Hi')])],
    ['`[DONE]`', sse([said('Hi'), DONE])],
  ])('by %s is not believed when it has given reasons before', async (_how, answer) => {
    server.script(fine(), answer, answer, answer);
    await collectTurn(server.model);
    for (let time = 0; time < 3; time += 1)
      expect(outcomeOf(await collectTurn(server.model))).toBe('error:broken_off retry');
  });

  test('shows nothing about another model', async () => {
    server.script(sse([said('Hi')]), sse([said('Hi')]));
    await collectTurn(server.model);
    expect(outcomeOf(await collectTurn(server.model, withTools({ model: 'model-b' })))).toBe(
      'error:broken_off retry',
    );
  });
});

test('a limit that the server did not keep is a limit reached, and is called by its other name from then on', async () => {
  const request = withTools({ maxOutputTokens: 300 });
  const long = sse([said('word '), ends('stop'), usage({ prompt_tokens: 5, completion_tokens: 900 }), DONE]);
  server.script(long, fine());
  const first = server.http.requests.length;
  expect(outcomeOf(await collectTurn(server.model, request))).toBe('length "word "');
  await collectTurn(server.model, request);
  const bodies = server.http.requests
    .slice(first)
    .map((one) => JSON.parse(one.body) as Record<string, unknown>);
  expect(bodies.map((one) => [one['max_completion_tokens'], one['max_tokens']])).toEqual([
    [300, undefined],
    [undefined, 300],
  ]);
});

test('an unknown finish reason means what the settings say', async () => {
  const own = server.another({ settings: { finishReasons: { fin: 'stop' } } });
  server.script(sse([said('Hi'), ends('fin'), DONE]));
  expect(outcomeOf(await collectTurn(own))).toBe('stop "Hi"');
});
