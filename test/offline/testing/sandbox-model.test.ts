/**
 * The scripted chat model: what the official client reads from it, what it refuses, and that the same script says the
 * same here and in a run.
 */
import OpenAI, { APIConnectionTimeoutError, InternalServerError, RateLimitError } from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createSandbox, scriptCatalogue } from '../../../testing/index.ts';
import type { Quirks, Sandbox } from '../../../testing/index.ts';
import { call } from '../../support/http.ts';

let sandbox: Sandbox;
let openai: OpenAI;
beforeAll(async () => {
  sandbox = await createSandbox({
    scripts: {
      talk: [
        { text: 'One two.', calls: [{ name: 'a', arguments: { x: 1 }, id: 'call_mine' }] },
        { text: 'Three.' },
      ],
      priced: () => ({ text: 'x', usage: { prompt_tokens: 1000, completion_tokens: 7 } }),
    },
  });
  openai = new OpenAI({ baseURL: sandbox.modelUrl, apiKey: 'not-needed', maxRetries: 0 });
});
afterEach(() => {
  sandbox.reset();
  Object.assign(sandbox.quirks, {
    modelCallIds: 'fresh',
    modelWholeCalls: false,
    modelNoUsage: false,
    modelStopWithCalls: false,
  } satisfies Partial<Quirks>);
});
afterAll(() => sandbox.close());

type Message = OpenAI.ChatCompletionMessageParam;
const user = (content = 'Weather?'): Message => ({ role: 'user', content });
const tool = (id: string, content: string): Message => ({ role: 'tool', tool_call_id: id, content });
const ask = (model: string, messages: Message[] = [user()], more: Record<string, unknown> = {}) =>
  openai.chat.completions.create({ model, messages, ...more, stream: false });
const functionCalls = (message: OpenAI.ChatCompletionMessage | undefined) =>
  (message?.tool_calls ?? []).flatMap((item) => (item.type === 'function' ? [item] : []));

const streamed = async (
  model: string,
  messages: Message[] = [user()],
  more: Record<string, unknown> = {},
) => {
  const chunks: OpenAI.ChatCompletionChunk[] = [];
  const stream = await openai.chat.completions.create({
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
    ...more,
  });
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
};

