import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineTools, planCalls } from '../../../activities/index.ts';
import type { Backend, Settled } from '../../../protocol/ports/backend.ts';
import type { FunctionTool } from '../../../protocol/wire/objects.ts';
import { BackendError } from '../../../protocol/errors.ts';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { fakeContext, type FakeContextOptions } from '../../support/backend-context.ts';
import { chatOnServer } from '../../support/chat-backend.ts';
import { calls, chunk, completion, DONE, refuses, says, usageChunk } from '../../support/chat-server.ts';
import { reset, scriptedHttp, sse, type ScriptedHttp, type Step } from '../../support/scripted-http.ts';
import { createRequest, eventNames, memoryStore, POLICY, startedRun } from '../../support/store.ts';

const T = 'tenant';
const NOW = 1_800_000_000_000;

let store: Store;
let server: ScriptedHttp;
let backend: Backend & { dispose(): Promise<void> };

beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());
beforeEach(async () => {
  server = await scriptedHttp();
  backend = chatOnServer({ store, baseUrl: `${server.url}/v1`, apiKey: 'key-1', flushMs: 1 });
});
afterEach(async () => {
  await backend.dispose();
  await server.close();
  if (server.overrun > 0) throw new Error(`${server.overrun} requests beyond the script`);
});

const tool = (name: string): FunctionTool => ({ type: 'function', function: { name } });
const context = (options: FakeContextOptions = {}) => fakeContext({ now: () => NOW + 1000, ...options });

const request = (run: Parameters<typeof createRequest>[0]) => createRequest(run, NOW);

const start = async (more: Parameters<typeof startedRun>[3] = {}) => {
  const run = await startedRun(store, T, NOW, more);
  return { ...run, request: request(run), ref: { backendRunId: run.runId, threadId: run.threadId } };
};

const sent = (index: number): Record<string, unknown> => {
  const body: unknown = JSON.parse(server.requests[index]?.body ?? 'null');
  return body as Record<string, unknown>;
};

const texts = async (threadId: string): Promise<string[]> => {
  const page = await store.listMessages(T, threadId, { limit: 100, order: 'asc' });
  return page.data
    .filter(({ status }) => status === 'completed')
    .map(({ content }) => content.map((part) => (part.type === 'text' ? part.text.value : '?')).join('|'));
};

const waitingCalls = (settled: Settled) => {
  if (settled.status !== 'requires_action') throw new Error(`not waiting: ${settled.status}`);
  return settled.calls;
};

const minesAndTheirs: FakeContextOptions['plan'] = (asked) =>
  asked.map((call) => ({
    ...call,
    plan:
      call.name === 'mine'
        ? { kind: 'automatic', policy: POLICY }
        : { kind: 'external', wait: { onDeadline: 'fail', answerWithinMs: 86_400_000 } },
  }));

const word = (content: string): string => chunk({ content });
const callOfA = chunk({ tool_calls: [{ index: 0, id: 'x', function: { name: 'a', arguments: '{}' } }] });
const endOfCalls = [chunk({}, 'tool_calls'), DONE];
const toldOf = async (runId: string): Promise<string[]> =>
  (await eventNames(store, runId))
    .filter((name) => !name.endsWith('.delta') && !name.endsWith('in_progress'))
    .map((name) => name.replace('thread.', ''));
const lastMessage = async (threadId: string) =>
  (await store.listMessages(T, threadId, { limit: 1, order: 'desc' })).data[0];

