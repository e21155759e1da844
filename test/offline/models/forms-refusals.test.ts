import { expect, test } from 'vitest';
import type { ModelMessage, ModelRequest } from '../../../protocol/ports/model.ts';
import { body, data, DONE, fine, streamAs, wholeMessage } from '../../support/chat-wire.ts';
import { collectTurn, modelRequest, outcomeOf, tool, withTools } from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';
import type { Step } from '../../support/scripted-http.ts';

const server = useModelServer();

const sent = (index: number): Record<string, unknown> => server.sent(index);
const refuses = (status: number, message: string, more: Record<string, unknown> = {}): Step =>
  body({ error: { message, type: 'invalid_request_error', param: null, code: null, ...more } }, status);
const forbids = (field: string): Step =>
  body(
    {
      detail: [
        { type: 'extra_forbidden', loc: ['body', field], msg: 'Extra inputs are not permitted', input: 1 },
      ],
    },
    422,
  );

const user = (text: string): ModelMessage => ({ role: 'user', content: [{ type: 'text', text }] });
const system: ModelMessage = { role: 'system', text: 'Be brief.' };
const answered: ModelMessage[] = [
  user('Weather?'),
  {
    role: 'assistant',
    text: '',
    calls: [{ callId: 'call_aaaaaaaaaaaaaaaaaaaaaaaa', name: 'get_weather', arguments: '{}' }],
    providerTurn: null,
  },
  { role: 'tool', callId: 'call_aaaaaaaaaaaaaaaaaaaaaaaa', name: 'get_weather', output: 'Sunny.' },
];

const roles = (index: number): string =>
  (sent(index)['messages'] as { role: string }[]).map(({ role }) => role).join(',');
const LIMITED = modelRequest({ maxOutputTokens: 300 });

const forms: [form: string, source: string, request: ModelRequest, refusal: Step, check: () => void][] = [
  [
    'stream_options',
    'new-api#418',
    modelRequest(),
    refuses(400, "Unknown parameter: 'stream_options'.", {
      param: 'stream_options',
      code: 'unknown_parameter',
    }),
    () => expect(sent(1)['stream_options']).toBeUndefined(),
  ],
  [
    'stream_options, by a validator’s text',
    'ms-agent#489',
    modelRequest(),
    refuses(
      400,
      "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra inputs are not permitted', 'input': {}}]",
    ),
    () => expect([sent(1)['stream_options'], sent(1)['stream']]).toEqual([undefined, true]),
  ],
  [
    'stream_options, "not allowed"',
    'Roo-Code#83',
    modelRequest(),
    body('"stream_options" is not allowed', 400),
    () => expect(sent(1)['stream_options']).toBeUndefined(),
  ],
  [
    'max_completion_tokens with 422',
    'eca#231',
    LIMITED,
    forbids('max_completion_tokens'),
    () => expect([sent(1)['max_tokens'], sent(1)['max_completion_tokens']]).toEqual([300, undefined]),
  ],
  [
    'max_completion_tokens with 400',
    'void#128',
    LIMITED,
    refuses(
      400,
      "[{'type': 'extra_forbidden', 'loc': ('body', 'max_completion_tokens'), 'msg': 'Extra inputs are not permitted', 'input': 8192}]",
    ),
    () => expect(sent(1)['max_tokens']).toBe(300),
  ],
  [
    'streams',
    'Roo-Code#274',
    modelRequest(),
    refuses(
      400,
      "Unsupported value: 'stream' does not support true with this model. Only the default (false) value is supported.",
      { param: 'stream', code: 'unsupported_value' },
    ),
    () => expect(sent(1)['stream']).toBeUndefined(),
  ],
  [
    'streams, with 403',
    'dify#9591',
    modelRequest(),
    body({ message: 'Streaming requests are not yet allowed.' }, 403),
    () => expect(sent(1)['stream']).toBeUndefined(),
  ],
  [
    'streams with tools',
    'fx#900',
    withTools(),
    refuses(400, "This model doesn't support tool use in streaming mode."),
    () => expect([sent(1)['stream'], sent(1)['tools']]).toEqual([undefined, expect.anything()]),
  ],
  [
    'streams with tools, with 500',
    'Dive#90',
    withTools(),
    refuses(500, 'Cannot use tools with stream'),
    () => expect(sent(1)['stream']).toBeUndefined(),
  ],
  [
    'streams with tools, by code',
    'uzu#556',
    withTools(),
    refuses(400, 'tools are not supported with stream: true', { code: 'unsupported_streaming_tools' }),
    () => expect(sent(1)['stream']).toBeUndefined(),
  ],
  [
    'parallel_tool_calls',
    'reference',
    withTools({ parallelToolCalls: false }),
    refuses(400, "Unsupported parameter: 'parallel_tool_calls' is not supported with this model."),
    () => expect(sent(1)['parallel_tool_calls']).toBeUndefined(),
  ],
  [
    'two users in a row',
    'vllm#6862',
    modelRequest({ messages: [user('a'), user('b')] }),
    refuses(
      400,
      'After the optional system message, conversation roles must alternate user/assistant/user/assistant/...',
    ),
    () => expect(sent(1)['messages']).toEqual([{ role: 'user', content: 'a\n\nb' }]),
  ],
  [
    'two users in a row, with 500',
    'localGPT#720',
    modelRequest({ messages: [user('a'), user('b')] }),
    refuses(
      500,
      'jinja2.exceptions.TemplateError: Conversation roles must alternate user/assistant/user/assistant/...',
    ),
    () => expect(roles(1)).toBe('user'),
  ],
  [
    'an assistant first',
    'autogen#3597',
    modelRequest({
      messages: [system, { role: 'assistant', text: 'Hi.', calls: [], providerTurn: null }, user('a')],
    }),
    refuses(400, 'Conversation roles must alternate user/assistant/user/assistant/...'),
    () => expect(roles(1)).toBe('system,user,assistant,user'),
  ],
  [
    'a user after a tool',
    'Mistral',
    modelRequest({ messages: [...answered, user('And?')] }),
    body({ object: 'error', message: "Unexpected role 'user' after role 'tool'", code: '3230' }, 400),
    () => expect(roles(1)).toBe('user,assistant,tool,assistant,user'),
  ],
  [
    'an assistant last',
    'Mistral',
    modelRequest({
      messages: [user('a'), { role: 'assistant', text: 'Hi.', calls: [], providerTurn: null }],
    }),
    body(
      {
        message:
          'Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant',
      },
      400,
    ),
    () => expect(roles(1)).toBe('user,assistant,user'),
  ],
  [
    'no user',
    'Qwen templates',
    modelRequest({ messages: [system] }),
    refuses(400, 'No user query found in messages.'),
    () => expect(roles(1)).toBe('system,user'),
  ],
  [
    'no user, by a schema',
    'reference',
    modelRequest({ messages: [system] }),
    refuses(400, 'messages: at least one user message is required'),
    () => expect(roles(1)).toBe('system,user'),
  ],
  [
    'the system role',
    'sglang#892',
    modelRequest({ messages: [system, user('a')] }),
    refuses(400, 'System role not supported'),
    () => expect(sent(1)['messages']).toEqual([{ role: 'user', content: 'Be brief.\n\na' }]),
  ],
  [
    'the system role, by path',
    'forgecode#1177',
    modelRequest({ messages: [system, user('a')] }),
    refuses(400, "Unsupported value: 'messages[0].role' does not support 'system' with this model.", {
      param: 'messages[0].role',
    }),
    () => expect(roles(1)).toBe('user'),
  ],
  [
    '`content: null` beside calls',
    'one-api#784',
    modelRequest({ messages: answered }),
    refuses(400, "Invalid value for 'content': expected a string, got null.", {
      param: 'messages.[1].content',
    }),
    () => expect(sent(1)['messages']).toMatchObject([{}, { content: '' }, {}]),
  ],
  [
    '`content: null`, by a validator',
    'grok2api#41',
    modelRequest({ messages: answered }),
    body(
      {
        detail: [
          {
            loc: ['body', 'messages', 1, 'content', 'str'],
            msg: 'Input should be a valid string',
            type: 'string_type',
          },
        ],
      },
      422,
    ),
    () => expect(sent(1)['messages']).toMatchObject([{}, { content: '' }, {}]),
  ],
];

