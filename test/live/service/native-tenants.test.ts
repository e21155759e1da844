/** Several API keys on one server: each a tenant with its own objects and its own worker tools. */
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { createApi, hashKey, keyAuth, serveApi, type ServedApi } from '../../../api/index.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { defineTools, openNative, type NativeStack } from '../../support/native-stack.ts';
import { memoryStore } from '../../support/store.ts';
import { liveTemporal, type LiveTemporal } from '../../support/temporal.ts';

let temporal: LiveTemporal;
let store: Store;
let stack: NativeStack;
let server: ServedApi;
let ran = 0;

beforeAll(async () => {
  [temporal, store] = await Promise.all([liveTemporal(), memoryStore()]);
  stack = await openNative({
    temporal,
    store,
    sandbox: {
      scripts: {
        two: (turn) =>
          turn.round === 0
            ? {
                calls: [
                  { name: 'open_door', arguments: {} },
                  { name: 'ring_bell', arguments: {} },
                ],
              }
            : { text: turn.outputs.map(({ name, output }) => `${name}: ${output}`).join(', ') },
      },
    },
    tools: defineTools({
      open_door: {
        description: 'Opens the door',
        parameters: z.object({}),
        execute: () => {
          ran += 1;
          return 'opened by the worker';
        },
      },
      ring_bell: { description: 'Rings', parameters: z.object({}), execute: () => 'rung by the worker' },
    }),
  });
  const auth = keyAuth([
    { tenant: 'trusted', sha256: hashKey('key-of-the-trusted'), tools: '*' },
    { tenant: 'guest', sha256: hashKey('key-of-the-guest'), tools: ['ring_bell'] },
  ]);
  server = await serveApi(createApi({ engine: stack.engine, auth }));
});
afterAll(async () => {
  await server.close();
  await stack.close();
  await store.close();
  await temporal.close();
});

const client = (apiKey: string) => new OpenAI({ baseURL: server.url, apiKey, maxRetries: 0 });
const toolOf = (name: string) => ({
  type: 'function' as const,
  function: { name, parameters: { type: 'object', properties: {} } },
});

const run = async (openai: OpenAI) => {
  const assistant = await openai.beta.assistants.create({
    model: 'scripted:two',
    tools: [toolOf('open_door'), toolOf('ring_bell')],
  });
  return openai.beta.threads.createAndRunPoll(
    { assistant_id: assistant.id, thread: { messages: [{ role: 'user', content: 'Hello' }] } },
    { pollIntervalMs: 50 },
  );
};

test('a key’s runs use the worker tools granted to it; the caller answers others that they declare', async () => {
  const trusted = await run(client('key-of-the-trusted'));
  expect(trusted.status).toBe('completed');
  expect(ran).toBe(1);

  const guest = client('key-of-the-guest');
  const waiting = await run(guest);
  expect(waiting.status).toBe('requires_action');
  const asked = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
  expect(asked.map((call) => call.function.name)).toEqual(['open_door']);
  const ended = await guest.beta.threads.runs.submitToolOutputsAndPoll(
    waiting.id,
    {
      thread_id: waiting.thread_id,
      tool_outputs: [{ tool_call_id: asked[0]?.id ?? '', output: 'by the guest' }],
    },
    { pollIntervalMs: 50 },
  );
  expect(ended.status).toBe('completed');
  const messages = await guest.beta.threads.messages.list(waiting.thread_id, { limit: 1 });
  expect(messages.data[0]?.content).toMatchObject([
    { text: { value: 'open_door: by the guest, ring_bell: rung by the worker' } },
  ]);
  expect(ran).toBe(1);
});

test('a key sees and touches its own objects only', async () => {
  const trusted = client('key-of-the-trusted');
  const guest = client('key-of-the-guest');
  const theirs = await run(trusted);
  const gone = { status: 404 };
  const at = { thread_id: theirs.thread_id };
  await expect(guest.beta.threads.runs.retrieve(theirs.id, at)).rejects.toMatchObject(gone);
  await expect(guest.beta.threads.runs.cancel(theirs.id, at)).rejects.toMatchObject(gone);
  await expect(guest.beta.threads.retrieve(theirs.thread_id)).rejects.toMatchObject(gone);
  await expect(
    guest.beta.threads.runs.create(theirs.thread_id, { assistant_id: theirs.assistant_id }),
  ).rejects.toMatchObject(gone);
  const mine = await guest.beta.threads.create();
  await expect(
    guest.beta.threads.runs.create(mine.id, { assistant_id: theirs.assistant_id }),
  ).rejects.toMatchObject(gone);
  const assistants = await guest.beta.assistants.list({ limit: 100 });
  expect(assistants.data.map(({ id }) => id)).not.toContain(theirs.assistant_id);
});