describe('a turn', () => {
  test('asks with instructions, thread and tools, shows the answer as it comes, and completes', async () => {
    const run = await start({
      assistant: { instructions: 'Be brief.', tools: [tool('get_weather')], temperature: 0.5 },
      params: { additional_instructions: 'Be kind.', max_completion_tokens: 300 },
    });
    server.script.push(says(['Hel', 'lo', ' there']));
    const settled = await backend.create(run.request, context());
    expect(settled).toEqual({
      status: 'completed',
      run: run.ref,
      usage: { promptTokens: 10, completionTokens: 2, totalTokens: 12 },
    });
    expect(server.requests[0]?.target).toBe('/v1/chat/completions');
    expect(server.requests[0]?.headers['authorization']).toBe('Bearer key-1');
    expect(sent(0)).toEqual({
      model: 'model-a',
      messages: [
        { role: 'system', content: 'Be brief.\n\nBe kind.' },
        { role: 'user', content: 'Hello' },
      ],
      tools: [
        {
          type: 'function',
          function: { name: 'get_weather', parameters: { type: 'object', properties: {} } },
        },
      ],
      temperature: 0.5,
      max_completion_tokens: 300,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(await texts(run.threadId)).toEqual(['Hello', 'Hello there']);
    const names = await eventNames(store, run.runId);
    expect(names.filter((name) => !name.endsWith('.delta'))).toEqual([
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.message.created',
      'thread.message.in_progress',
      'thread.message.completed',
      'thread.run.step.completed',
      'thread.run.completed',
    ]);
  });

  test('with calls waits for outputs under ids of its own, and goes on with the server’s in the model’s order', async () => {
    const run = await start({ assistant: { tools: [tool('a'), tool('b')] } });
    server.script.push(
      calls([
        { id: 'same', name: 'a', arguments: '{"x":1}' },
        { id: 'same2', name: 'b', arguments: '{}' },
      ]),
      says(['Done.']),
    );
    const asked = waitingCalls(await backend.create(run.request, context()));
    expect(asked.map(({ name, arguments: text }) => [name, text])).toEqual([
      ['a', '{"x":1}'],
      ['b', '{}'],
    ]);
    const [a, b] = asked.map(({ callId }) => callId);
    if (a === undefined || b === undefined) throw new Error('two calls expected');
    expect(a).toMatch(/^call_[A-Za-z0-9]{24}$/);
    const wire = await store.getRun(T, run.threadId, run.runId);
    expect(wire.required_action?.submit_tool_outputs.tool_calls.map(({ id }) => id)).toEqual([a, b]);

    const settled = await backend.submit(
      run.ref,
      1,
      [
        { tool_call_id: b, output: 'out b' },
        { tool_call_id: a, output: 'out a' },
      ],
      context(),
    );
    expect(settled).toMatchObject({
      status: 'completed',
      outputsTaken: true,
      usage: { promptTokens: 30, completionTokens: 7, totalTokens: 37 },
    });
    expect(sent(1)['messages']).toEqual([
      { role: 'user', content: 'Hello' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'same', type: 'function', function: { name: 'a', arguments: '{"x":1}' } },
          { id: 'same2', type: 'function', function: { name: 'b', arguments: '{}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'same', content: 'out a' },
      { role: 'tool', tool_call_id: 'same2', content: 'out b' },
    ]);
  });

  test('streams calls: id and name once, then argument pieces that add up', async () => {
    const run = await start({ assistant: { tools: [tool('a')] } });
    server.script.push(
      sse([
        chunk({ tool_calls: [{ index: 0, id: 'x', function: { name: 'a', arguments: '' } }] }),
        chunk({ tool_calls: [{ index: 0, function: { arguments: '{"ci' } }] }),
        chunk({ tool_calls: [{ index: 0, function: { arguments: 'ty":"SF"}' } }] }),
        chunk({}, 'tool_calls'),
        DONE,
      ]),
    );
    const [call] = waitingCalls(await backend.create(run.request, context()));
    const { events } = await store.readEvents(run.runId, { after: 0, limit: 100, gaps: 'refuse' });
    const deltas = events
      .filter(({ event }) => event === 'thread.run.step.delta')
      .flatMap(({ data }) =>
        'delta' in data && 'step_details' in data.delta ? data.delta.step_details.tool_calls : [],
      );
    expect(deltas[0]).toMatchObject({ index: 0, id: call?.callId, function: { name: 'a', output: null } });
    expect(
      deltas.slice(1).every((delta) => delta.id === undefined && delta.function?.name === undefined),
    ).toBe(true);
    expect(deltas.map((delta) => delta.function?.arguments ?? '').join('')).toBe('{"city":"SF"}');
    expect(events.at(-1)?.event).toBe('thread.run.requires_action');
  });

  describe('with words and calls', () => {
    test('completes the message before it opens the step of the calls', async () => {
      const run = await start({ assistant: { tools: [tool('a')] } });
      server.script.push(sse([word('Let me'), word(' look.'), callOfA, ...endOfCalls]), says(['ok']));
      const [asked] = waitingCalls(await backend.create(run.request, context()));
      expect(await toldOf(run.runId)).toEqual([
        'run.created',
        'run.queued',
        'run.step.created',
        'message.created',
        'message.completed',
        'run.step.completed',
        'run.step.created',
        'run.requires_action',
      ]);
      expect(await texts(run.threadId)).toEqual(['Hello', 'Let me look.']);
      await backend.submit(run.ref, 1, [{ tool_call_id: asked?.callId ?? '', output: 'x' }], context());
      expect(sent(1)['messages']).toMatchObject([
        { role: 'user' },
        { role: 'assistant', content: 'Let me look.', tool_calls: [{ id: 'x' }] },
        { role: 'tool', content: 'x' },
      ]);
    });

    test('takes the completed message out of the context when the turn is repeated', async () => {
      const run = await start({ assistant: { tools: [tool('a')] } });
      server.script.push(sse([word('Let me look.'), callOfA], 'cut'), says(['ok']));
      await expect(backend.create(run.request, context())).rejects.toMatchObject({ retryable: true });
      const first = await lastMessage(run.threadId);
      expect(first?.status).toBe('completed');
      await backend.create(run.request, context({ attempt: 2 }));
      expect(sent(1)['messages']).toEqual([{ role: 'user', content: 'Hello' }]);
      expect(await texts(run.threadId)).toEqual(['Hello', 'ok']);
      expect(await store.getMessage(T, run.threadId, first?.id ?? '')).toMatchObject({
        status: 'incomplete',
        incomplete_details: { reason: 'run_failed' },
        content: [{ text: { value: 'Let me look.' } }],
      });
      // Its readers were told that it is complete; a second end would be an error to them.
      expect(await toldOf(run.runId)).not.toContain('message.incomplete');
    });

    test.each([
      ['a message of its own without a step', [callOfA, word('Hold on.')], 'Hold on.', 1],
      [
        'the end of the message before',
        [word('Let me look.'), callOfA, word(' Hold on.')],
        'Let me look. Hold on.',
        2,
      ],
    ])('keeps what is said after the calls as %s', async (_what, pieces, text, opened) => {
      const run = await start({ assistant: { tools: [tool('a')] } });
      server.script.push(sse([...pieces, ...endOfCalls]));
      await backend.create(run.request, context());
      const names = await toldOf(run.runId);
      expect(names.filter((name) => name === 'run.step.created')).toHaveLength(opened);
      expect(names.filter((name) => name === 'message.completed')).toHaveLength(1);
      expect(names.at(-1)).toBe('run.requires_action');
      expect(await lastMessage(run.threadId)).toMatchObject({
        status: 'completed',
        content: [{ text: { value: text } }],
      });
      const steps = await store.listSteps(T, run.threadId, run.runId, { limit: 10, order: 'asc' });
      expect(steps.data.map(({ type }) => type).toSorted()).toEqual(['message_creation', 'tool_calls']);
    });
  });

  test('plans worker calls apart from external ones; only external ones are asked of the caller', async () => {
    const run = await start({ assistant: { tools: [tool('mine'), tool('theirs')] } });
    server.script.push(
      calls([
        { name: 'mine', arguments: '{}' },
        { name: 'theirs', arguments: '{}' },
      ]),
      says(['ok']),
    );
    const plan = minesAndTheirs;
    const settled = await backend.create(run.request, context({ plan }));
    const [mine, theirs] = waitingCalls(settled);
    expect(settled).toMatchObject({ expiresAt: NOW + 1000 + 86_400_000, createdAt: NOW });
    const wire = await store.getRun(T, run.threadId, run.runId);
    expect(wire.expires_at).toBe((NOW + 1000 + 86_400_000) / 1000);
    expect(wire.required_action?.submit_tool_outputs.tool_calls).toHaveLength(1);
    const steps = await store.listSteps(T, run.threadId, run.runId, { limit: 10, order: 'asc' });
    // One open step at a time: clients take no second one.
    expect(steps.data).toHaveLength(1);
    await backend.submit(
      run.ref,
      1,
      [
        { tool_call_id: mine?.callId ?? '', output: '1' },
        { tool_call_id: theirs?.callId ?? '', output: '2' },
      ],
      context({ plan }),
    );
    expect(await texts(run.threadId)).toEqual(['Hello', 'ok']);
  });

  test('of a run without tools refuses calls that the model made up', async () => {
    const run = await start();
    server.script.push(calls([{ name: 'shell', arguments: '{}' }]));
    // The worker has the tool: that the list is complete must reach the planner all the same.
    const tools = defineTools({
      shell: { description: 'A shell.', parameters: z.object({}), execute: () => 'no' },
    });
    const ctx = context({ plan: (asked, declared, options) => planCalls(tools, asked, declared, options) });
    const [call] = waitingCalls(await backend.create(run.request, ctx));
    expect(call?.plan).toMatchObject({ kind: 'refused', output: expect.stringContaining('no tools') });
    expect((await store.getRun(T, run.threadId, run.runId)).status).toBe('in_progress');
  });

  test('forces a tool on the first turn only', async () => {
    const run = await start({ assistant: { tools: [tool('a')] }, params: { tool_choice: 'required' } });
    server.script.push(calls([{ name: 'a', arguments: '{}' }]), says(['ok']));
    const [call] = waitingCalls(await backend.create(run.request, context()));
    await backend.submit(run.ref, 1, [{ tool_call_id: call?.callId ?? '', output: 'x' }], context());
    expect(sent(0)['tool_choice']).toBe('required');
    expect(sent(1)['tool_choice']).toBeUndefined();
  });

  test('without a word or a call completes with an empty message', async () => {
    const run = await start();
    server.script.push(sse([chunk({ role: 'assistant' }), chunk({}, 'stop'), DONE]));
    expect(await backend.create(run.request, context())).toMatchObject({ status: 'completed' });
    expect(await texts(run.threadId)).toEqual(['Hello', '']);
  });

  test.each([
    ['length', 'max_completion_tokens', 'max_tokens'],
    ['content_filter', 'content_filter', 'content_filter'],
  ])('that ends with %s is incomplete', async (finish, reason, messageReason) => {
    const run = await start();
    server.script.push(says(['half'], finish));
    expect(await backend.create(run.request, context())).toMatchObject({
      status: 'incomplete',
      incompleteDetails: { reason },
    });
    const page = await store.listMessages(T, run.threadId, { limit: 1, order: 'desc' });
    expect(page.data[0]).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: messageReason },
      content: [{ text: { value: 'half' } }],
    });
  });

  test('whose prompt the server’s filter refuses is incomplete', async () => {
    const run = await start();
    server.script.push(refuses(400, 'The prompt was filtered.', { code: 'content_filter' }));
    expect(await backend.create(run.request, context())).toMatchObject({
      status: 'incomplete',
      incompleteDetails: { reason: 'content_filter' },
    });
  });

  test('spends one budget of completion tokens over all turns', async () => {
    const run = await start({
      assistant: { tools: [tool('a')] },
      params: { max_completion_tokens: 260 },
    });
    server.script.push(
      sse([
        chunk({ tool_calls: [{ index: 0, id: 'x', function: { name: 'a', arguments: '{}' } }] }),
        chunk({}, 'tool_calls'),
        usageChunk(10, 200),
        DONE,
      ]),
      sse([
        chunk({ tool_calls: [{ index: 0, id: 'x', function: { name: 'a', arguments: '{}' } }] }),
        chunk({}, 'tool_calls'),
        usageChunk(10, 60),
        DONE,
      ]),
    );
    let settled = await backend.create(run.request, context());
    for (const round of [1, 2]) {
      const [call] = waitingCalls(settled);
      settled = await backend.submit(
        run.ref,
        round,
        [{ tool_call_id: call?.callId ?? '', output: 'x' }],
        context(),
      );
    }
    expect(sent(1)['max_completion_tokens']).toBe(60);
    expect(settled).toMatchObject({
      status: 'incomplete',
      incompleteDetails: { reason: 'max_completion_tokens' },
    });
  });
});

describe('servers that differ', () => {
  test('one that knows no stream usage is asked without, and remembered', async () => {
    const one = await start();
    const two = await start();
    server.script.push(refuses(400, 'Unknown parameter: stream_options'), says(['a']), says(['b']));
    await backend.create(one.request, context());
    await backend.create(two.request, context());
    expect(sent(1)['stream_options']).toBeUndefined();
    expect(sent(2)['stream_options']).toBeUndefined();
    expect(await texts(one.threadId)).toEqual(['Hello', 'a']);
  });

  test('one that cannot stream is asked for the whole answer', async () => {
    const run = await start();
    server.script.push(
      refuses(400, 'stream is not supported by this deployment'),
      completion({ role: 'assistant', content: 'whole' }),
    );
    expect(await backend.create(run.request, context())).toMatchObject({
      status: 'completed',
      usage: { totalTokens: 10 },
    });
    expect(sent(1)['stream']).toBeUndefined();
    expect(await texts(run.threadId)).toEqual(['Hello', 'whole']);
  });

  test('one whose stream breaks off with a request error is not taken for one that cannot stream', async () => {
    const run = await start();
    server.script.push(
      sse([word('half'), 'data: {"error":{"message":"stream aborted","code":400}}\n\n']),
      says(['whole']),
    );
    await expect(backend.create(run.request, context())).rejects.toBeInstanceOf(BackendError);
    expect(server.requests).toHaveLength(1);
    await backend.create(run.request, context());
    expect(sent(1)['stream']).toBe(true);
    expect(await texts(run.threadId)).toEqual(['Hello', 'whole']);
  });

  test('one that answers JSON to a stream request is understood', async () => {
    const run = await start({ assistant: { tools: [tool('a')] } });
    server.script.push(
      completion(
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: '1', type: 'function', function: { name: 'a', arguments: { city: 'SF' } } }],
        },
        'stop',
      ),
    );
    const [call] = waitingCalls(await backend.create(run.request, context()));
    expect(call?.arguments).toBe('{"city":"SF"}');
  });

  test('a prompt that is too long is cut until it fits; when nothing can be cut the run is incomplete', async () => {
    const run = await start({
      messages: [
        { role: 'user', content: 'old '.repeat(400) },
        { role: 'assistant', content: 'answer' },
        { role: 'user', content: 'new' },
      ],
    });
    const tooLong = refuses(400, 'too long', { code: 'context_length_exceeded' });
    server.script.push(tooLong, says(['ok']));
    expect(await backend.create(run.request, context())).toMatchObject({ status: 'completed' });
    expect(sent(1)['messages']).toEqual([{ role: 'user', content: 'new' }]);
    const small = await start();
    server.script.push(tooLong);
    expect(await backend.create(small.request, context())).toMatchObject({
      status: 'incomplete',
      incompleteDetails: { reason: 'max_prompt_tokens' },
    });
  });
});

