import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutToSize, estimateTokens, repeatable, toUnits } from '../../../backends/chat/prompt.ts';
import { completionTokensLeft, promptTokensLeft, turnRequest } from '../../../backends/chat/request.ts';
import type { Adjustment } from '../../../backends/models/openai-compatible/capabilities.ts';
import { requestBody } from '../../../backends/models/openai-compatible/request.ts';
import type { ModelMessage } from '../../../protocol/ports/model.ts';
import { UNKNOWN_CAPABILITIES } from '../../../protocol/rules/resolve-model.ts';
import type { ContextItem, RunConfig } from '../../../protocol/ports/turn-store.ts';

const AUTO = { type: 'auto' } as const;

const said = (
  role: 'user' | 'assistant',
  text: string,
  run: string | null = null,
  round: number | null = null,
) =>
  ({
    kind: 'message',
    role,
    content: text === '' ? [] : [{ type: 'text', text: { value: text, annotations: [] } }],
    runId: run,
    round,
  }) satisfies ContextItem;
const round = (run: string, number: number, ids: string[]): ContextItem => ({
  kind: 'round',
  runId: run,
  round: number,
  calls: ids.map((id) => ({ id, type: 'function', function: { name: 'tool', arguments: '{}' } })),
  outputs: Object.fromEntries(ids.map((id) => [id, `output of ${id}`])),
  providerTurn: null,
});

const weight = (url: string, detail: 'low' | 'high' = 'high') =>
  estimateTokens([{ role: 'user', content: [{ type: 'image', url, detail }] }]);

describe('units', () => {
  test('a message that introduces calls is one assistant message with them', () => {
    const [unit] = toUnits([said('assistant', 'Let me look.', 'run_1', 1), round('run_1', 1, ['a'])]);
    expect(unit?.messages).toMatchObject([
      { role: 'assistant', text: 'Let me look.', calls: [{ callId: 'a' }] },
      { role: 'tool', callId: 'a', name: 'tool', output: 'output of a' },
    ]);
  });

  test('a message of another run or turn is a message of its own', () => {
    const units = toUnits([said('assistant', 'Old.', 'run_0', 1), round('run_1', 1, ['a'])]);
    expect(units).toHaveLength(2);
  });

  test('empty answers are left out, images become parts', () => {
    expect(toUnits([said('assistant', '', 'run_1', 1)])).toEqual([]);
    const [unit] = toUnits([
      {
        kind: 'message',
        role: 'user',
        content: [
          { type: 'text', text: { value: 'See', annotations: [] } },
          { type: 'image_url', image_url: { url: 'https://x.test/a.png' } },
        ],
        runId: null,
        round: null,
      },
    ]);
    expect(unit?.messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'See' },
          { type: 'image', url: 'https://x.test/a.png' },
        ],
      },
    ]);
  });

  test('an image weighs the same whatever its bytes', () => {
    const data = `data:image/png;base64,${'A'.repeat(1_000_000)}`;
    expect(weight(data)).toBe(weight('https://x.test/a.png'));
    expect(weight(data)).toBeLessThan(2_000);
    expect(weight(data, 'low')).toBeLessThan(200);
  });

  test.each([
    ['get_weather', '{"a":1}', 'get_weather', '{"a":1}'],
    ['multi_tool_use.parallel', '{}', 'multi_tool_use_parallel', '{}'],
    ['', '{}', 'unknown', '{}'],
    ['t', 'not json', 't', '{"invalid_arguments":"not json"}'],
    ['t', '[1]', 't', '{"invalid_arguments":"[1]"}'],
    ['t', '"x"', 't', '{"invalid_arguments":"\\"x\\""}'],
  ])('a call %s(%s) is repeated in a form that servers take', (name, args, shownName, shownArgs) => {
    expect(repeatable({ id: 'c', type: 'function', function: { name, arguments: args } }).function).toEqual({
      name: shownName,
      arguments: shownArgs,
    });
  });
});

const textOf = (message: ModelMessage): string => {
  if (message.role === 'user')
    return message.content.map((part) => (part.type === 'text' ? part.text : part.url)).join('');
  return message.role === 'tool' ? message.output : message.text;
};
const texts = (messages: readonly ModelMessage[]): string[] => messages.map(textOf);

