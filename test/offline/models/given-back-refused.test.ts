import { describe, expect, test } from 'vitest';
import type { ModelMessage, ModelRequest, ProviderTurn } from '../../../protocol/ports/model.ts';
import { body, call, callStream, delta, DONE, ends, fine, piece } from '../../support/chat-wire.ts';
import { collectTurn, outcomeOf, withTools } from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';
import { sse } from '../../support/scripted-http.ts';

const server = useModelServer();

const OURS = 'call_abcdefghijklmnopqrstuvwx';
const NINE = /^[A-Za-z0-9]{9}$/;

interface Sent {
  messages: { role: string; tool_call_id?: string; tool_calls?: { id: string }[] }[];
}
const sent = (index: number): Sent => server.sent(index) as unknown as Sent;
const assistantOf = (index: number) => sent(index).messages.find(({ role }) => role === 'assistant');
const toolOf = (index: number) => sent(index).messages.find(({ role }) => role === 'tool');

/** The next turn, after the calls of `turn` were answered, as another process would ask it. */
const next = (turn: ProviderTurn | null, more: Partial<ModelRequest> = {}): ModelRequest => {
  const kept = turn === null ? null : (JSON.parse(JSON.stringify(turn)) as ProviderTurn);
  const messages: ModelMessage[] = [
    { role: 'user', content: [{ type: 'text', text: 'Weather?' }] },
    {
      role: 'assistant',
      text: '',
      calls: [{ callId: OURS, name: 'get_weather', arguments: '{"city":"Paris"}' }],
      providerTurn: kept,
    },
    { role: 'tool', callId: OURS, name: 'get_weather', output: 'Sunny.' },
  ];
  return withTools({ messages, ...more });
};

const WEATHER = '{"city":"Paris"}';
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
    expect(outcomeOf(await collectTurn(server.model, next(turn)))).toBe('stop "ok"');
    expect(assistantOf(2)).not.toHaveProperty('reasoning_content');
    expect(assistantOf(2)?.tool_calls?.[0]?.id).toBe('x');
  });

  test('a server that refuses the ids it has given gets nine alphanumerics (omlx#1995)', async () => {
    const refusal = body(
      { detail: 'Tool call id was call_49c89af0 but must be a-z, A-Z, 0-9, with a length of 9.' },
      500,
    );
    server.script(callStream(piece(call(0, 'call_49c89af0', 'get_weather', WEATHER))), refusal, fine());
    const { turn } = await collectTurn(server.model, withTools());
    expect(outcomeOf(await collectTurn(server.model, next(turn)))).toBe('stop "ok"');
    expect(assistantOf(2)?.tool_calls?.[0]?.id).toMatch(NINE);
    expect(toolOf(2)?.tool_call_id).toBe(assistantOf(2)?.tool_calls?.[0]?.id);
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
    expect(outcomeOf(await collectTurn(server.model, next(null)))).toBe('stop "ok"');
    expect(sent(1).messages).toEqual([
      { role: 'user', content: 'Weather?' },
      { role: 'assistant', content: `[Called get_weather with ${WEATHER}]` },
      { role: 'user', content: '[get_weather returned]\nSunny.' },
    ]);
  });
});
