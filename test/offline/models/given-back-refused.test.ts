import { describe, expect, test } from 'vitest';
import { body, call, callStream, delta, DONE, ends, fine, piece } from '../../support/chat-wire.ts';
import { NINE_ALPHANUMERICS, nextTurn, sentMessages, WEATHER } from '../../support/given-back.ts';
import { collectTurn, outcomeOf, withTools } from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';
import { sse } from '../../support/scripted-http.ts';

const server = useModelServer();

describe('a refusal that names what was given back is asked once more without', () => {
  const reasoned = sse([
    delta({ reasoning_content: 'Hm.' }),
    piece(call(0, 'x', 'get_weather', WEATHER)),
    ends('tool_calls'),
    DONE,
  ]);

  test.each([
    [
      'by path',
      'qwen-code#11045',
      body(
        {
          message:
            "messages.1.assistant.reasoning_content: property 'messages.1.assistant.reasoning_content' is unsupported",
          type: 'invalid_request_error',
          param: 'validation_error',
          code: 'wrong_api_format',
        },
        400,
      ),
    ],
    [
      'in words',
      'jan#8136',
      body(
        {
          error: {
            message:
              "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property 'reasoning_content' is unsupported)]",
          },
        },
        400,
      ),
    ],
    [
      'by a validator',
      'crush#1590',
      body(
        {
          object: 'error',
          message: {
            detail: [
              {
                type: 'extra_forbidden',
                loc: ['body', 'messages', 1, 'assistant', 'reasoning_content'],
                msg: 'Extra inputs are not permitted',
                input: '\n',
              },
            ],
          },
        },
        422,
      ),
    ],
  ])('%s (%s)', async (_how, _source, refusal) => {
    server.script(reasoned, refusal, fine());
    const { turn } = await collectTurn(server.model, withTools());
    expect(outcomeOf(await collectTurn(server.model, nextTurn(turn)))).toBe('stop "ok"');
    expect(sentMessages(server, 2).assistant).not.toHaveProperty('reasoning_content');
    expect(sentMessages(server, 2).assistant?.tool_calls?.[0]?.id).toBe('x');
  });

  test('a server that refuses the ids it has given gets nine alphanumerics (omlx#1995)', async () => {
    const refusal = body(
      { detail: 'Tool call id was call_49c89af0 but must be a-z, A-Z, 0-9, with a length of 9.' },
      500,
    );
    server.script(callStream(piece(call(0, 'call_49c89af0', 'get_weather', WEATHER))), refusal, fine());
    const { turn } = await collectTurn(server.model, withTools());
    expect(outcomeOf(await collectTurn(server.model, nextTurn(turn)))).toBe('stop "ok"');
    expect(sentMessages(server, 2).assistant?.tool_calls?.[0]?.id).toMatch(NINE_ALPHANUMERICS);
    expect(sentMessages(server, 2).tool?.tool_call_id).toBe(
      sentMessages(server, 2).assistant?.tool_calls?.[0]?.id,
    );
  });
});

describe('a server that misses what only it could have given is told of the calls in words', () => {
  test.each([
    [
      'a thought signature',
      'securo#884',
      body(
        [
          {
            error: {
              code: 400,
              message:
                'Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly.',
              status: 'INVALID_ARGUMENT',
            },
          },
        ],
        400,
      ),
    ],
    [
      'reasoning',
      'pi#3636',
      body(
        {
          error: {
            message: 'The `reasoning_content` in the thinking mode must be passed back to the API.',
            type: 'invalid_request_error',
          },
        },
        400,
      ),
    ],
  ])('%s (%s)', async (_what, _source, refusal) => {
    server.script(refusal, fine());
    expect(outcomeOf(await collectTurn(server.model, nextTurn(null)))).toBe('stop "ok"');
    expect(sentMessages(server, 1).messages).toEqual([
      { role: 'user', content: 'Weather?' },
      { role: 'assistant', content: `[Called get_weather with ${WEATHER}]` },
      { role: 'user', content: '[get_weather returned]\nSunny.' },
    ]);
  });
});
