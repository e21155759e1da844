/** The official client against the real server: API, engine, workflow, worker, chat backend, scripted model. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { FunctionTool } from '../../../protocol/wire/objects.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { openStore } from '../../../store/index.ts';
import { WEATHER_TOOL } from '../../../testing/scripts.ts';
import { defineTools, openNative, type NativeStack } from '../../support/native-stack.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';
import { liveTemporal, type LiveTemporal } from '../../support/temporal.ts';

let temporal: LiveTemporal;
let database: FreshDatabase;
let store: Store;
let stack: NativeStack;
let attempts = 0;

beforeAll(async () => {
  temporal = await liveTemporal();
  database = await freshDatabase();
  store = await openStore({ databaseUrl: database.url });
  stack = await openNative({
    temporal,
    store,
    tools: defineTools({
      run_checks: {
        description: 'Run the release checks',
        parameters: z.object({ service: z.string(), version: z.string() }),
        retry: { initialInterval: 10 },
        execute: () => {
          attempts += 1;
          if (attempts === 1) throw new Error('flaky');
          return 'all green';
        },
      },
    }),
  });
});
afterAll(async () => {
  await stack.close();
  await store.close();
  await temporal.close();
  await database.drop();
});

const assistant = (model: string, tools = [WEATHER_TOOL]) =>
  stack.openai.beta.assistants.create({ model, tools, instructions: 'Be brief.' });

const said = async (threadId: string): Promise<string> => {
  const page = await stack.openai.beta.threads.messages.list(threadId, { limit: 1 });
  const part = page.data[0]?.content[0];
  return part?.type === 'text' ? part.text.value : '';
};

describe('openai-node', () => {
  test('createAndPoll completes a run without calls', async () => {
    const { id } = await assistant('scripted:chat', []);
    const thread = await stack.openai.beta.threads.create({
      messages: [{ role: 'user', content: 'Hello!' }],
    });
    const run = await stack.openai.beta.threads.runs.createAndPoll(thread.id, { assistant_id: id });
    expect(run.status).toBe('completed');
    expect(await said(thread.id)).toBe('You said: Hello!');
    expect(run.usage?.total_tokens).toBeGreaterThan(0);
  });

  test('submitToolOutputsAndPoll answers external calls', async () => {
    const { id } = await assistant('scripted:parallel');
    const run = await stack.openai.beta.threads.createAndRunPoll({
      assistant_id: id,
      thread: { messages: [{ role: 'user', content: 'Weather?' }] },
    });
    expect(run.status).toBe('requires_action');
    const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
    expect(calls).toHaveLength(3);
    const done = await stack.openai.beta.threads.runs.submitToolOutputsAndPoll(run.id, {
      thread_id: run.thread_id,
      tool_outputs: calls.map((call, index) => ({ tool_call_id: call.id, output: `out ${index}` })),
    });
    expect(done.status).toBe('completed');
    expect(await said(run.thread_id)).toContain('out 2');
  });

  test('worker tools run there, and external ones of another round are asked of the caller', async () => {
    const deploy = {
      type: 'function' as const,
      function: { name: 'deploy', parameters: { type: 'object', properties: {} } },
    };
    const checks = {
      type: 'function' as const,
      function: { name: 'run_checks', parameters: { type: 'object', properties: {} } },
    };
    const { id } = await assistant('scripted:deploy', [checks, deploy]);
    const run = await stack.openai.beta.threads.createAndRunPoll(
      { assistant_id: id, thread: { messages: [{ role: 'user', content: 'Ship it' }] } },
      { pollIntervalMs: 50 },
    );
    expect(attempts).toBe(2);
    const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
    expect(calls.map((call) => call.function.name)).toEqual(['deploy']);
    const stream = stack.openai.beta.threads.runs.submitToolOutputsStream(run.id, {
      thread_id: run.thread_id,
      tool_outputs: [{ tool_call_id: calls[0]?.id ?? '', output: 'deployed' }],
    });
    const names: string[] = [];
    for await (const event of stream) names.push(event.event);
    expect(names[0]).toBe('thread.run.step.completed');
    expect(names.at(-1)).toBe('thread.run.completed');
    expect((await stream.finalRun()).status).toBe('completed');
  });

  test('createAndRunStream tells the story in order and ends', async () => {
    const { id } = await assistant('scripted:weather');
    const stream = stack.openai.beta.threads.createAndRunStream({
      assistant_id: id,
      thread: { messages: [{ role: 'user', content: 'Weather?' }] },
    });
    const names: string[] = [];
    for await (const event of stream) if (!event.event.endsWith('.delta')) names.push(event.event);
    expect(names).toEqual([
      'thread.created',
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.run.requires_action',
    ]);
    const run = await stream.finalRun();
    const call = run.required_action?.submit_tool_outputs.tool_calls[0];
    const second = stack.openai.beta.threads.runs.submitToolOutputsStream(run.id, {
      thread_id: run.thread_id,
      tool_outputs: [{ tool_call_id: call?.id ?? '', output: '70 degrees and sunny.' }],
    });
    const after: string[] = [];
    for await (const event of second) if (!event.event.endsWith('.delta')) after.push(event.event);
    expect(after).toEqual([
      'thread.run.step.completed',
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

  test('cancel ends a waiting run and frees the thread', async () => {
    const { id } = await assistant('scripted:weather');
    const run = await stack.openai.beta.threads.createAndRunPoll(
      { assistant_id: id, thread: { messages: [{ role: 'user', content: 'x' }] } },
      { pollIntervalMs: 50 },
    );
    const cancelling = await stack.openai.beta.threads.runs.cancel(run.id, { thread_id: run.thread_id });
    expect(cancelling.status).toBe('cancelling');
    const ended = await stack.openai.beta.threads.runs.poll(
      run.id,
      { thread_id: run.thread_id },
      { pollIntervalMs: 50 },
    );
    expect(ended.status).toBe('cancelled');
    await stack.openai.beta.threads.messages.create(run.thread_id, { role: 'user', content: 'again' });
    expect((await stack.client.result(run.id)).status).toBe('cancelled');
  });

  test('a run without an answer expires', async () => {
    const { id } = await assistant('scripted:weather');
    const thread = await stack.openai.beta.threads.create({ messages: [{ role: 'user', content: 'x' }] });
    const params = { assistant_id: id, expires_in: 2 };
    const created = await stack.openai.beta.threads.runs.create(thread.id, params);
    const ended = await stack.client.result(created.id);
    expect(ended.status).toBe('expired');
    const run = await stack.openai.beta.threads.runs.retrieve(created.id, { thread_id: thread.id });
    expect(run.status).toBe('expired');
    await expect(
      stack.openai.beta.threads.runs.submitToolOutputs(run.id, {
        thread_id: thread.id,
        tool_outputs: [],
      }),
    ).rejects.toMatchObject({ status: 400, message: expect.stringContaining('expired') });
  });
});

const listed = async (): Promise<FunctionTool[]> => {
  const page: { data: FunctionTool[] } = await stack.openai.get('/tools');
  return page.data;
};

/** As API, client and list tell it. */
const told = async (on: NativeStack, run: { id: string; thread_id: string }): Promise<string[]> => {
  const { status } = await on.openai.beta.threads.runs.retrieve(run.id, { thread_id: run.thread_id });
  const inLists: string[] = [];
  for await (const item of on.client.list()) if (item.runId === run.id) inLists.push(item.status);
  return [status, (await on.client.get(run.id)).status, ...inLists];
};