describe('an answer', () => {
  test('asks for tools, takes their outputs, and ends', async () => {
    const first = await ask('parallel');
    const message = first.choices[0]?.message;
    expect(first.choices[0]?.finish_reason).toBe('tool_calls');
    const calls = functionCalls(message);
    expect(calls.map((item) => JSON.parse(item.function.arguments) as unknown)).toMatchObject([
      { location: 'San Francisco, CA' },
      { location: 'Paris, FR' },
      { location: 'Tokyo, JP' },
    ]);
    expect(new Set(calls.map(({ id }) => id)).size).toBe(3);
    const second = await ask('parallel', [
      user(),
      message as Message,
      ...calls.map((item, at) => tool(item.id, `city ${at}`)).toReversed(),
    ]);
    expect(second.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: {
        content:
          'get_current_weather said: city 0 | get_current_weather said: city 1 | get_current_weather said: city 2',
      },
    });
    expect(second.usage?.total_tokens).toBe(
      (second.usage?.prompt_tokens ?? 0) + (second.usage?.completion_tokens ?? 0),
    );
  });

  test('streamed adds up to the whole one: text, fragments by index, one id a call, usage last', async () => {
    const chunks = await streamed('talk');
    const deltas = chunks.map(({ choices }) => choices[0]?.delta);
    expect(deltas.map((delta) => delta?.content ?? '').join('')).toBe('One two.');
    const parts = deltas.flatMap((delta) => delta?.tool_calls ?? []);
    expect(parts[0]).toEqual({
      index: 0,
      id: 'call_mine',
      type: 'function',
      function: { name: 'a', arguments: '' },
    });
    expect(parts.map((part) => part.function?.arguments ?? '').join('')).toBe('{"x":1}');
    expect(parts.filter((part) => part.id !== undefined)).toHaveLength(1);
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason).filter((reason) => reason != null)).toEqual(
      ['tool_calls'],
    );
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: expect.any(Number) } });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
  });

  test('without include_usage a stream has none', async () => {
    const chunks = await streamed('chat', [user()], { stream_options: undefined });
    expect(chunks.some((chunk) => 'usage' in chunk)).toBe(false);
  });

  test('is the same turn that a run plays', async () => {
    const engineRun = await call(sandbox.fetch, 'POST', '/v1/threads/runs', { assistant_id: 'asst_deploy' });
    const { id, thread_id: thread } = engineRun.body as { id: string; thread_id: string };
    sandbox.clock.advance(1);
    const run = (await call(sandbox.fetch, 'GET', `/v1/threads/${thread}/runs/${id}`))
      .body as OpenAI.Beta.Threads.Run;
    const byRun = run.required_action?.submit_tool_outputs.tool_calls.map((item) => item.function);
    const byModel = functionCalls((await ask('scripted:deploy')).choices[0]?.message).map(
      (item) => item.function,
    );
    expect(byModel).toEqual(byRun);
  });

  test('rounds are counted from the last user message', async () => {
    const history: Message[] = [user(), { role: 'assistant', content: 'Done.' }, user('Again.')];
    for (let round = 0; round < 3; round += 1) {
      const { choices } = await ask('rounds:3', history);
      const message = choices[0]?.message;
      const [only] = functionCalls(message);
      expect(JSON.parse(only?.function.arguments ?? '{}')).toMatchObject({ round });
      history.push(message as Message, tool(only?.id ?? '', 'ok'));
    }
    expect((await ask('rounds:3', history)).choices[0]?.message.content).toBe('Done in 3 rounds.');
  });

  test('keeps to token limits, filters, and the tools that the request allows', async () => {
    const short = await ask('words:100', [user()], { max_completion_tokens: 5 });
    expect(short.choices[0]).toMatchObject({
      finish_reason: 'length',
      message: { content: 'word1 word2 word3 wo' },
    });
    expect((await ask('incomplete')).choices[0]?.finish_reason).toBe('length');
    expect((await ask('incomplete:content_filter')).choices[0]?.finish_reason).toBe('content_filter');
    const tools = [{ type: 'function', function: { name: 'get_current_weather' } }];
    const none = await ask('weather', [user()], { tools, tool_choice: 'none' });
    expect(none.choices[0]?.finish_reason).toBe('stop');
    const one = await ask('parallel', [user()], { tools, parallel_tool_calls: false });
    expect(functionCalls(one.choices[0]?.message)).toHaveLength(1);
    expect((await ask('priced')).usage).toEqual({
      prompt_tokens: 1000,
      completion_tokens: 7,
      total_tokens: 1007,
    });
  });

  test('waits by the clock of the sandbox', async () => {
    const answer = ask('slow:3600000');
    while (sandbox.clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
    sandbox.clock.advance(3_600_000);
    expect((await answer).choices[0]?.finish_reason).toBe('tool_calls');
  });

  test('of hang never comes; giving up ends it', async () => {
    const error = await openai.chat.completions
      .create({ model: 'hang', messages: [user()] }, { timeout: 50 })
      .then(
        () => null,
        (reason: unknown) => reason,
      );
    expect(error).toBeInstanceOf(APIConnectionTimeoutError);
  });
});

const unanswered = (ids: string): string =>
  `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${ids}`;

