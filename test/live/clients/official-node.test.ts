/**
 * The official Node clients, unchanged, against `runs serve` and `runs worker`: every endpoint, every poll and stream helper,
 * every way a run ends, every kind of error.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WEATHER_TOOL } from '../../../testing/scripts.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import {
  callsOf,
  failureOf,
  failuresOf,
  failuresWith,
  functionTool,
  officialClients,
  outputsOf,
  textOf,
  threadOf,
  type OpenAI,
} from '../../support/official/clients.ts';
import { checkingFetch, responseCheck, type OpenApiDocument } from '../../support/openapi.ts';
import { SCRIPTS, TOOLS } from '../../support/official/scripts.ts';
import { openOfficial, type OfficialServer } from '../../support/official/server.ts';

// The clients keep connections alive for a while; the server's processes are ended by the last hook.
guardAgainstLeaks({ ignore: ['TCPSocketWrap', 'Timeout'] });

const { clients, leftOut } = await officialClients();

const CHECKS = functionTool('run_checks', { service: { type: 'string' }, version: { type: 'string' } });
const DEPLOY = functionTool('deploy', { service: { type: 'string' }, version: { type: 'string' } });

let server: OfficialServer;
beforeAll(async () => {
  server = await openOfficial({ sandbox: { scripts: SCRIPTS }, tools: TOOLS });
});
afterAll(() => server.close());

// What is not tested here is told in the list of tests.
test.each([leftOut ?? `openai-node 6 and 7 take part on Node ${process.versions.node}`])('%s', () => {
  expect(clients.map(({ name }) => name)).toEqual(
    leftOut === null ? ['openai-node 6', 'openai-node 7'] : ['openai-node 6'],
  );
});

/** What the model was asked last. */
const asked = (): Record<string, unknown> => server.sandbox.requests.at(-1)?.body as Record<string, unknown>;
/** What the client's types would not let through. */
const loose = (value: object): never => value as never;

