/**
 * How a run on the `chat` backend ends when its model does not answer: at its expiry, or when its attempts are used up.
 * On a real Temporal, API and worker.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { openStore } from '../../../store/index.ts';
import { chunk, refuses } from '../../support/chat-server.ts';
import { openNative, type NativeStack } from '../../support/native-stack.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';
import { hang, scriptedHttp, sse, type ScriptedHttp } from '../../support/scripted-http.ts';
import { liveTemporal, type LiveTemporal } from '../../support/temporal.ts';

let temporal: LiveTemporal;
let database: FreshDatabase;
let store: Store;
let model: ScriptedHttp;
let stack: NativeStack;

beforeAll(async () => {
  temporal = await liveTemporal();
  database = await freshDatabase();
  store = await openStore({ databaseUrl: database.url });
});
afterAll(async () => {
  await store.close();
  await temporal.close();
  await database.drop();
});
beforeEach(async () => {
  model = await scriptedHttp();
  stack = await openNative({
    temporal,
    store,
    worker: false,
    backend: { baseUrl: `${model.url}/v1`, flushMs: 1, modelAttempts: 3 },
  });
});
afterEach(async () => {
  await stack.close();
  await model.close();
});

const SECONDS = 3;

const started = async (seconds = SECONDS) => {
  const { id } = await stack.openai.beta.assistants.create({ model: 'm' });
  const thread = await stack.openai.beta.threads.create({ messages: [{ role: 'user', content: 'x' }] });
  const params = { assistant_id: id, expires_in: seconds };
  const { id: runId } = await stack.openai.beta.threads.runs.create(thread.id, params);
  return { runId, threadId: thread.id };
};

const retrieved = ({ runId, threadId }: { runId: string; threadId: string }) =>
  stack.openai.beta.threads.runs.retrieve(runId, { thread_id: threadId });

const expectExpired = async ({ runId, threadId }: { runId: string; threadId: string }) => {
  expect(await stack.client.result(runId)).toMatchObject({ status: 'expired' });
  expect((await retrieved({ runId, threadId })).status).toBe('expired');
  // The thread is free again.
  await stack.openai.beta.threads.messages.create(threadId, { role: 'user', content: 'again' });
};

/** The caller learns the cause, operators all of it. */
const expectCause = async (run: { runId: string; threadId: string }) => {
  expect((await retrieved(run)).last_error).toEqual({
    code: 'server_error',
    message: 'The model server could not answer.',
  });
  expect((await stack.client.result(run.runId)).lastError).toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('HTTP 503: "starting"'),
  });
};

/** What is scheduled in the run's history, in order. */
const scheduled = async (runId: string): Promise<string[]> => {
  const { events } = await temporal.client.workflow.getHandle(runId).fetchHistory();
  return (events ?? []).flatMap((event) => {
    if (event.timerStartedEventAttributes != null) return ['timer'];
    const type = event.activityTaskScheduledEventAttributes?.activityType?.name;
    return type == null ? [] : [type];
  });
};

describe('at its expiry a run is expired, and the model is not asked again, when', () => {
  test('the model says nothing', async () => {
    await stack.startWorker();
    model.script.push(hang);
    const run = await started();
    await expectExpired(run);
    expect(model.requests).toHaveLength(1);
    // The attempt ends the run itself: nothing else is needed.
    expect(await scheduled(run.runId)).toEqual(['createRun']);
  });

  test('the model is in the middle of its answer', async () => {
    await stack.startWorker();
    model.script.push(sse([chunk({ content: 'half' })], 'hold'));
    const run = await started();
    await expectExpired(run);
    const page = await stack.openai.beta.threads.messages.list(run.threadId, { order: 'asc' });
    expect(page.data.map(({ status }) => status)).toEqual(['completed', 'incomplete', 'completed']);
    expect(model.requests).toHaveLength(1);
  });

  test('the model server refuses, and the next attempt would come after it', async () => {
    await stack.startWorker();
    const asked = 20;
    model.script.push(...Array.from({ length: asked }, () => refuses(503, 'starting')));
    const run = await started();
    await expectExpired(run);
    expect(model.requests.length).toBeLessThan(asked);
    // On a slow machine the last attempt begins so late that it meets the expiry itself, or ends so late that no wait is left.
    expect([['createRun', 'timer', 'closeRun'], ['createRun', 'closeRun'], ['createRun']]).toContainEqual(
      await scheduled(run.runId),
    );
    await expectCause(run);
  });

  test('the model server refuses, and says nothing to the next attempt', async () => {
    await stack.startWorker();
    model.script.push(refuses(503, 'starting'), hang);
    const run = await started(2 * SECONDS);
    await expectExpired(run);
    expect(model.requests).toHaveLength(2);
    expect(await scheduled(run.runId)).toEqual(['createRun']);
    await expectCause(run);
  });

  test('the server asks to be left alone for longer than the run lives', async () => {
    await stack.startWorker();
    model.script.push((_asked, socket) => {
      socket.write('HTTP/1.1 429 Slow\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n');
    });
    const run = await started();
    await expectExpired(run);
    expect(model.requests).toHaveLength(1);
  });

  test('no worker has been there', async () => {
    const run = await started();
    await new Promise((resolve) => {
      setTimeout(resolve, SECONDS * 1_000);
    });
    await stack.startWorker();
    await expectExpired(run);
    expect(model.requests).toHaveLength(0);
  });
});

test('a model that breaks off each answer is asked as often as the budget says, and the run fails long before its expiry', async () => {
  await stack.startWorker();
  model.script.push(...Array.from({ length: 3 }, () => sse([chunk({ content: 'half' })], 'cut')));
  const run = await started(3_600);
  expect(await stack.client.result(run.runId)).toMatchObject({
    status: 'failed',
    lastError: { code: 'broken_off', message: expect.stringContaining('The model was called 3 times') },
  });
  expect(model.requests).toHaveLength(3);
  const wire = await retrieved(run);
  expect(wire.last_error).toEqual({
    code: 'server_error',
    message: 'The model server broke off its answer.',
  });
  expect(JSON.stringify(wire)).not.toContain(String(model.port));
});
