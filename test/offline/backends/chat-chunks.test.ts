import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createTurnReader, type ModelDelta } from '../../../backends/chat/completion-reader.ts';
import type { ModelTurn } from '../../../backends/chat/types.ts';

const minting = () => {
  let next = 0;
  return () => `call_${next++}`;
};
const delta = (value: unknown) => ({ choices: [{ index: 0, delta: value }] });
const read = (chunks: unknown[]): { turn: ModelTurn; news: ModelDelta[] } => {
  const reader = createTurnReader(minting());
  const news = chunks.flatMap((chunk) => reader.push(chunk));
  news.push(...reader.end());
  return { turn: reader.turn(), news };
};
const calls = (chunks: unknown[]) => read(chunks).turn.calls.map(({ name, arguments: text }) => [name, text]);
const piece = (more: Record<string, unknown>) => delta({ tool_calls: [more] });

describe('calls in every dialect', () => {
  test.each([
    [
      'the usual one',
      [
        piece({ index: 0, id: 'x', function: { name: 'a', arguments: '' } }),
        piece({ index: 0, function: { arguments: '{"n"' } }),
        piece({ index: 1, id: 'y', function: { name: 'b', arguments: '' } }),
        piece({ index: 0, function: { arguments: ':1}' } }),
        piece({ index: 1, function: { arguments: '{}' } }),
      ],
      [
        ['a', '{"n":1}'],
        ['b', '{}'],
      ],
    ],
    [
      'without index, told apart by id',
      [
        piece({ id: 'x', function: { name: 'a', arguments: '{"n":' } }),
        piece({ id: 'x', function: { arguments: '1}' } }),
        piece({ id: 'y', function: { name: 'b', arguments: '{}' } }),
      ],
      [
        ['a', '{"n":1}'],
        ['b', '{}'],
      ],
    ],
    [
      'without index and id, told apart by name',
      [
        piece({ function: { name: 'a', arguments: '{"n":' } }),
        piece({ function: { arguments: '1}' } }),
        piece({ function: { name: 'b', arguments: '{}' } }),
      ],
      [
        ['a', '{"n":1}'],
        ['b', '{}'],
      ],
    ],
    [
      'every call number 0 under its own id',
      [
        piece({ index: 0, id: 'x', function: { name: 'a', arguments: '{}' } }),
        piece({ index: 0, id: 'y', function: { name: 'a', arguments: '{"n":2}' } }),
      ],
      [
        ['a', '{}'],
        ['a', '{"n":2}'],
      ],
    ],
    [
      'the same id for every call',
      [
        piece({ index: 0, id: 'same', function: { name: 'a', arguments: '{}' } }),
        piece({ index: 1, id: 'same', function: { name: 'b', arguments: '{}' } }),
      ],
      [
        ['a', '{}'],
        ['b', '{}'],
      ],
    ],
    [
      'a name in pieces',
      [
        piece({ index: 0, id: 'x', function: { name: 'get_' } }),
        piece({ index: 0, function: { name: 'weather' } }),
        piece({ index: 0, function: { arguments: '{}' } }),
      ],
      [['get_weather', '{}']],
    ],
    [
      'id and name with every piece',
      [
        piece({ index: 0, id: 'x', function: { name: 'a', arguments: '{"n"' } }),
        piece({ index: 0, id: 'x', function: { name: 'a', arguments: ':1}' } }),
      ],
      [['a', '{"n":1}']],
    ],
    [
      'arguments as an object',
      [piece({ index: 0, id: 'x', function: { name: 'a', arguments: { n: 1 } } })],
      [['a', '{"n":1}']],
    ],
    ['no arguments at all', [piece({ index: 0, id: 'x', function: { name: 'a' } })], [['a', '{}']]],
    [
      'the old single call',
      [delta({ function_call: { name: 'a', arguments: '' } }), delta({ function_call: { arguments: '{}' } })],
      [['a', '{}']],
    ],
    [
      'a whole message',
      [
        {
          choices: [
            {
              message: { content: null, tool_calls: [{ id: 'x', function: { name: 'a', arguments: '{}' } }] },
            },
          ],
        },
      ],
      [['a', '{}']],
    ],
  ])('%s', (_name, chunks, expected) => {
    expect(calls(chunks)).toEqual(expected);
  });

  test('ids are ours, whatever theirs are', () => {
    const { turn } = read([
      piece({ index: 0, id: 'same', function: { name: 'a', arguments: '{}' } }),
      piece({ index: 1, id: 'same', function: { name: 'b', arguments: '{}' } }),
    ]);
    expect(turn.calls.map(({ callId }) => callId)).toEqual(['call_0', 'call_1']);
  });
});

describe('news', () => {
  test('a call is told once, with its whole name, before its arguments, which add up', () => {
    const { news } = read([
      piece({ index: 0, id: 'x', function: { name: 'get_' } }),
      piece({ index: 0, function: { name: 'it', arguments: '{"a' } }),
      piece({ index: 0, function: { arguments: '":1}' } }),
      piece({ index: 1, id: 'y', function: { name: 'other' } }),
    ]);
    expect(news).toEqual([
      { kind: 'call', call: 0, callId: 'call_0', name: 'get_it' },
      { kind: 'arguments', call: 0, value: '{"a' },
      { kind: 'arguments', call: 0, value: '":1}' },
      { kind: 'call', call: 1, callId: 'call_1', name: 'other' },
    ]);
  });

  test('text, refusal, finish and usage are read wherever they come', () => {
    const { turn, news } = read([
      delta({ role: 'assistant', content: '' }),
      delta({ content: 'Hel' }),
      delta({ content: [{ type: 'text', text: 'lo' }] }),
      delta({ refusal: 'no' }),
      { choices: [{ delta: {}, finish_reason: 'stop' }], usage: null },
      { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } },
    ]);
    expect(turn).toEqual({
      text: 'Hello',
      refusal: 'no',
      calls: [],
      finishReason: 'stop',
      usage: { promptTokens: 3, completionTokens: 2, totalTokens: 5 },
    });
    expect(news.map(({ kind }) => kind)).toEqual(['text', 'text', 'refusal']);
  });

  test('whatever JSON a server sends, reading it does not throw, and news add up to the turn', () => {
    const part = fc.record(
      {
        index: fc.option(fc.nat({ max: 3 }), { nil: undefined }),
        id: fc.option(fc.constantFrom('x', 'y', ''), { nil: undefined }),
        function: fc.record(
          {
            name: fc.option(fc.constantFrom('a', 'b', ''), { nil: undefined }),
            arguments: fc.oneof(fc.constantFrom('', '{', '}'), fc.jsonValue()),
          },
          { requiredKeys: [] },
        ),
      },
      { requiredKeys: [] },
    );
    const chunk = fc.oneof(
      fc.jsonValue(),
      fc.array(part, { maxLength: 3 }).map((tool_calls) => delta({ tool_calls })),
      fc.string().map((content) => delta({ content })),
    );
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 20 }), (chunks) => {
        const { turn, news } = read(chunks);
        const text = news.map((item) => (item.kind === 'text' ? item.value : '')).join('');
        expect(text).toBe(turn.text);
        for (const [index, call] of turn.calls.entries()) {
          const told = news.filter((item) => item.kind === 'call' && item.call === index);
          expect(told).toEqual([{ kind: 'call', call: index, callId: call.callId, name: call.name }]);
          const args = news
            .map((item) => (item.kind === 'arguments' && item.call === index ? item.value : ''))
            .join('');
          expect(args === '' ? '{}' : args).toBe(call.arguments);
        }
      }),
    );
  });
});