describe('an answer that breaks off after it was shown', () => {
  const tooLong = 'data: {"error":{"message":"the context size is exceeded","code":400}}\n\n';
  const filtered =
    'data: {"error":{"message":"no","code":"content_filter","type":"invalid_request_error"}}\n\n';
  const history = {
    messages: [
      { role: 'user' as const, content: 'old '.repeat(400) },
      { role: 'assistant' as const, content: 'answer' },
      { role: 'user' as const, content: 'new' },
    ],
    assistant: { tools: [tool('a')] },
  };

  test('because the context is full: the shown part is ended, and the answer starts again on a shorter prompt', async () => {
    const run = await start(history);
    server.script.push(sse([word('half an '), callOfA, tooLong]), says(['All of it.']));
    expect(await backend.create(run.request, context())).toMatchObject({ status: 'completed' });
    expect(sent(1)['messages']).toEqual([{ role: 'user', content: 'new' }]);
    const page = await store.listMessages(T, run.threadId, { limit: 10, order: 'asc' });
    expect(page.data.slice(3).map(({ status, content }) => [status, content])).toEqual([
      ['incomplete', [{ type: 'text', text: { value: 'half an ', annotations: [] } }]],
      ['completed', [{ type: 'text', text: { value: 'All of it.', annotations: [] } }]],
    ]);
    const { events } = await store.readEvents(run.runId, { after: 0, limit: 100, gaps: 'refuse' });
    const said = events.flatMap(({ event, data }) =>
      event === 'thread.message.delta' ? [[data.id, data.delta.content[0]]] : [],
    );
    expect(new Set(said.map(([id]) => id)).size).toBe(2);
    const steps = await store.listSteps(T, run.threadId, run.runId, { limit: 10, order: 'asc' });
    expect(steps.data.map(({ type, status }) => [type, status])).toEqual([
      ['message_creation', 'completed'],
      ['tool_calls', 'failed'],
      ['message_creation', 'completed'],
    ]);
  });

  test.each([
    ['and nothing can be left out', tooLong, 'max_prompt_tokens'],
    ['since a filter stepped in', filtered, 'content_filter'],
  ])('%s: the run is incomplete, and no message of it stays open', async (_name, error, reason) => {
    const run = await start();
    server.script.push(sse([word('half an '), error]));
    expect(await backend.create(run.request, context())).toMatchObject({
      status: 'incomplete',
      incompleteDetails: { reason },
    });
    expect(await lastMessage(run.threadId)).toMatchObject({
      status: 'incomplete',
      content: [{ type: 'text', text: { value: 'half an ' } }],
    });
  });

  test('again and again: it is given up after a few cuts', async () => {
    const run = await start({
      messages: Array.from({ length: 40 }, (_, index) => ({
        role: index % 2 === 0 ? ('user' as const) : ('assistant' as const),
        content: 'word '.repeat(100),
      })),
    });
    server.script.push(...Array.from({ length: 5 }, () => sse([word('half'), tooLong])));
    expect(await backend.create(run.request, context())).toMatchObject({ status: 'incomplete' });
    expect(server.requests).toHaveLength(5);
  });
});