describe('the status of a run', () => {
  test('is the same over the API, by the client and in lists', { timeout: 60_000 }, async () => {
    const alone = await openNative({ temporal, store, worker: false });
    try {
      const { id } = await assistant('scripted:parallel');
      const run = await alone.openai.beta.threads.createAndRun({
        assistant_id: id,
        thread: { messages: [{ role: 'user', content: 'Weather?' }] },
      });
      await expect.poll(() => told(alone, run), { timeout: 20_000 }).toEqual(['queued', 'queued', 'queued']);
      const worker = await alone.startWorker();
      await expect
        .poll(() => told(alone, run), { timeout: 20_000 })
        .toEqual(['requires_action', 'requires_action', 'requires_action']);
      await worker.stop();
    } finally {
      await alone.close();
    }
  });
});

describe('the tools of the worker', () => {
  test('are listed with their schemas, as an assistant takes them', async () => {
    const data = await listed();
    expect(data).toEqual([
      {
        type: 'function',
        function: expect.objectContaining({
          name: 'run_checks',
          description: 'Run the release checks',
          parameters: expect.objectContaining({ required: ['service', 'version'] }) as unknown,
        }) as unknown,
      },
    ]);
    expect((await assistant('scripted:auto', data)).tools).toEqual(data);
    expect(await stack.client.tools()).toEqual([{ definition: data[0], execution: 'automatic' }]);
  });

  test('are completed for the model where a run gives their name alone', async () => {
    const { id } = await assistant('scripted:auto', [{ type: 'function', function: { name: 'run_checks' } }]);
    const done = await stack.openai.beta.threads.createAndRunPoll(
      { assistant_id: id, thread: { messages: [{ role: 'user', content: 'Check.' }] } },
      { pollIntervalMs: 50 },
    );
    expect(done.status).toBe('completed');
    expect(await said(done.thread_id)).toContain('all green');
    const asked = stack.sandbox.requests.findLast(({ path }) => path.endsWith('/chat/completions'));
    expect(asked?.body).toMatchObject({ tools: [{ function: { description: 'Run the release checks' } }] });
  });

  test('can not be told without a worker: 503, safe to repeat', async () => {
    const alone = await openNative({ temporal, store, worker: false, engine: { workerTimeoutMs: 200 } });
    try {
      await expect(alone.openai.get('/tools')).rejects.toMatchObject({
        status: 503,
        message: expect.stringContaining('A worker') as unknown,
      });
      await alone.startWorker();
      await expect
        .poll(() => alone.openai.get('/tools').catch(() => null), { timeout: 20_000 })
        .toMatchObject({
          data: [],
        });
    } finally {
      await alone.close();
    }
  });
});
