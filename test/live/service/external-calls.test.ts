/** External calls of a worker's tool in the list of approvals: an approver of the tool answers them; the caller's own stay out. */
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { createApi, keyAuth, parseApiKeys, serveApi, type ServedApi } from '../../../api/index.ts';
import { ApprovalsClient } from '../../../client/http/public.ts';
import type { Approval } from '../../../protocol/wire/decisions.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { openStore } from '../../../store/index.ts';
import { defineTools, openNative, type NativeStack } from '../../support/native-stack.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';
import { liveTemporal, type LiveTemporal } from '../../support/temporal.ts';

const CALLER = 'sk-the-caller-0123456789';
const ALICE = 'sk-alice-0123456789abcdef';
const BOB = 'sk-bob-0123456789abcdefgh';
const KEYS = [
  `acme:${CALLER}:*:role=caller;name=shop`,
  `acme:${ALICE}:ask_customer:role=approver;name=alice`,
  `acme:${BOB}:other_tool:role=approver;name=bob`,
].join(' ');

let temporal: LiveTemporal;
let database: FreshDatabase;
let store: Store;
let stack: NativeStack;
let server: ServedApi;
beforeAll(async () => {
  [temporal, database] = await Promise.all([liveTemporal(), freshDatabase()]);
  store = await openStore({ databaseUrl: database.url });
  stack = await openNative({
    temporal,
    store,
    sandbox: {
      scripts: {
        asks: (turn) =>
          turn.round === 0
            ? {
                text: 'I ask.',
                calls: [
                  { name: 'ask_customer', arguments: { question: 'Which colour?' } },
                  { name: 'of_the_caller', arguments: {} },
                ],
              }
            : { text: turn.outputs.map(({ output }) => output).join(', ') },
      },
    },
    tools: defineTools({
      ask_customer: {
        description: 'Asks the customer',
        parameters: z.object({ question: z.string() }),
        external: true,
      },
    }),
  });
  server = await serveApi(createApi({ engine: stack.engine, auth: keyAuth(parseApiKeys(KEYS)) }));
}, 120_000);
afterAll(async () => {
  await server.close();
  await stack.close();
  await store.close();
  await database.drop();
  await temporal.close();
});

test('an approver of the tool finds and answers the call by its id, as the caller could; others do not', async () => {
  const openai = new OpenAI({ baseURL: server.url, apiKey: CALLER, maxRetries: 0 });
  const tools = ['ask_customer', 'of_the_caller'].map((name) => ({
    type: 'function' as const,
    function: { name, parameters: { type: 'object' } },
  }));
  const assistant = await openai.beta.assistants.create({ model: 'asks', tools });
  const run = await openai.beta.threads.createAndRunPoll(
    { assistant_id: assistant.id, thread: { messages: [{ role: 'user', content: 'Go.' }] } },
    { pollIntervalMs: 50 },
  );
  // The official client sees both calls, as before.
  const open = run.required_action?.submit_tool_outputs.tool_calls ?? [];
  expect(open.map((call) => call.function.name)).toEqual(['ask_customer', 'of_the_caller']);

  const alice = new ApprovalsClient({ url: server.url, apiKey: ALICE });
  const bob = new ApprovalsClient({ url: server.url, apiKey: BOB });
  const { data } = await alice.list();
  expect(data).toMatchObject([
    {
      kind: 'output',
      tool: 'ask_customer',
      status: 'waiting',
      arguments: '{"question":"Which colour?"}',
      decision: null,
    },
  ]);
  expect((await bob.list()).data).toEqual([]);
  const { id } = data[0] as Approval;
  expect(await alice.get(id)).toMatchObject({ said: 'I ask.', kind: 'output' });
  await expect(bob.answer(id, { output: 'red' })).rejects.toMatchObject({ status: 404 });
  await expect(alice.decide(id, { decision: 'approve' })).rejects.toMatchObject({
    status: 400,
    code: 'wrong_kind',
  });
  const asCaller = new ApprovalsClient({ url: server.url, apiKey: CALLER });
  await expect(asCaller.answer(id, { output: 'red' })).rejects.toMatchObject({ status: 403 });

  expect(await alice.answer(id, { output: 'blue' })).toMatchObject({
    result: 'accepted',
    waiting: [open[1]?.id],
  });
  // A repeat gets the first reply, another output is refused: the first one stands.
  expect(await alice.answer(id, { output: 'blue' })).toMatchObject({ result: 'accepted' });
  await expect(alice.answer(id, { output: 'red' })).rejects.toMatchObject({ code: 'conflicting_answer' });
  expect((await alice.list()).data).toEqual([]);
  expect(await alice.get(id)).toMatchObject({ status: 'decided' });

  const outputs = [{ tool_call_id: open[1]?.id ?? '', output: 'mine' }];
  await openai.beta.threads.runs.submitToolOutputs(run.id, {
    thread_id: run.thread_id,
    tool_outputs: outputs,
  });
  const ended = await openai.beta.threads.runs.poll(
    run.id,
    { thread_id: run.thread_id },
    { pollIntervalMs: 50 },
  );
  expect(ended.status).toBe('completed');
  const messages = await openai.beta.threads.messages.list(run.thread_id);
  expect(JSON.stringify(messages.data[0]?.content)).toContain('blue, mine');
}, 60_000);
