import { describe, expect, test } from 'vitest';
import { MAX_TURN_CHARS } from '../../../backends/models/openai-compatible/attempt.ts';
import { shortCallId } from '../../../backends/models/openai-compatible/call-ids.ts';
import type { ProviderTurn } from '../../../protocol/ports/model.ts';
import {
  call,
  callStream,
  data,
  delta,
  DONE,
  ends,
  fine,
  piece,
  wholeMessage,
} from '../../support/chat-wire.ts';
import { CALL_ID, NINE_ALPHANUMERICS, nextTurn, sentMessages, WEATHER } from '../../support/given-back.ts';
import { collectTurn, outcomeOf, withTools } from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';
import { sse, type Step } from '../../support/scripted-http.ts';

const server = useModelServer();

const forms: [form: string, source: string, answer: Step, message: Record<string, unknown>][] = [
  [
    'the server’s id',
    'Mistral',
    callStream(piece(call(0, 'D681PevKs', 'get_weather', WEATHER))),
    { tool_calls: [{ id: 'D681PevKs' }] },
  ],
  [
    'a thought signature',
    'openai-python#2806',
    callStream(
      piece(
        call(0, 'function-call-1', 'get_weather', WEATHER, {
          extra_content: { google: { thought_signature: 'c2lnbmF0dXJl' } },
        }),
      ),
    ),
    {
      tool_calls: [
        { id: 'function-call-1', extra_content: { google: { thought_signature: 'c2lnbmF0dXJl' } } },
      ],
    },
  ],
  [
    'a thought signature of a whole answer',
    'Gemini',
    wholeMessage(
      {
        content: null,
        tool_calls: [
          call(undefined, 'f1', 'get_weather', WEATHER, {
            extra_content: { google: { thought_signature: 'c2ln' } },
          }),
        ],
      },
      'tool_calls',
    ),
    { tool_calls: [{ extra_content: { google: { thought_signature: 'c2ln' } } }] },
  ],
  [
    'reasoning that came in pieces',
    'crush#2696',
    sse([
      delta({ reasoning_content: 'Let me ' }),
      delta({ reasoning_content: 'think.' }),
      piece(call(0, 'x', 'get_weather', WEATHER)),
      ends('tool_calls'),
      DONE,
    ]),
    { reasoning_content: 'Let me think.' },
  ],
  [
    'reasoning under its other name',
    'qwen-code#11045',
    sse([
      delta({ reasoning: 'Let me ' }),
      delta({ reasoning: 'think.' }),
      piece(call(0, 'x', 'get_weather', WEATHER)),
      ends('tool_calls'),
      DONE,
    ]),
    { reasoning: 'Let me think.' },
  ],
  [
    'reasoning details, joined by their index',
    'OpenRouter',
    sse([
      delta({ reasoning_details: [{ type: 'reasoning.text', index: 0, text: 'Let me ' }] }),
      delta({ reasoning_details: [{ type: 'reasoning.text', index: 0, text: 'think.' }] }),
      delta({
        reasoning_details: [
          { type: 'reasoning.text', index: 0, signature: 'sig' },
          { type: 'reasoning.encrypted', index: 1, data: 'abc' },
        ],
      }),
      piece(call(0, 'x', 'get_weather', WEATHER)),
      ends('tool_calls'),
      DONE,
    ]),
    {
      reasoning_details: [
        { type: 'reasoning.text', index: 0, text: 'Let me think.', signature: 'sig' },
        { type: 'reasoning.encrypted', index: 1, data: 'abc' },
      ],
    },
  ],
  [
    'a field of the function',
    'reference',
    callStream(
      piece({ index: 0, id: 'x', function: { name: 'get_weather', arguments: WEATHER, signature: 's1' } }),
    ),
    { tool_calls: [{ function: { name: 'get_weather', signature: 's1' } }] },
  ],
  [
    'a field of the message that nobody knows',
    'reference',
    sse([
      delta({ vendor_state: { a: [1, 2] } }),
      piece(call(0, 'x', 'get_weather', WEATHER)),
      ends('tool_calls'),
      DONE,
    ]),
    { vendor_state: { a: [1, 2] } },
  ],
];