describe('cutting', () => {
  const thread: ContextItem[] = [
    said('user', 'one'),
    said('assistant', 'answer one', 'run_1', 1),
    said('user', 'two'),
    said('assistant', 'looking', 'run_2', 1),
    round('run_2', 1, ['a', 'b']),
    said('assistant', 'answer two', 'run_2', 2),
    said('user', 'three'),
  ];
  test('without a budget everything stays', () => {
    const cut = cutToSize(thread, AUTO, null);
    expect(cut).toMatchObject({ dropped: false, minimal: false });
    expect(texts(cut.messages)).toEqual([
      'one',
      'answer one',
      'two',
      'looking',
      'output of a',
      'output of b',
      'answer two',
      'three',
    ]);
  });

  test('with one, whole turns go, oldest first, and the newest stays', () => {
    const all = cutToSize(thread, AUTO, null).tokens;
    expect(texts(cutToSize(thread, AUTO, all - 1).messages)[0]).toBe('two');
    expect(texts(cutToSize(thread, AUTO, 1).messages)).toEqual(['three']);
    expect(cutToSize(thread, AUTO, 1)).toMatchObject({ dropped: true, minimal: true });
  });

  test('within the newest turn old calls go, the user’s word and the last calls stay', () => {
    const long = [
      said('user', 'go'),
      round('run_1', 1, ['a']),
      round('run_1', 2, ['b']),
      round('run_1', 3, ['c']),
    ];
    expect(texts(cutToSize(long, AUTO, 1).messages)).toEqual(['go', '', 'output of c']);
  });

  test('last_messages counts messages and keeps the calls between them', () => {
    const cut = cutToSize(thread, { type: 'last_messages', last_messages: 3 }, null);
    expect(texts(cut.messages)).toEqual(['looking', 'output of a', 'output of b', 'answer two', 'three']);
  });

  const item = fc.oneof(
    fc.string({ maxLength: 50 }).map((text) => said('user', `u${text}`)),
    fc.string({ maxLength: 50 }).map((text) => said('assistant', `a${text}`, 'run', 1)),
    fc
      .tuple(fc.integer({ min: 1, max: 3 }), fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 4 }))
      .map(([number, ids]) => round('run', number, ids)),
  );

  test('never splits calls from outputs, never reorders, and keeps within the budget when it can', () => {
    fc.assert(
      fc.property(
        fc.array(item, { maxLength: 30 }),
        fc.option(fc.integer({ min: 0, max: 500 })),
        fc.option(fc.integer({ min: 1, max: 10 })),
        (items, budget, last) => {
          const strategy = last === null ? AUTO : ({ type: 'last_messages', last_messages: last } as const);
          const cut = cutToSize(items, strategy, budget);
          const asked: string[] = [];
          for (const message of cut.messages) {
            const answered = message.role === 'tool' ? asked.shift() : asked[0];
            expect(answered).toBe(message.role === 'tool' ? message.callId : undefined);
            if (message.role === 'assistant') asked.push(...message.calls.map(({ callId }) => callId));
          }
          expect(asked).toEqual([]);
          const full = cutToSize(items, AUTO, null).messages.map((message) => JSON.stringify(message));
          let at = 0;
          for (const message of cut.messages) {
            at = full.indexOf(JSON.stringify(message), at) + 1;
            expect(at).toBeGreaterThan(0);
          }
          expect(cut.tokens).toBe(estimateTokens(cut.messages));
          expect(budget === null || cut.tokens <= budget || cut.minimal).toBe(true);
          const users = items.filter((one) => one.kind === 'message' && one.role === 'user').length;
          const kept = cut.messages.filter(({ role }) => role === 'user').length;
          expect(last !== null || users > 0 === kept > 0).toBe(true);
        },
      ),
    );
  });
});

const sent = (
  given: Parameters<typeof turnRequest>[0],
  messages: readonly ModelMessage[],
  { without = [], model = 'm' }: { without?: Adjustment[]; model?: string } = {},
) =>
  requestBody(
    turnRequest(given, messages, { model, capabilities: UNKNOWN_CAPABILITIES }),
    { provider: 'p', dialect: 'd', model: 'm' },
    new Set(without),
  );