describe('a model that asks for too much', () => {
  test('arguments that history could not hold: refused to the model, the others are carried out', async () => {
    const run = await start({ assistant: { tools: [tool('a')] } });
    server.script.push(
      calls([
        { name: 'a', arguments: JSON.stringify({ text: 'x'.repeat(3_000_000) }) },
        { name: 'a', arguments: '{"n":1}' },
      ]),
      says(['ok']),
    );
    const settled = await backend.create(run.request, context());
    expect(JSON.stringify(settled).length).toBeLessThan(10_000);
    const [long, short] = waitingCalls(settled);
    expect([long?.plan.kind, short?.plan.kind]).toEqual(['refused', 'external']);
    const output = long?.plan.kind === 'refused' ? long.plan.output : '';
    expect(output).toContain('3000011 characters long');
    const outputs = [
      { tool_call_id: long?.callId ?? '', output },
      { tool_call_id: short?.callId ?? '', output: 'done' },
    ];
    expect(await backend.submit(run.ref, 1, outputs, context())).toMatchObject({ status: 'completed' });
    // The model is not made to read it again.
    expect(server.requests[1]?.body.length).toBeLessThan(10_000);
  });

  test('the name of a tool that is a book: refused, shortened', async () => {
    const run = await start();
    server.script.push(calls([{ name: 'n'.repeat(2_500_000), arguments: '{}' }]));
    const settled = await backend.create(run.request, context());
    expect(JSON.stringify(settled).length).toBeLessThan(2_000);
    expect(waitingCalls(settled).map(({ plan }) => plan.kind)).toEqual(['refused']);
  });

  test('an answer without an end is cut off, for good', async () => {
    const run = await start();
    const piece = word('x'.repeat(1_000_000));
    server.script.push(sse(Array.from({ length: 40 }, () => piece)));
    await expect(backend.create(run.request, context())).rejects.toMatchObject({
      type: FAILURES.backendUnsupported,
      retryable: false,
      message: expect.stringContaining('more than 1048576 characters of text'),
    });
  });

  test('a piece that is larger than a line may be is cut off, for good', async () => {
    const run = await start();
    server.script.push(sse([word('x'.repeat(4_300_000))]));
    await expect(backend.create(run.request, context())).rejects.toMatchObject({
      type: FAILURES.backendUnsupported,
      retryable: false,
    });
  });
});