describe('refusals', () => {
  const broken: Message[] = [
    user(),
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        { id: 'call_1', type: 'function', function: { name: 'a', arguments: '{}' } },
        { id: 'call_2', type: 'function', function: { name: 'b', arguments: '{}' } },
      ],
    },
  ];
  const orphan = `Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.`;
  const rows: [string, Record<string, unknown>, string, string | null][] = [
    [
      'a call without its answer at the end',
      { messages: [...broken, tool('call_1', 'x')] },
      unanswered('call_2'),
      'messages[3].role',
    ],
    [
      'a call without its answer before the next message',
      { messages: [...broken, user()] },
      unanswered('call_1, call_2'),
      'messages[2].role',
    ],
    ['an answer to no call', { messages: [user(), tool('call_1', 'x')] }, orphan, 'messages[1].role'],
    [
      'an answer given twice',
      { messages: [...broken, tool('call_1', 'x'), tool('call_1', 'x'), tool('call_2', 'x')] },
      orphan,
      'messages[3].role',
    ],
    [
      'no messages',
      { messages: [] },
      "Invalid 'messages': expected an array with minimum length 1.",
      'messages',
    ],
    ['no model', { model: '' }, 'you must provide a model parameter', null],
    [
      'an unknown role',
      { messages: [{ role: 'robot', content: 'x' }] },
      "Invalid value: \"robot\" for 'messages[0].role'. Supported values are: 'system', 'developer', 'user', 'assistant', 'tool', 'function'.",
      'messages[0].role',
    ],
    [
      'tools that are none',
      { tools: [] },
      "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
      'tools',
    ],
    [
      'tool_choice without tools',
      { tool_choice: 'auto' },
      "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
      'tool_choice',
    ],
    [
      'stream options without a stream',
      { stream_options: { include_usage: true } },
      "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
      'stream_options',
    ],
  ];
  test.each(rows)('%s is a 400 that says so', async (_, changes, message, param) => {
    const answer = await call(sandbox.fetch, 'POST', '/v1/chat/completions', {
      model: 'chat',
      messages: [user()],
      ...changes,
    });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: { message, param, type: 'invalid_request_error' } });
  });

  test('a failing script answers with its status, as a typed error', async () => {
    await expect(ask('failing')).rejects.toBeInstanceOf(InternalServerError);
    const limited = await ask('failing:rate_limit_exceeded').then(
      () => null,
      (error: unknown) => error,
    );
    expect(limited).toBeInstanceOf(RateLimitError);
    await expect(streamed('failing')).rejects.toBeInstanceOf(InternalServerError);
    await expect(ask('incomplete:max_prompt_tokens')).rejects.toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
    });
  });

  test('a script that must exist and does not is an unknown model, with the list', async () => {
    await expect(ask('scripted:wether')).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
      message: expect.stringContaining('Scripts here: auto, '),
    });
    expect((await ask('gpt-4o', [user('hi')])).choices[0]?.message.content).toBe('You said: hi');
  });

  test('with a key set, both faces want it', async () => {
    const locked = await createSandbox({ listen: false, apiKey: 'sandbox-key-0123456789' });
    const key = { authorization: 'Bearer sandbox-key-0123456789' };
    for (const path of ['/v1/models', '/v1/assistants']) {
      expect((await call(locked.fetch, 'GET', path)).status).toBe(401);
      expect((await call(locked.fetch, 'GET', path, undefined, key)).status).toBe(200);
    }
    expect(JSON.stringify(locked.requests)).not.toContain('sandbox-key');
    await locked.close();
  });
});

describe('models', () => {
  test('are the scripts', async () => {
    const listed = [];
    for await (const model of openai.models.list()) listed.push(model.id);
    expect(listed).toEqual([...sandbox.scripts.keys()]);
    expect(listed).toEqual([...scriptCatalogue().keys(), 'talk', 'priced']);
  });
});

const callOf = async () => functionCalls((await ask('parallel')).choices[0]?.message);

describe('quirks of other servers', () => {
  test('leave ids out, repeat them, send calls in one piece, no usage, or finish_reason stop', async () => {
    sandbox.quirks.modelCallIds = 'omitted';
    expect((await callOf()).every((item) => !('id' in item))).toBe(true);
    sandbox.quirks.modelCallIds = 'repeated';
    expect((await callOf()).map(({ id }) => id)).toEqual(['call_0', 'call_1', 'call_2']);
    Object.assign(sandbox.quirks, { modelWholeCalls: true, modelNoUsage: true, modelStopWithCalls: true });
    const chunks = await streamed('weather');
    const parts = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
    expect(parts).toMatchObject([
      { index: 0, function: { arguments: expect.stringContaining('San Francisco') } },
    ]);
    expect(chunks.some(({ usage }) => usage != null)).toBe(false);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
  });
});
