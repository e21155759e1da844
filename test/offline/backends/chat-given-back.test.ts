/** What a model's provider must get back lives in the store with its round, and goes to that model only. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Backend } from '../../../protocol/ports/backend.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { fakeContext } from '../../support/backend-context.ts';
import { chatOnServer } from '../../support/chat-backend.ts';
import { says } from '../../support/chat-server.ts';
import { call, callStream, delta, piece } from '../../support/chat-wire.ts';
import { tool } from '../../support/model-turn.ts';
import { scriptedHttp, type ScriptedHttp } from '../../support/scripted-http.ts';
import { createRequest, memoryStore, startedRun } from '../../support/store.ts';

const NOW = 1_800_000_000_000;
const SIGNED = { extra_content: { google: { thought_signature: 'c2lnbmF0dXJl' } } };

let store: Store;
let server: ScriptedHttp;
const backends: (Backend & { dispose(): Promise<void> })[] = [];
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());
beforeEach(async () => {
  server = await scriptedHttp();
});
afterEach(async () => {
  for (const backend of backends.splice(0)) await backend.dispose();
  await server.close();
});

/** A backend as another process would have it: nothing is shared but the store. */
const process = (modelName?: string, changed: Partial<Store> = {}) => {
  const backend = chatOnServer({
    store: { ...store, ...changed },
    baseUrl: `${server.url}/v1`,
    flushMs: 1,
    ...(modelName === undefined ? {} : { modelName }),
  });
  backends.push(backend);
  return backend;
};
const context = () => fakeContext({ now: () => NOW + 1_000 });
const assistantOf = (index: number): unknown => {
  const { messages } = JSON.parse(server.requests[index]?.body ?? '{}') as { messages: { role: string }[] };
  return messages.find(({ role }) => role === 'assistant');
};

const signedCall = callStream(delta({ reasoning_content: 'Hm.' }), piece(call(0, 'fc-1', 'a', '{}', SIGNED)));

/** A run that waits for one call, and the submit of its output by another process. */
const answeredBy = async (next: () => Backend, first = process()) => {
  const run = await startedRun(store, 'tenant', NOW, { assistant: { tools: [tool('a')] } });
  server.script.push(signedCall, says(['ok']));
  const settled = await first.create(createRequest(run, NOW), context());
  if (settled.status !== 'requires_action') throw new Error(settled.status);
  const [asked] = settled.calls;
  expect(asked?.callId).toMatch(/^call_/);
  const outputs = [{ tool_call_id: asked?.callId ?? '', output: 'x' }];
  await next().submit({ backendRunId: run.runId, threadId: run.threadId }, 1, outputs, context());
  return run;
};

test('ids and unknown fields go back unchanged, from another process', async () => {
  await answeredBy(() => process());
  expect(assistantOf(1)).toMatchObject({ reasoning_content: 'Hm.', tool_calls: [{ id: 'fc-1', ...SIGNED }] });
});

test('another model gets the calls plain, under nine alphanumerics', async () => {
  await answeredBy(() => process('model-b'));
  expect(assistantOf(1)).toEqual({
    role: 'assistant',
    content: null,
    tool_calls: [
      {
        id: expect.stringMatching(/^[A-Za-z0-9]{9}$/) as unknown,
        type: 'function',
        function: { name: 'a', arguments: '{}' },
      },
    ],
  });
});

test('a round that an older process wrote, without anything to give back, goes on', async () => {
  const older: Partial<Store> = {
    settleTurn: (lease, { providerTurn: _unknown, ...turn }, now) => store.settleTurn(lease, turn, now),
  };
  await answeredBy(() => process(), process(undefined, older));
  expect(assistantOf(1)).not.toHaveProperty('reasoning_content');
});

test('the API’s caller never sees what the provider gave', async () => {
  const run = await answeredBy(() => process());
  const steps = await store.listSteps('tenant', run.threadId, run.runId, { limit: 10, order: 'asc' });
  const { events } = await store.readEvents(run.runId, { after: 0, limit: 200, gaps: 'refuse' });
  const seen = JSON.stringify([steps, events, await store.getRun('tenant', run.threadId, run.runId)]);
  expect(seen).not.toMatch(/c2lnbmF0dXJl|fc-1|Hm\./);
});