test('stream usage refused to two turns at once: both are asked without', async () => {
  const one = await start();
  const two = await start();
  const refusing: Step = async (asked, socket) => {
    await server.arrived(2);
    await refuses(400, 'Unknown parameter: stream_options')(asked, socket);
  };
  server.script.push(refusing, refusing, says(['a']), says(['b']));
  const settled = await Promise.all([
    backend.create(one.request, context()),
    backend.create(two.request, context()),
  ]);
  expect(settled.map(({ status }) => status)).toEqual(['completed', 'completed']);
});

describe('failures', () => {
  test.each([
    ['401', refuses(401, 'bad key'), FAILURES.backendUnauthorized, false],
    ['404', refuses(404, 'no such model'), FAILURES.backendNotFound, false],
    ['400', refuses(400, 'bad request'), FAILURES.backendRejected, false],
    ['429', refuses(429, 'slow down'), FAILURES.backendUnavailable, true],
    ['500', refuses(500, 'oops'), FAILURES.backendUnavailable, true],
    ['a reset', reset, FAILURES.backendUnavailable, true],
    ['a cut stream', sse([chunk({ content: 'half' })], 'cut'), FAILURES.backendUnavailable, true],
    [
      'a stream that is given up',
      sse([chunk({ content: 'half' }), chunk({}, 'error'), DONE]),
      FAILURES.backendUnavailable,
      true,
    ],
    ['a stream that just ends', sse([chunk({ content: 'half' })]), FAILURES.backendUnavailable, true],
    [
      'an error within the stream',
      sse([chunk({ content: 'half' }), 'data: {"error":{"message":"overloaded","code":503}}\n\n']),
      FAILURES.backendUnavailable,
      true,
    ],
    [
      'a refusal within the stream',
      sse(['data: {"error":{"message":"bad schema","type":"invalid_request_error"}}\n\n']),
      FAILURES.backendRejected,
      false,
    ],
  ])('%s becomes %s', async (_name, step, type, retryable) => {
    const run = await start();
    server.script.push(step);
    await expect(backend.create(run.request, context())).rejects.toMatchObject({ type, retryable });
    expect(server.requests).toHaveLength(1);
  });

  test('the next attempt closes what the broken one opened, and asks with a clean context', async () => {
    const run = await start();
    server.script.push(sse([chunk({ content: 'half an ' })], 'cut'), says(['All of it.']));
    const first = context();
    await expect(backend.create(run.request, first)).rejects.toMatchObject({ retryable: true });
    expect(await backend.create(run.request, context({ attempt: 2 }))).toMatchObject({
      status: 'completed',
    });
    expect(sent(1)['messages']).toEqual([{ role: 'user', content: 'Hello' }]);
    const page = await store.listMessages(T, run.threadId, { limit: 10, order: 'asc' });
    expect(page.data.map(({ status }) => status)).toEqual(['completed', 'incomplete', 'completed']);
    const steps = await store.listSteps(T, run.threadId, run.runId, { limit: 10, order: 'asc' });
    expect(steps.data.map(({ status }) => status)).toEqual(['failed', 'completed']);
  });

  test('an attempt that was replaced stops at its next write, and changes nothing', async () => {
    const run = await start();
    server.script.push(async (asked, socket) => {
      await store.claim(run.runId, NOW + 2000);
      await says(['too late'])(asked, socket);
    });
    await expect(backend.create(run.request, context())).rejects.toMatchObject({
      type: FAILURES.backendUnavailable,
      retryable: true,
    });
    expect(await texts(run.threadId)).toEqual(['Hello']);
  });

  test('a fence that falls before the request keeps it from being sent', async () => {
    const run = await start();
    let fences = 0;
    const ctx = context({
      fence: () => {
        fences += 1;
        if (fences === 2) throw new Error('replaced');
      },
    });
    await expect(backend.create(run.request, ctx)).rejects.toThrow('replaced');
    expect(server.requests).toHaveLength(0);
  });

  test('a run without a row ends as such', async () => {
    await expect(
      backend.create(
        request({ runId: 'run_gone', threadId: 'thread_gone', assistantId: 'asst_gone' }),
        context(),
      ),
    ).rejects.toMatchObject({ type: FAILURES.backendNoSuchRow, retryable: false });
  });
});