describe('the request', () => {
  const config: RunConfig = {
    model: 'm',
    instructions: null,
    tools: [],
    temperature: null,
    top_p: null,
    max_prompt_tokens: null,
    max_completion_tokens: null,
    truncation_strategy: { type: 'auto', last_messages: null },
    tool_choice: 'auto',
    parallel_tool_calls: true,
    response_format: 'auto',
    reasoning_effort: null,
    granted_tools: null,
  };
  const tools = [{ type: 'function' as const, function: { name: 'a' } }];
  const SENT = [
    { type: 'function', function: { name: 'a', parameters: { type: 'object', properties: {} } } },
  ];
  const state = (more: Partial<RunConfig> = {}) => ({
    config: { ...config, ...more },
    usage: null,
    round: null,
  });
  const frame = { stream: true, stream_options: { include_usage: true } };
  const hello = { role: 'user' as const, content: 'Hello' };
  const greeting: ModelMessage = { role: 'user', content: [{ type: 'text', text: 'Hello' }] };

  test.each([
    ['nothing but what is needed', {}, {}, {}],
    ['instructions', { instructions: 'Hi' }, {}, { messages: [{ role: 'system', content: 'Hi' }, hello] }],
    ['no choice of tools without tools', { tool_choice: 'required' as const }, {}, {}],
    [
      'a forced choice',
      { tools, tool_choice: 'required' as const },
      {},
      { tools: SENT, tool_choice: 'required' },
    ],
    ['a choice of none', { tools, tool_choice: 'none' as const }, {}, { tools: SENT, tool_choice: 'none' }],
    [
      'one call at a time',
      { tools, parallel_tool_calls: false },
      {},
      { tools: SENT, parallel_tool_calls: false },
    ],
    ['sampling, zero included', { temperature: 0, top_p: 0.5 }, {}, { temperature: 0, top_p: 0.5 }],
    [
      'a response format',
      { response_format: { type: 'json_object' as const } },
      {},
      { response_format: { type: 'json_object' } },
    ],
    ['no format that says nothing', { response_format: { type: 'text' as const } }, {}, {}],
    ['effort', { reasoning_effort: 'low' }, {}, { reasoning_effort: 'low' }],
    [
      'no wish for strictness that is none',
      { tools: [{ type: 'function' as const, function: { name: 'a', strict: null } }] },
      {},
      { tools: SENT },
    ],
    ['a limit', { max_completion_tokens: 300 }, {}, { max_completion_tokens: 300 }],
    [
      'the limit in an older word',
      { max_completion_tokens: 300 },
      { without: ['other_max_tokens_field' as const] },
      { max_tokens: 300 },
    ],
    ['another model', {}, { model: 'other' }, { model: 'other' }],
  ])('has %s', (_name, more, asked, expected) => {
    expect(sent(state(more), [greeting], asked)).toEqual({
      model: 'm',
      messages: [hello],
      ...frame,
      ...expected,
    });
  });

  test('says less to servers that know less', () => {
    expect(sent(state(), [greeting], { without: ['no_stream_usage'] })).toEqual({
      model: 'm',
      messages: [hello],
      stream: true,
    });
    expect(sent(state(), [greeting], { without: ['no_stream'] })).toEqual({
      model: 'm',
      messages: [hello],
    });
  });

  test('holds a message when the thread is empty, since servers require one', () => {
    expect(sent(state(), [])['messages']).toEqual([{ role: 'user', content: '' }]);
    expect(sent(state({ instructions: 'Hi' }), [])['messages']).toEqual([{ role: 'system', content: 'Hi' }]);
  });

  test('returns the rest of a budget', () => {
    const spent = {
      config: { ...config, max_completion_tokens: 300, max_prompt_tokens: 1000 },
      usage: { promptTokens: 400, completionTokens: 100, totalTokens: 500 },
    };
    expect([completionTokensLeft(spent), promptTokensLeft(spent)]).toEqual([200, 600]);
    expect(completionTokensLeft({ config, usage: null })).toBeNull();
  });
});
