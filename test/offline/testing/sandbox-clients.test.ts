/**
 * The official client, unchanged, against the sandbox's socket: every endpoint, the poll and stream helpers, and errors
 * as their typed classes.
 */
import OpenAI6 from 'openai';
import type OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createSandbox } from '../../../testing/index.ts';
import type { Sandbox } from '../../../testing/index.ts';

interface Client {
  name: string;
  Api: typeof OpenAI;
}

const CLIENTS: Client[] = [{ name: 'openai 6', Api: OpenAI6 }];

const callsOf = (run: OpenAI.Beta.Threads.Run): OpenAI.Beta.Threads.RequiredActionFunctionToolCall[] =>
  run.required_action?.submit_tool_outputs.tool_calls ?? [];

const outputsOf = (run: OpenAI.Beta.Threads.Run): { tool_call_id: string; output: string }[] =>
  callsOf(run).map((call) => ({ tool_call_id: call.id, output: '70 degrees and sunny.' }));

describe.each(CLIENTS)('$name', ({ Api }) => {
  let sandbox: Sandbox;
  let openai: OpenAI;
  beforeAll(async () => {
    sandbox = await createSandbox();
    openai = new Api({ baseURL: sandbox.url, apiKey: 'not-needed', maxRetries: 0 });
  });
  afterEach(() => sandbox.reset());
  afterAll(() => sandbox.close());

  const assistant = (script: string): Promise<{ id: string }> =>
    openai.beta.assistants.create({
      model: 'gpt-4o',
      metadata: { script },
      tools: [
        { type: 'function', function: { name: 'get_current_weather', parameters: { type: 'object' } } },
      ],
    });

  test('assistants: create, list, retrieve, update, delete', async () => {
    const made = await openai.beta.assistants.create({ model: 'chat', name: 'One' });
    const updated = await openai.beta.assistants.update(made.id, { name: 'Two', metadata: { a: 'b' } });
    expect(updated).toMatchObject({ id: made.id, name: 'Two', model: 'chat', metadata: { a: 'b' } });
    expect(await openai.beta.assistants.retrieve(made.id)).toEqual(updated);
    const listed = [];
    for await (const item of openai.beta.assistants.list({ limit: 1 })) listed.push(item.id);
    expect(listed).toEqual([made.id]);
    expect(await openai.beta.assistants.delete(made.id)).toMatchObject({ id: made.id, deleted: true });
    await expect(openai.beta.assistants.retrieve(made.id)).rejects.toBeInstanceOf(Api.NotFoundError);
  });

  test('threads and messages: create, page through, retrieve, update, delete', async () => {
    const thread = await openai.beta.threads.create({
      messages: [
        { role: 'user', content: 'one' },
        { role: 'assistant', content: [{ type: 'text', text: 'two' }] },
        {
          role: 'user',
          content: [{ type: 'image_url', image_url: { url: 'https://example.org/cat.png', detail: 'low' } }],
        },
      ],
      metadata: { topic: 'counting' },
    });
    const four = await openai.beta.threads.messages.create(thread.id, { role: 'user', content: 'four' });
    const texts = [];
    for await (const message of openai.beta.threads.messages.list(thread.id, { limit: 1, order: 'asc' }))
      texts.push(
        message.content[0]?.type === 'text' ? message.content[0].text.value : message.content[0]?.type,
      );
    expect(texts).toEqual(['one', 'two', 'image_url', 'four']);
    const where = { thread_id: thread.id };
    const updated = await openai.beta.threads.messages.update(four.id, {
      ...where,
      metadata: { seen: 'yes' },
    });
    expect(updated.metadata).toEqual({ seen: 'yes' });
    expect(await openai.beta.threads.messages.retrieve(four.id, where)).toEqual(updated);
    await openai.beta.threads.messages.delete(four.id, where);
    await expect(openai.beta.threads.messages.retrieve(four.id, where)).rejects.toBeInstanceOf(
      Api.NotFoundError,
    );
    expect(await openai.beta.threads.update(thread.id, { metadata: {} })).toMatchObject({ metadata: {} });
    expect(await openai.beta.threads.delete(thread.id)).toMatchObject({ deleted: true });
    await expect(openai.beta.threads.retrieve(thread.id)).rejects.toBeInstanceOf(Api.NotFoundError);
  });

  test('createAndPoll stops at the wait, submitToolOutputsAndPoll at the end', async () => {
    const { id: assistant_id } = await assistant('parallel');
    const thread = await openai.beta.threads.create({ messages: [{ role: 'user', content: 'Weather?' }] });
    const waiting = await openai.beta.threads.runs.createAndPoll(thread.id, { assistant_id });
    expect(waiting.status).toBe('requires_action');
    expect(callsOf(waiting)).toHaveLength(3);
    const done = await openai.beta.threads.runs.submitToolOutputsAndPoll(waiting.id, {
      thread_id: thread.id,
      tool_outputs: outputsOf(waiting),
    });
    expect(done).toMatchObject({ status: 'completed', expires_at: null, required_action: null });
    expect(done.usage?.total_tokens).toBeGreaterThan(0);
    const said = await openai.beta.threads.messages.list(thread.id, { run_id: done.id });
    expect(said.data).toHaveLength(1);
    const steps = await openai.beta.threads.runs.steps.list(done.id, { thread_id: thread.id, order: 'asc' });
    expect(steps.data.map((step) => step.type)).toEqual(['tool_calls', 'message_creation']);
    const [first] = steps.data;
    expect(
      await openai.beta.threads.runs.steps.retrieve(first?.id ?? '', {
        thread_id: thread.id,
        run_id: done.id,
      }),
    ).toEqual(first);
  });

  test('createThreadAndRunPoll, list, update and retrieve of runs work as with the vendor', async () => {
    const { id: assistant_id } = await assistant('chat');
    const run = await openai.beta.threads.createAndRunPoll({
      assistant_id,
      thread: { messages: [{ role: 'user', content: 'hi' }] },
    });
    expect(run.status).toBe('completed');
    const where = { thread_id: run.thread_id };
    await openai.beta.threads.runs.update(run.id, { ...where, metadata: { rated: 'good' } });
    expect((await openai.beta.threads.runs.retrieve(run.id, where)).metadata).toEqual({ rated: 'good' });
    const again = await openai.beta.threads.runs.createAndPoll(run.thread_id, {
      assistant_id,
      additional_messages: [{ role: 'user', content: 'and again' }],
    });
    const listed = await openai.beta.threads.runs.list(run.thread_id);
    expect(listed.data.map((item) => item.id)).toEqual([again.id, run.id]);
    const [last] = (await openai.beta.threads.messages.list(run.thread_id, { run_id: again.id })).data;
    expect(last?.content).toMatchObject([{ text: { value: 'You said: and again' } }]);
  });

  test('runs.stream and submitToolOutputsStream: deltas add up to the calls and the answer', async () => {
    const { id: assistant_id } = await assistant('weather');
    const thread = await openai.beta.threads.create();
    const heard: string[] = [];
    const first = openai.beta.threads.runs
      .stream(thread.id, { assistant_id })
      .on('toolCallCreated', (call) => heard.push(`created ${call.type}`))
      .on('toolCallDone', (call) =>
        heard.push(`done ${call.type === 'function' ? call.function.arguments : ''}`),
      );
    const waiting = await first.finalRun();
    expect(waiting.status).toBe('requires_action');
    expect(heard).toEqual(['created function', 'done {"location":"San Francisco, CA","unit":"fahrenheit"}']);
    expect((await first.finalRunSteps())[0]).toMatchObject({ status: 'in_progress' });

    let text = '';
    const second = openai.beta.threads.runs
      .submitToolOutputsStream(waiting.id, { thread_id: thread.id, tool_outputs: outputsOf(waiting) })
      .on('textDelta', (delta) => {
        text += delta.value ?? '';
      });
    expect((await second.finalRun()).status).toBe('completed');
    const [message] = await second.finalMessages();
    expect(message?.content).toMatchObject([{ text: { value: text } }]);
    expect(text).toContain('70 degrees and sunny.');
  });

  test('createAndRunStream begins with the new thread', async () => {
    const { id: assistant_id } = await assistant('chat');
    const stream = openai.beta.threads.createAndRunStream({
      assistant_id,
      thread: { messages: [{ role: 'user', content: 'hi' }] },
    });
    const events = [];
    for await (const event of stream) events.push(event.event);
    expect(events.slice(0, 4)).toEqual([
      'thread.created',
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
    ]);
    expect(events.at(-1)).toBe('thread.run.completed');
  });

  test.each(['failing', 'incomplete', 'incomplete:content_filter'])(
    'a run that ends %s ends the helpers',
    async (script) => {
      const { id: assistant_id } = await assistant(script);
      const status = script.startsWith('failing') ? 'failed' : 'incomplete';
      const run = await openai.beta.threads.createAndRunPoll({ assistant_id });
      expect(run.status).toBe(status);
      const stream = openai.beta.threads.createAndRunStream({ assistant_id });
      expect((await stream.finalRun()).status).toBe(status);
    },
  );

  test('cancel of a waiting run ends cancelled and frees the thread', async () => {
    const { id: assistant_id } = await assistant('weather');
    const thread = await openai.beta.threads.create();
    const waiting = await openai.beta.threads.runs.createAndPoll(thread.id, { assistant_id });
    const where = { thread_id: thread.id };
    expect((await openai.beta.threads.runs.cancel(waiting.id, where)).status).toBe('cancelling');
    expect((await openai.beta.threads.runs.poll(waiting.id, where)).status).toBe('cancelled');
    const again = await openai.beta.threads.runs.createAndPoll(thread.id, { assistant_id });
    expect(again.status).toBe('requires_action');
  });

  test('errors arrive as typed classes with code, param and request id', async () => {
    const failure = await openai.beta.threads.create({ metadata: { key: 'x'.repeat(600) } }).then(
      () => null,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(Api.BadRequestError);
    expect(failure).toMatchObject({ status: 400, param: 'metadata', code: 'invalid_value' });
    expect((failure as InstanceType<typeof Api.APIError>).requestID).toMatch(/^req_/);
    for (const [status, type] of [
      [401, Api.AuthenticationError],
      [403, Api.PermissionDeniedError],
      [429, Api.RateLimitError],
      [503, Api.InternalServerError],
    ] as const) {
      sandbox.faults.add({ match: { path: '/v1/threads' }, action: { kind: 'status', status } });
      await expect(openai.beta.threads.create()).rejects.toBeInstanceOf(type);
    }
  });

  test("a client's own retry of an accepted submit gets the run, not a refusal", async () => {
    const { id: assistant_id } = await assistant('weather');
    const thread = await openai.beta.threads.create();
    const waiting = await openai.beta.threads.runs.createAndPoll(thread.id, { assistant_id });
    sandbox.faults.add({ match: { path: 'submit_tool_outputs' }, action: { kind: 'reset', when: 'after' } });
    const patient = new Api({ baseURL: sandbox.url, apiKey: 'x', maxRetries: 1 });
    const run = await patient.beta.threads.runs.submitToolOutputs(waiting.id, {
      thread_id: thread.id,
      tool_outputs: outputsOf(waiting),
    });
    expect(run.id).toBe(waiting.id);
    const sent = sandbox.requests.filter((request) => request.path.endsWith('submit_tool_outputs'));
    expect(sent.map((request) => request.headers['x-stainless-retry-count'])).toEqual(['0', '1']);
  });
});