test.each(forms)(
  'a refused field is asked once more without, and remembered for this model: %s (%s)',
  async (_form, _source, request, refusal, check) => {
    server.script(refusal, fine(), fine());
    expect(outcomeOf(await collectTurn(server.model, request))).toBe('stop "ok"');
    check();
    await collectTurn(server.model, request);
    expect(server.http.requests).toHaveLength(3);
    expect(sent(2)).toEqual(sent(1));
  },
);

test('a refusal in the stream counts as one', async () => {
  server.script(
    streamAs(
      'text/event-stream',
      data({ error: { code: 400, message: "Unknown parameter: 'stream_options'" } }) + DONE,
    ),
    fine(),
  );
  expect(outcomeOf(await collectTurn(server.model))).toBe('stop "ok"');
});

test('a tool always has parameters (llama.cpp#17667)', async () => {
  server.script(fine());
  await collectTurn(server.model, modelRequest({ tools: [tool('now')] }));
  expect(sent(0)['tools']).toEqual([
    { type: 'function', function: { name: 'now', parameters: { type: 'object', properties: {} } } },
  ]);
});

test('settings decide the form of every request', async () => {
  const set = server.another({
    http: { headers: { 'x-team': 'blue' } },
    settings: {
      maxTokensField: 'max_tokens',
      stream: 'without_tools',
      rolesAlternate: true,
      systemRole: false,
      extraBody: { top_k: 5 },
    },
  });
  server.script(wholeMessage({ content: 'ok' }));
  expect(
    outcomeOf(
      await collectTurn(set, withTools({ maxOutputTokens: 9, messages: [system, user('a'), user('b')] })),
    ),
  ).toBe('stop "ok"');
  expect(sent(0)).toMatchObject({
    max_tokens: 9,
    top_k: 5,
    messages: [{ role: 'user', content: 'Be brief.\n\na\n\nb' }],
  });
  expect(sent(0)['stream']).toBeUndefined();
  expect(server.http.requests[0]?.headers['x-team']).toBe('blue');
});