test.each(forms)(
  '%s goes back to the model that gave it, and to no other (%s)',
  async (_form, _source, answer, message) => {
    server.script(answer, fine(), fine(), fine());
    const { turn } = await collectTurn(server.model, withTools());
    expect(outcomeOf(await collectTurn(server.model, nextTurn(turn)))).toBe('stop "ok"');
    expect(sentMessages(server, 1).assistant).toMatchObject(message);
    expect(sentMessages(server, 1).tool?.tool_call_id).toBe(
      sentMessages(server, 1).assistant?.tool_calls?.[0]?.id,
    );

    const other = server.another({ provider: 'another' });
    await collectTurn(server.model, nextTurn(turn, { model: 'model-b' }));
    await collectTurn(other, nextTurn(turn));
    for (const index of [2, 3]) {
      expect(sentMessages(server, index).assistant).toEqual({
        role: 'assistant',
        content: null,
        tool_calls: [
          {
            id: shortCallId(CALL_ID),
            type: 'function',
            function: { name: 'get_weather', arguments: WEATHER },
          },
        ],
      });
      expect(sentMessages(server, index).tool?.tool_call_id).toBe(shortCallId(CALL_ID));
    }
  },
);

describe('an id of the server is replaced by nine alphanumerics', () => {
  test.each([
    ['absent', callStream(piece(call(undefined, undefined, 'get_weather', WEATHER)))],
    ['empty', callStream(piece(call(0, '', 'get_weather', WEATHER)))],
    ['a book', callStream(piece(call(0, 'x'.repeat(300), 'get_weather', WEATHER)))],
    ['no text', callStream(piece(call(0, 'ü\n', 'get_weather', WEATHER)))],
  ])('when it is %s', async (_what, answer) => {
    server.script(answer, fine());
    const { turn } = await collectTurn(server.model, withTools());
    await collectTurn(server.model, nextTurn(turn));
    expect(sentMessages(server, 1).assistant?.tool_calls?.[0]?.id).toMatch(NINE_ALPHANUMERICS);
    expect(sentMessages(server, 1).tool?.tool_call_id).toBe(
      sentMessages(server, 1).assistant?.tool_calls?.[0]?.id,
    );
  });

  test('when several calls of a turn share it', async () => {
    server.script(
      wholeMessage(
        { tool_calls: [call(0, 'x', 'get_weather', WEATHER), call(1, 'x', 'get_time', '{}')] },
        'tool_calls',
      ),
    );
    expect((await collectTurn(server.model, withTools())).turn?.ids).toEqual([null, null]);
  });

  test('when an earlier turn has it already', async () => {
    const turn: ProviderTurn = {
      provider: server.model.provider,
      dialect: server.model.dialect,
      model: 'model-a',
      ids: ['call_0'],
      data: null,
    };
    const again = 'call_zzzzzzzzzzzzzzzzzzzzzzzz';
    const request = nextTurn(turn);
    request.messages.push(
      {
        role: 'assistant',
        text: '',
        calls: [{ callId: again, name: 'get_time', arguments: '{}' }],
        providerTurn: turn,
      },
      { role: 'tool', callId: again, name: 'get_time', output: 'noon' },
    );
    server.script(fine());
    await collectTurn(server.model, request);
    expect(sentMessages(server, 0).messages.map(({ tool_call_id: id }) => id)).toEqual([
      undefined,
      undefined,
      'call_0',
      undefined,
      shortCallId(again),
    ]);
  });
});

test('nine characters are the same in every process, and differ for different ids', () => {
  expect(shortCallId(CALL_ID)).toMatch(NINE_ALPHANUMERICS);
  expect(shortCallId(CALL_ID)).toBe(shortCallId(CALL_ID));
  const ids = Array.from({ length: 5_000 }, (_, index) => shortCallId(`call_${index}`));
  expect(new Set(ids).size).toBe(5_000);
});

test('fields that are too large for the store are not kept; the ids are', async () => {
  server.script(
    sse([
      delta({ vendor_state: 'x'.repeat(MAX_TURN_CHARS) }),
      piece(call(0, 'x', 'get_weather', WEATHER)),
      ends('tool_calls'),
      DONE,
    ]),
  );
  const { turn, observed } = await collectTurn(server.model, withTools());
  expect(turn).toMatchObject({ ids: ['x'], data: null });
  expect(observed).toContainEqual({ kind: 'fallback', reason: 'provider_fields_too_large' });
});

test('reasoning is told as such, and not as text', async () => {
  server.script(
    sse([
      delta({ reasoning_content: 'Hm.' }),
      data({ choices: [{ delta: { content: 'Yes.' }, finish_reason: 'stop' }] }),
      DONE,
    ]),
  );
  expect(await collectTurn(server.model)).toMatchObject({ text: 'Yes.', reasoning: 'Hm.' });
});