describe('looking again', () => {
  test('an attempt that died after its turn settled finds the same calls, and asks nothing', async () => {
    const run = await start({ assistant: { tools: [tool('a')] } });
    server.script.push(calls([{ name: 'a', arguments: '{}' }]));
    const first = await backend.create(run.request, context());
    expect(await backend.create(run.request, context({ attempt: 2 }))).toEqual(first);
    expect(await backend.follow(run.ref, context())).toEqual(first);
    expect(server.requests).toHaveLength(1);
  });

  test('a submit that is repeated after the next turn settled asks nothing', async () => {
    const run = await start({ assistant: { tools: [tool('a')] } });
    server.script.push(calls([{ name: 'a', arguments: '{}' }]), says(['ok']));
    const [call] = waitingCalls(await backend.create(run.request, context()));
    const outputs = [{ tool_call_id: call?.callId ?? '', output: 'x' }];
    const first = await backend.submit(run.ref, 1, outputs, context());
    expect(await backend.submit(run.ref, 1, outputs, context({ attempt: 2 }))).toEqual(first);
    await expect(
      backend.submit(run.ref, 1, [{ tool_call_id: call?.callId ?? '', output: 'other' }], context()),
    ).rejects.toMatchObject({ type: FAILURES.backendConflict, details: [{ callIds: [call?.callId] }] });
  });

  test('closing tells the truth', async () => {
    const run = await start();
    server.script.push(says(['ok']));
    await backend.create(run.request, context());
    expect(await backend.close({ kind: 'run', run: run.ref }, { kind: 'cancel' }, context())).toMatchObject({
      status: 'completed',
    });
    const other = await start();
    expect(
      await backend.close(
        { kind: 'token', runId: other.runId, threadId: other.threadId, startedAt: NOW },
        { kind: 'expire' },
        context(),
      ),
    ).toMatchObject({ status: 'expired', run: other.ref });
    expect(
      await backend.close(
        { kind: 'token', runId: 'run_gone', threadId: null, startedAt: NOW },
        { kind: 'cancel' },
        context(),
      ),
    ).toEqual({ status: 'cancelled', run: null });
  });

  test('a run that was asked to cancel is closed instead of asked about', async () => {
    const run = await start();
    await store.markCancelling(T, run.threadId, run.runId, NOW);
    expect(await backend.create(run.request, context())).toMatchObject({ status: 'cancelled' });
    expect(server.requests).toHaveLength(0);
  });

  test('calls that came during a cancel are not run', async () => {
    const run = await start({ assistant: { tools: [tool('a')] } });
    server.script.push(async (asked, socket) => {
      await store.markCancelling(T, run.threadId, run.runId, NOW + 2000);
      await calls([{ name: 'a', arguments: '{}' }])(asked, socket);
    });
    expect(await backend.create(run.request, context())).toMatchObject({ status: 'cancelled' });
    expect(await eventNames(store, run.runId)).not.toContain('thread.run.requires_action');
  });
});