describe.each(clients)('$name', ({ Api }) => {
  let openai: OpenAI;
  /** What answers differed in from the document that the server publishes. */
  const problems: string[] = [];
  beforeAll(async () => {
    const document = await fetch(new URL('/openapi.json', server.url));
    const check = responseCheck((await document.json()) as OpenApiDocument);
    openai = new Api({
      baseURL: server.url,
      apiKey: 'not-needed',
      maxRetries: 0,
      fetch: checkingFetch(check, problems),
    });
  });
  afterAll(() => {
    if (problems.length > 0) throw new Error(`Not as documented:\n${problems.join('\n')}`);
  });

  /** An assistant that plays the script. */
  const assistant = async (
    script: string,
    more: Partial<OpenAI.Beta.AssistantCreateParams> = {},
  ): Promise<string> =>
    (
      await openai.beta.assistants.create({
        model: `scripted:${script}`,
        tools: [WEATHER_TOOL],
        ...more,
      })
    ).id;
  const thread = async (content = 'Weather?'): Promise<string> =>
    (await openai.beta.threads.create({ messages: [{ role: 'user', content }] })).id;

  describe('objects', () => {
    test('assistants: create, retrieve, update, list both ways, delete', async () => {
      const made = await openai.beta.assistants.create({
        model: 'gpt-4o',
        name: 'One',
        description: 'The first',
        instructions: 'Be brief.',
        tools: [WEATHER_TOOL],
        metadata: { topic: 'weather' },
        temperature: 0.5,
        top_p: 0.9,
        response_format: { type: 'json_object' },
      });
      expect(made).toMatchObject({
        object: 'assistant',
        name: 'One',
        tools: [WEATHER_TOOL],
        temperature: 0.5,
        top_p: 0.9,
        response_format: { type: 'json_object' },
      });
      expect(await openai.beta.assistants.retrieve(made.id)).toEqual(made);
      // Null leaves a field as it is; the empty string empties it.
      const updated = await openai.beta.assistants.update(made.id, { name: 'Two', instructions: null });
      expect(updated).toEqual({ ...made, name: 'Two' });
      const emptied = await openai.beta.assistants.update(made.id, { instructions: '' });
      expect(emptied).toEqual({ ...updated, instructions: '' });

      const second = await openai.beta.assistants.create({ model: 'gpt-4o' });
      const third = await openai.beta.assistants.create({ model: 'gpt-4o' });
      const newest = await openai.beta.assistants.list({ limit: 2 });
      expect(newest.data.map(({ id }) => id)).toEqual([third.id, second.id]);
      expect(newest.has_more).toBe(true);
      const next = await newest.getNextPage();
      expect(next.data[0]).toEqual(emptied);
      const upwards = [];
      for await (const { id } of openai.beta.assistants.list({ limit: 1, order: 'asc', after: made.id }))
        upwards.push(id);
      expect(upwards).toEqual([second.id, third.id]);
      const before = await openai.beta.assistants.list({ before: made.id });
      expect(before.data.map(({ id }) => id)).toEqual([third.id, second.id]);

      expect(await openai.beta.assistants.delete(made.id)).toEqual({
        id: made.id,
        object: 'assistant.deleted',
        deleted: true,
      });
      expect(await failureOf(openai.beta.assistants.retrieve(made.id))).toBeInstanceOf(Api.NotFoundError);
    });

    test('threads: create, retrieve, update, delete with everything on them', async () => {
      const made = await openai.beta.threads.create({
        messages: [{ role: 'user', content: 'one' }],
        metadata: { topic: 'counting' },
      });
      expect(made).toMatchObject({ object: 'thread', metadata: { topic: 'counting' } });
      expect(await openai.beta.threads.retrieve(made.id)).toEqual(made);
      const updated = await openai.beta.threads.update(made.id, { metadata: { topic: 'sums' } });
      expect(updated).toEqual({ ...made, metadata: { topic: 'sums' } });
      const run = await openai.beta.threads.runs.createAndPoll(made.id, {
        assistant_id: await assistant('chat'),
      });
      expect(await openai.beta.threads.delete(made.id)).toEqual({
        id: made.id,
        object: 'thread.deleted',
        deleted: true,
      });
      const gone = [
        openai.beta.threads.retrieve(made.id),
        openai.beta.threads.messages.list(made.id),
        openai.beta.threads.runs.retrieve(run.id, { thread_id: made.id }),
        openai.beta.threads.runs.steps.list(run.id, { thread_id: made.id }),
      ];
      for (const failure of await failuresOf(gone)) expect(failure).toBeInstanceOf(Api.NotFoundError);
    });

    test('messages: create, retrieve, update, page through, delete', async () => {
      const { id: thread_id } = await openai.beta.threads.create({
        messages: [
          { role: 'user', content: 'one' },
          { role: 'assistant', content: [{ type: 'text', text: 'two' }] },
          {
            role: 'user',
            content: [
              { type: 'image_url', image_url: { url: 'https://example.org/cat.png', detail: 'low' } },
            ],
          },
        ],
      });
      const four = await openai.beta.threads.messages.create(thread_id, {
        role: 'user',
        content: 'four',
        metadata: { from: 'test' },
      });
      expect(four).toMatchObject({
        object: 'thread.message',
        status: 'completed',
        role: 'user',
        run_id: null,
        assistant_id: null,
        content: [{ type: 'text', text: { value: 'four', annotations: [] } }],
      });
      const seen = [];
      for await (const message of openai.beta.threads.messages.list(thread_id, { limit: 1, order: 'asc' }))
        seen.push(textOf(message) || message.content[0]?.type);
      expect(seen).toEqual(['one', 'two', 'image_url', 'four']);
      const updated = await openai.beta.threads.messages.update(four.id, {
        thread_id,
        metadata: { seen: 'yes' },
      });
      expect(updated).toEqual({ ...four, metadata: { seen: 'yes' } });
      expect(await openai.beta.threads.messages.retrieve(four.id, { thread_id })).toEqual(updated);
      expect(await openai.beta.threads.messages.delete(four.id, { thread_id })).toEqual({
        id: four.id,
        object: 'thread.message.deleted',
        deleted: true,
      });
      const left = await openai.beta.threads.messages.list(thread_id, { order: 'asc', limit: 100 });
      expect(left.data).toHaveLength(3);
      expect(left.has_more).toBe(false);
    });

    test('runs and their steps: create, retrieve, update, list, and messages by run', async () => {
      const assistant_id = await assistant('weather');
      const thread_id = await thread();
      const { data: created, response } = await openai.beta.threads.runs
        .create(thread_id, { assistant_id, metadata: { order: 'first' } })
        .withResponse();
      expect(created).toMatchObject({
        object: 'thread.run',
        status: 'queued',
        assistant_id,
        thread_id,
        model: 'scripted:weather',
        tools: [WEATHER_TOOL],
        metadata: { order: 'first' },
        required_action: null,
        usage: null,
      });
      expect(created.expires_at).toBe(created.created_at + 600);
      expect(Number(response.headers.get('openai-poll-after-ms'))).toBeGreaterThan(0);
      expect(response.headers.get('x-request-id')).toMatch(/^req_/);

      const waiting = await openai.beta.threads.runs.poll(created.id, { thread_id });
      expect(waiting.status).toBe('requires_action');
      const [call] = callsOf(waiting);
      expect(call).toMatchObject({
        type: 'function',
        function: {
          name: 'get_current_weather',
          arguments: '{"location":"San Francisco, CA","unit":"fahrenheit"}',
        },
      });
      const [open] = (await openai.beta.threads.runs.steps.list(created.id, { thread_id })).data;
      expect(open).toMatchObject({
        object: 'thread.run.step',
        type: 'tool_calls',
        status: 'in_progress',
        step_details: {
          type: 'tool_calls',
          tool_calls: [{ ...call, function: { ...call?.function, output: null } }],
        },
      });

      const answered = await openai.beta.threads.runs.submitToolOutputs(created.id, {
        thread_id,
        tool_outputs: outputsOf(waiting, () => '70 degrees and sunny.'),
      });
      expect(answered.required_action).toBeNull();
      const done = await openai.beta.threads.runs.poll(created.id, { thread_id });
      expect(done).toMatchObject({
        status: 'completed',
        expires_at: null,
        failed_at: null,
        cancelled_at: null,
      });
      expect(done.completed_at).toBeGreaterThanOrEqual(done.created_at);

      const where = { thread_id, run_id: created.id };
      const steps = await openai.beta.threads.runs.steps.list(created.id, { thread_id, order: 'asc' });
      expect(steps.data.map(({ type, status }) => [type, status])).toEqual([
        ['tool_calls', 'completed'],
        ['message_creation', 'completed'],
      ]);
      const [tools, message] = steps.data;
      expect(tools?.step_details).toMatchObject({
        tool_calls: [{ id: call?.id, function: { output: '70 degrees and sunny.' } }],
      });
      for (const step of steps.data)
        expect(await openai.beta.threads.runs.steps.retrieve(step.id, where)).toEqual(step);
      expect(done.usage?.total_tokens).toBe(
        (tools?.usage?.total_tokens ?? 0) + (message?.usage?.total_tokens ?? 0),
      );
      const paged = [];
      for await (const step of openai.beta.threads.runs.steps.list(created.id, { thread_id, limit: 1 }))
        paged.push(step.id);
      expect(paged).toEqual([message?.id, tools?.id]);

      const said = await openai.beta.threads.messages.list(thread_id, { run_id: created.id });
      expect(said.data).toHaveLength(1);
      expect(said.data[0]).toMatchObject({ role: 'assistant', run_id: created.id, assistant_id });
      expect(message?.step_details).toEqual({
        type: 'message_creation',
        message_creation: { message_id: said.data[0]?.id },
      });
      expect((await openai.beta.threads.messages.list(thread_id)).data).toHaveLength(2);

      const rated = await openai.beta.threads.runs.update(created.id, {
        thread_id,
        metadata: { rated: 'good' },
      });
      expect(rated).toEqual({ ...done, metadata: { rated: 'good' } });
      expect(await openai.beta.threads.runs.retrieve(created.id, { thread_id })).toEqual(rated);
      const again = await openai.beta.threads.runs.createAndPoll(thread_id, {
        assistant_id: await assistant('chat'),
      });
      const listed = [];
      for await (const run of openai.beta.threads.runs.list(thread_id, { limit: 1 })) listed.push(run.id);
      expect(listed).toEqual([again.id, created.id]);
    });
  });

  describe('poll helpers', () => {
    test('createAndRun answers at once; createAndRunPoll, createAndPoll and submitToolOutputsAndPoll wait', async () => {
      const assistant_id = await assistant('chat');
      const queued = await openai.beta.threads.createAndRun({
        assistant_id,
        thread: { messages: [{ role: 'user', content: 'hi' }], metadata: { kept: 'yes' } },
      });
      expect(queued.status).toBe('queued');
      expect((await openai.beta.threads.retrieve(queued.thread_id)).metadata).toEqual({ kept: 'yes' });
      const polled = await openai.beta.threads.createAndRunPoll({
        assistant_id: await assistant('parallel'),
        thread: { messages: [{ role: 'user', content: 'Weather?' }] },
      });
      expect(polled.status).toBe('requires_action');
      expect(callsOf(polled)).toHaveLength(3);
      const done = await openai.beta.threads.runs.submitToolOutputsAndPoll(polled.id, {
        thread_id: polled.thread_id,
        // In any order: what belongs together is told by the ids.
        tool_outputs: outputsOf(polled).toReversed(),
      });
      expect(done.status).toBe('completed');
      const [last] = (await openai.beta.threads.messages.list(polled.thread_id)).data;
      expect(textOf(last)).toBe(
        [0, 1, 2].map((index) => `get_current_weather said: get_current_weather ${index}`).join(' | '),
      );
      const again = await openai.beta.threads.runs.createAndPoll(
        polled.thread_id,
        { assistant_id, additional_messages: [{ role: 'user', content: 'And again' }] },
        { pollIntervalMs: 20 },
      );
      expect(again.status).toBe('completed');
      const [newest] = (await openai.beta.threads.messages.list(polled.thread_id)).data;
      expect(textOf(newest)).toBe('You said: And again');
    });

    test('several rounds: each has new calls, with new ids', async () => {
      const tools = [functionTool('do_step', { round: { type: 'integer' }, call: { type: 'integer' } })];
      let run = await openai.beta.threads.createAndRunPoll({
        assistant_id: await assistant('work:2x3', { tools }),
        thread: { messages: [{ role: 'user', content: 'Work.' }] },
      });
      const ids = [];
      for (let rounds = 0; run.status === 'requires_action' && rounds < 5; rounds += 1) {
        ids.push(...callsOf(run).map(({ id }) => id));
        run = await openai.beta.threads.runs.submitToolOutputsAndPoll(run.id, {
          thread_id: run.thread_id,
          tool_outputs: outputsOf(run),
        });
      }
      expect(run.status).toBe('completed');
      expect(new Set(ids).size).toBe(6);
    });

    test("a worker's tool and the caller's in one round: one is run, the other asked for, the model gets both", async () => {
      const run = await openai.beta.threads.createAndRunPoll({
        assistant_id: await assistant('mixed', { tools: [CHECKS, DEPLOY] }),
        thread: { messages: [{ role: 'user', content: 'Ship it.' }] },
      });
      expect(callsOf(run).map((call) => call.function.name)).toEqual(['deploy']);
      const before = server.sandbox.requests.length;
      const done = await openai.beta.threads.runs.submitToolOutputsAndPoll(run.id, {
        thread_id: run.thread_id,
        tool_outputs: outputsOf(run, () => 'shipped'),
      });
      expect(done.status).toBe('completed');
      const [last] = (await openai.beta.threads.messages.list(run.thread_id)).data;
      expect(textOf(last)).toBe('run_checks said: checkout is green | deploy said: shipped');
      expect(server.sandbox.requests).toHaveLength(before + 1);
      const steps = await openai.beta.threads.runs.steps.list(run.id, {
        thread_id: run.thread_id,
        order: 'asc',
      });
      const outputs = steps.data.flatMap(({ step_details: details }) =>
        details.type === 'tool_calls'
          ? [details.tool_calls.map((call) => (call.type === 'function' ? call.function.output : null))]
          : [],
      );
      expect(outputs).toEqual([['checkout is green', 'shipped']]);
    });
  });

  describe('stream helpers', () => {
    test('runs.stream and submitToolOutputsStream: every event of the helper, and deltas that add up', async () => {
      const assistant_id = await assistant('spoken_calls');
      const thread_id = await thread();
      const heard: string[] = [];
      const first = openai.beta.threads.runs
        .stream(thread_id, { assistant_id })
        .on('textCreated', () => heard.push('textCreated'))
        .on('textDone', (text) => heard.push(`textDone ${text.value}`))
        .on('messageDone', (message) => heard.push(`messageDone ${message.status}`))
        .on('runStepDone', (step) => heard.push(`runStepDone ${step.type}`))
        .on('toolCallCreated', (call) => heard.push(`toolCallCreated ${call.type}`))
        .on('toolCallDone', (call) =>
          heard.push(`toolCallDone ${call.type === 'function' ? call.function.arguments : ''}`),
        );
      let streamed = '';
      first.on('toolCallDelta', (delta) => {
        if (delta.type === 'function') streamed += delta.function?.arguments ?? '';
      });
      const waiting = await first.finalRun();
      expect(waiting.status).toBe('requires_action');
      expect(streamed).toBe('{"location":"Oslo"}');
      expect(heard).toEqual([
        'textCreated',
        'textDone Let me look.',
        'messageDone completed',
        'runStepDone message_creation',
        'toolCallCreated function',
        'toolCallDone {"location":"Oslo"}',
      ]);
      expect((await first.finalMessages()).map(textOf)).toEqual(['Let me look.']);
      expect((await first.finalRunSteps()).map(({ type, status }) => [type, status])).toEqual([
        ['message_creation', 'completed'],
        ['tool_calls', 'in_progress'],
      ]);
      expect(callsOf(waiting)).toHaveLength(1);

      let text = '';
      let snapshot = '';
      const second = openai.beta.threads.runs
        .submitToolOutputsStream(waiting.id, { thread_id, tool_outputs: outputsOf(waiting, () => 'mild') })
        .on('textDelta', (delta, whole) => {
          text += delta.value ?? '';
          snapshot = whole.value;
        });
      expect((await second.finalRun()).status).toBe('completed');
      expect([text, snapshot]).toEqual(['It is mild.', 'It is mild.']);
      expect((await second.finalMessages()).map(textOf)).toEqual(['It is mild.']);
      expect((await second.finalRunSteps()).map(({ type, status }) => [type, status])).toEqual([
        ['tool_calls', 'completed'],
        ['message_creation', 'completed'],
      ]);
    });

    test('parallel calls are told apart in the stream', async () => {
      const stream = openai.beta.threads.createAndRunStream({
        assistant_id: await assistant('parallel'),
        thread: { messages: [{ role: 'user', content: 'Weather?' }] },
      });
      const run = await stream.finalRun();
      const [step] = await stream.finalRunSteps();
      const details = step?.step_details;
      expect(details?.type === 'tool_calls' ? details.tool_calls : []).toMatchObject(callsOf(run));
    });

    test("a round of the worker's calls and the caller's is told as one step", async () => {
      const stream = openai.beta.threads.createAndRunStream({
        assistant_id: await assistant('mixed', { tools: [CHECKS, DEPLOY] }),
      });
      const run = await stream.finalRun();
      expect(callsOf(run).map((call) => call.function.name)).toEqual(['deploy']);
      const steps = await stream.finalRunSteps();
      expect(
        steps.map(({ step_details: details }) =>
          details.type === 'tool_calls' ? details.tool_calls.length : null,
        ),
      ).toEqual([2]);
      const second = openai.beta.threads.runs.submitToolOutputsStream(run.id, {
        ...threadOf(run),
        tool_outputs: outputsOf(run, () => 'shipped'),
      });
      expect((await second.finalRun()).status).toBe('completed');
      expect((await second.finalMessages()).map(textOf)).toEqual([
        'run_checks said: checkout is green | deploy said: shipped',
      ]);
    });

    test('createAndRunStream, and the bare streams of create and submit, end after their last event', async () => {
      const assistant_id = await assistant('weather');
      const names: string[] = [];
      const stream = openai.beta.threads.createAndRunStream({ assistant_id });
      for await (const { event } of stream) names.push(event);
      expect(names.slice(0, 4)).toEqual([
        'thread.created',
        'thread.run.created',
        'thread.run.queued',
        'thread.run.in_progress',
      ]);
      expect(names.at(-1)).toBe('thread.run.requires_action');

      const thread_id = await thread();
      const events = [];
      for await (const event of await openai.beta.threads.runs.create(thread_id, {
        assistant_id,
        stream: true,
      }))
        events.push(event);
      const last = events.at(-1);
      expect(last?.event).toBe('thread.run.requires_action');
      if (last?.event !== 'thread.run.requires_action') throw new Error('unreachable');
      const after = [];
      for await (const { event } of await openai.beta.threads.runs.submitToolOutputs(last.data.id, {
        thread_id,
        tool_outputs: outputsOf(last.data),
        stream: true,
      }))
        after.push(event);
      expect([after[0], after.at(-1)]).toEqual(['thread.run.step.completed', 'thread.run.completed']);
      const whole = [];
      for await (const { event } of await openai.beta.threads.createAndRun({
        assistant_id: await assistant('chat'),
        thread: { messages: [{ role: 'user', content: 'hi' }] },
        stream: true,
      }))
        whole.push(event);
      expect([whole[0], whole.at(-1)]).toEqual(['thread.created', 'thread.run.completed']);
    });

    test('createAndStream, the older name of runs.stream, gives the final run and its messages', async () => {
      const stream = openai.beta.threads.runs.createAndStream(await thread('hi'), {
        assistant_id: await assistant('chat'),
      });
      expect((await stream.finalRun()).status).toBe('completed');
      expect((await stream.finalMessages()).map(textOf)).toEqual(['You said: hi']);
    });
  });

  describe('what a run may ask for', () => {
    test('reaches the model: instructions, messages, tool choice, format, limits, sampling', async () => {
      const assistant_id = await assistant('chat', { instructions: 'Be brief.', temperature: 0.1 });
      const thread_id = await thread('one');
      const response_format = {
        type: 'json_schema' as const,
        json_schema: { name: 'answer', schema: { type: 'object', properties: {} } },
      };
      const tool_choice = { type: 'function' as const, function: { name: 'get_current_weather' } };
      const run = await openai.beta.threads.runs.createAndPoll(thread_id, {
        assistant_id,
        model: 'scripted:chat',
        additional_instructions: 'Rhyme.',
        additional_messages: [
          { role: 'assistant', content: 'two' },
          { role: 'user', content: [{ type: 'text', text: 'three' }], metadata: { nth: '3' } },
        ],
        tool_choice,
        parallel_tool_calls: false,
        response_format,
        max_completion_tokens: 300,
        max_prompt_tokens: 5000,
        truncation_strategy: { type: 'last_messages', last_messages: 2 },
        temperature: 0.7,
        top_p: 0.8,
        reasoning_effort: 'low',
        metadata: { purpose: 'everything' },
      });
      expect(run).toMatchObject({
        status: 'completed',
        instructions: 'Be brief.\n\nRhyme.',
        tool_choice,
        parallel_tool_calls: false,
        response_format,
        max_completion_tokens: 300,
        max_prompt_tokens: 5000,
        truncation_strategy: { type: 'last_messages', last_messages: 2 },
        temperature: 0.7,
        top_p: 0.8,
        metadata: { purpose: 'everything' },
      });
      expect(asked()).toMatchObject({
        model: 'scripted:chat',
        tool_choice,
        parallel_tool_calls: false,
        response_format,
        max_completion_tokens: 300,
        temperature: 0.7,
        top_p: 0.8,
        reasoning_effort: 'low',
        tools: [WEATHER_TOOL],
      });
      const { messages } = asked() as { messages: { role: string; content: unknown }[] };
      expect(messages.map(({ role }) => role)).toEqual(['system', 'assistant', 'user']);
      expect(JSON.stringify(messages)).not.toContain('one');
      const all = await openai.beta.threads.messages.list(thread_id, { order: 'asc' });
      expect(all.data.map(textOf)).toEqual(['one', 'two', 'three', '{"text":"You said: three"}']);
      expect(all.data[2]?.metadata).toEqual({ nth: '3' });
    });

    test('instructions and tools of the run take the place of those of the assistant', async () => {
      const assistant_id = await assistant('chat', { instructions: 'Be brief.' });
      await openai.beta.threads.createAndRunPoll({ assistant_id, instructions: 'Be long.', tools: [DEPLOY] });
      expect(asked()).toMatchObject({ messages: [{ content: 'Be long.' }], tools: [DEPLOY] });
    });

    test('tool_choice none: the model is told, and the run completes without a call', async () => {
      const run = await openai.beta.threads.createAndRunPoll({
        assistant_id: await assistant('weather'),
        tool_choice: 'none',
        thread: { messages: [{ role: 'user', content: 'Weather?' }] },
      });
      expect(run.status).toBe('completed');
      expect(asked()['tool_choice']).toBe('none');
    });

    test.each<[string, string, (openai: OpenAI, where: { a: string; t: string }) => PromiseLike<unknown>]>([
      [
        'code interpreter',
        'tools[0].type',
        (api) => api.beta.assistants.create({ model: 'x', tools: [{ type: 'code_interpreter' }] }),
      ],
      [
        'file search',
        'tools[0].type',
        (api, { a, t }) =>
          api.beta.threads.runs.create(t, { assistant_id: a, tools: [{ type: 'file_search' }] }),
      ],
      [
        'tool resources',
        'tool_resources',
        (api) => api.beta.threads.create({ tool_resources: { file_search: { vector_store_ids: ['vs_1'] } } }),
      ],
      [
        'attachments',
        'attachments',
        (api, { t }) =>
          api.beta.threads.messages.create(t, {
            role: 'user',
            content: 'x',
            attachments: [{ file_id: 'file_1', tools: [{ type: 'file_search' }] }],
          }),
      ],
      [
        'image files',
        'content[0].type',
        (api, { t }) =>
          api.beta.threads.messages.create(t, {
            role: 'user',
            content: [{ type: 'image_file', image_file: { file_id: 'file_1' } }],
          }),
      ],
    ])('%s is refused by name', async (_what, param, use) => {
      const failure = await failureOf(use(openai, { a: await assistant('chat'), t: await thread() }));
      expect(failure).toBeInstanceOf(Api.BadRequestError);
      expect(failure).toMatchObject({ code: 'unsupported_parameter', param });
    });
  });

  describe('how runs end', () => {
    test.each([
      [
        'incomplete',
        'incomplete:max_completion_tokens',
        { incomplete_details: { reason: 'max_completion_tokens' } },
      ],
      ['incomplete', 'incomplete:max_prompt_tokens', { incomplete_details: { reason: 'max_prompt_tokens' } }],
      ['incomplete', 'incomplete:content_filter', { incomplete_details: { reason: 'content_filter' } }],
      ['failed', 'refused', { last_error: { code: 'server_error' } }],
    ] as const)('%s (%s): poll and stream helpers end with the reason', async (status, script, reason) => {
      const assistant_id = await assistant(script);
      const polled = await openai.beta.threads.createAndRunPoll({ assistant_id });
      expect(polled).toMatchObject({ status, ...reason });
      const stream = openai.beta.threads.createAndRunStream({ assistant_id });
      const streamed = await stream.finalRun();
      expect(streamed).toMatchObject({ status, ...reason });
      expect(await openai.beta.threads.runs.retrieve(streamed.id, threadOf(streamed))).toEqual(streamed);
    });

    test('incomplete: what was said before the limit is kept, as an incomplete message', async () => {
      const run = await openai.beta.threads.createAndRunPoll({ assistant_id: await assistant('incomplete') });
      const [message] = (await openai.beta.threads.messages.list(run.thread_id)).data;
      expect(message).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_tokens' } });
      expect(textOf(message)).toBe('This sentence stops in the');
    });

    test('expired: no answer in time; a late output is refused, and the model is not asked again', async () => {
      const params = { assistant_id: await assistant('weather'), expires_in: 2 };
      const waiting = await openai.beta.threads.createAndRunPoll(params, { pollIntervalMs: 50 });
      expect(waiting.status).toBe('requires_action');
      const stream = await fetch(`${server.url}/threads/${waiting.thread_id}/runs/${waiting.id}/events`);
      expect(await stream.text()).toContain('event: thread.run.expired');
      const expired = await openai.beta.threads.runs.poll(waiting.id, threadOf(waiting));
      expect(expired).toMatchObject({ status: 'expired', required_action: null });
      const failure = await failureOf(
        openai.beta.threads.runs.submitToolOutputs(waiting.id, {
          ...threadOf(waiting),
          tool_outputs: outputsOf(waiting),
        }),
      );
      expect(failure).toBeInstanceOf(Api.BadRequestError);
      expect(failure).toMatchObject({
        message: expect.stringContaining('Runs in status "expired" do not accept tool outputs.'),
      });
      const [step] = (await openai.beta.threads.runs.steps.list(waiting.id, threadOf(waiting))).data;
      expect(step?.status).toBe('expired');
      await openai.beta.threads.messages.create(waiting.thread_id, { role: 'user', content: 'free again' });
    });

    test('cancelled: waiting, or while the model is silent; the thread is free again', async () => {
      const assistant_id = await assistant('weather');
      const waiting = await openai.beta.threads.createAndRunPoll({ assistant_id });
      expect((await openai.beta.threads.runs.cancel(waiting.id, threadOf(waiting))).status).toBe(
        'cancelling',
      );
      const cancelled = await openai.beta.threads.runs.poll(waiting.id, threadOf(waiting));
      expect(cancelled.status).toBe('cancelled');
      expect(cancelled.cancelled_at).toBeGreaterThanOrEqual(cancelled.created_at);
      const [step] = (await openai.beta.threads.runs.steps.list(waiting.id, threadOf(waiting))).data;
      expect(step?.status).toBe('cancelled');
      const late = await failureOf(openai.beta.threads.runs.cancel(waiting.id, threadOf(waiting)));
      expect(late).toBeInstanceOf(Api.BadRequestError);
      expect(late).toMatchObject({
        message: expect.stringContaining("Cannot cancel run with status 'cancelled'"),
      });

      const stream = openai.beta.threads.createAndRunStream({ assistant_id: await assistant('hang') });
      const events: string[] = [];
      for await (const { event, data } of stream) {
        events.push(event);
        if (event === 'thread.run.in_progress')
          await openai.beta.threads.runs.cancel(data.id, threadOf(data));
      }
      expect(events.slice(-2)).toEqual(['thread.run.cancelling', 'thread.run.cancelled']);
      expect((await stream.finalRun()).status).toBe('cancelled');
    });

    test('a model that fails for a while is asked again; the run shows nothing of it', async () => {
      server.sandbox.faults.add({
        match: { path: '/chat/completions' },
        action: { kind: 'status', status: 503, headers: { 'retry-after-ms': '10' } },
      });
      const run = await openai.beta.threads.createAndRunPoll({
        assistant_id: await assistant('chat'),
        thread: { messages: [{ role: 'user', content: 'hi' }] },
      });
      expect(run.status).toBe('completed');
      expect((await openai.beta.threads.messages.list(run.thread_id)).data).toHaveLength(2);
    });
  });

  describe('errors', () => {
    test('unknown ids are NotFoundError, on every route', async () => {
      const run = await openai.beta.threads.createAndRunPoll({ assistant_id: await assistant('weather') });
      const where = { thread_id: run.thread_id };
      const other = { thread_id: await thread() };
      const { beta } = openai;
      const unknown = [
        beta.assistants.retrieve('asst_none'),
        beta.assistants.update('asst_none', {}),
        beta.assistants.delete('asst_none'),
        beta.threads.retrieve('thread_none'),
        beta.threads.update('thread_none', { metadata: {} }),
        beta.threads.delete('thread_none'),
        beta.threads.messages.create('thread_none', { role: 'user', content: 'x' }),
        beta.threads.messages.list('thread_none'),
        beta.threads.messages.list(run.thread_id, { after: 'msg_none' }),
        beta.threads.messages.retrieve('msg_none', where),
        beta.threads.messages.update('msg_none', { ...where, metadata: {} }),
        beta.threads.messages.delete('msg_none', where),
        beta.threads.runs.create('thread_none', { assistant_id: run.assistant_id }),
        beta.threads.runs.create(other.thread_id, { assistant_id: 'asst_none' }),
        beta.threads.createAndRun({ assistant_id: 'asst_none' }),
        beta.threads.runs.list('thread_none'),
        beta.threads.runs.retrieve('run_none', where),
        beta.threads.runs.retrieve(run.id, other),
        beta.threads.runs.update(run.id, { ...other, metadata: {} }),
        beta.threads.runs.cancel(run.id, other),
        beta.threads.runs.submitToolOutputs(run.id, { ...other, tool_outputs: outputsOf(run) }),
        beta.threads.runs.steps.list(run.id, other),
        beta.threads.runs.steps.retrieve('step_none', { ...where, run_id: run.id }),
      ];
      for (const failure of await failuresOf(unknown)) {
        expect(failure).toBeInstanceOf(Api.NotFoundError);
        expect(failure).toMatchObject({ status: 404, type: 'invalid_request_error' });
      }
      expect((await beta.threads.runs.retrieve(run.id, where)).status).toBe('requires_action');
    });

    test('bad requests are BadRequestError with param and code', async () => {
      const assistant_id = await assistant('chat');
      const t = await thread();
      const { beta } = openai;
      const cases: [PromiseLike<unknown>, { param: string; code: string }][] = [
        [beta.assistants.create(loose({})), { param: 'model', code: 'missing_required_parameter' }],
        [
          beta.assistants.create(loose({ model: 'x', modle: 'y' })),
          { param: 'modle', code: 'unknown_parameter' },
        ],
        [
          beta.assistants.create({ model: 'x', temperature: 3 }),
          { param: 'temperature', code: 'integer_above_max_value' },
        ],
        [
          beta.assistants.create({ model: 'x', name: 'n'.repeat(257) }),
          { param: 'name', code: 'string_above_max_length' },
        ],
        [beta.assistants.list({ limit: 101 }), { param: 'limit', code: 'invalid_value' }],
        [beta.assistants.list(loose({ order: 'up' })), { param: 'order', code: 'invalid_value' }],
        [
          beta.threads.create({ metadata: { key: 'x'.repeat(513) } }),
          { param: 'metadata', code: 'invalid_value' },
        ],
        [
          beta.threads.messages.create(t, loose({ role: 'tool', content: 'x' })),
          { param: 'role', code: 'invalid_value' },
        ],
        [
          beta.threads.messages.create(t, { role: 'user', content: '' }),
          { param: 'content', code: 'string_below_min_length' },
        ],
        [
          beta.threads.runs.create(t, { assistant_id, max_completion_tokens: 1 }),
          { param: 'max_completion_tokens', code: 'integer_below_min_value' },
        ],
        [
          beta.threads.runs.create(t, loose({})),
          { param: 'assistant_id', code: 'missing_required_parameter' },
        ],
        [
          beta.threads.runs.create(t, loose({ assistant_id, thread: {} })),
          { param: 'thread', code: 'unknown_parameter' },
        ],
      ];
      for (const [failure, expected] of await failuresWith(cases)) {
        expect(failure).toBeInstanceOf(Api.BadRequestError);
        expect(failure).toMatchObject({ status: 400, type: 'invalid_request_error', ...expected });
        expect(failure).toMatchObject({ requestID: expect.stringMatching(/^req_/) });
      }
    });

    test('a thread with a live run refuses messages, runs and deletion, and names the run', async () => {
      const run = await openai.beta.threads.createAndRunPoll({ assistant_id: await assistant('weather') });
      const t = run.thread_id;
      const cases: [PromiseLike<unknown>, string][] = [
        [
          openai.beta.threads.messages.create(t, { role: 'user', content: 'x' }),
          `Can't add messages to ${t} while a run ${run.id} is active.`,
        ],
        [
          openai.beta.threads.runs.create(t, { assistant_id: run.assistant_id }),
          `Thread ${t} already has an active run ${run.id}.`,
        ],
        [openai.beta.threads.delete(t), `Can't delete ${t} while a run ${run.id} is active.`],
      ];
      for (const [failure, text] of await failuresWith(cases)) {
        expect(failure).toBeInstanceOf(Api.BadRequestError);
        expect(failure).toMatchObject({ message: expect.stringContaining(text) });
      }
    });

    test('outputs: all of them, once each, of this round, while the run waits', async () => {
      const run = await openai.beta.threads.createAndRunPoll({ assistant_id: await assistant('parallel') });
      const [first, second, third] = outputsOf(run);
      if (first === undefined || second === undefined || third === undefined) throw new Error('three calls');
      const where = { thread_id: run.thread_id };
      const submit = (tool_outputs: { tool_call_id?: string; output?: string }[]): PromiseLike<unknown> =>
        openai.beta.threads.runs.submitToolOutputs(run.id, { ...where, tool_outputs });
      const ids = [first, second, third].map(({ tool_call_id: id }) => `'${id}'`).join(', ');
      const big = 'x'.repeat(200_000);
      const cases: [PromiseLike<unknown>, { message?: unknown; code?: string; param?: string }][] = [
        [
          submit([first]),
          {
            message: expect.stringContaining(
              `Expected tool outputs for call_ids [${ids}], got ['${first.tool_call_id}']`,
            ),
          },
        ],
        [
          submit([]),
          { message: expect.stringContaining(`Expected tool outputs for call_ids [${ids}], got []`) },
        ],
        [
          submit([first, second, third, { tool_call_id: 'call_none', output: 'x' }]),
          { message: expect.stringContaining("'call_none'") },
        ],
        [
          submit([first, second, third, third]),
          { message: expect.stringContaining('Duplicate tool_call_id') },
        ],
        [
          submit([first, second, { output: 'x' }]),
          { code: 'missing_required_parameter', param: 'tool_outputs[2].tool_call_id' },
        ],
        [
          submit([first, second, third].map((one) => ({ ...one, output: big }))),
          { code: 'invalid_value', param: 'tool_outputs' },
        ],
        [
          submit([first, second, { ...third, output: 'x'.repeat(1_048_577) }]),
          { code: 'string_above_max_length', param: 'tool_outputs[2].output' },
        ],
      ];
      for (const [failure, expected] of await failuresWith(cases)) {
        expect(failure).toBeInstanceOf(Api.BadRequestError);
        expect(failure).toMatchObject(expected);
      }
      expect((await openai.beta.threads.runs.retrieve(run.id, where)).status).toBe('requires_action');
      await submit([third, first, second]);
      const late = await failureOf(submit([third, first, second]));
      expect(late).toBeInstanceOf(Api.BadRequestError);
      expect(late).toMatchObject({
        message: expect.stringMatching(/Runs in status "\w+" do not accept tool outputs/),
      });
    });
  });
});
