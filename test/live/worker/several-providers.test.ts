/**
 * Several providers in one server, with workers of their own processes: a fallback while workers are killed, and limits and cooldowns
 * that the workers keep together.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { chunk, refuses, says } from '../../support/chat-server.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';
import { json, scriptedHttp, sse, type ScriptedHttp, type Step } from '../../support/scripted-http.ts';
import { uniqueName } from '../../support/temporal.ts';
import { nativeEnv, spawnWorker, type WorkerProcess } from '../../support/worker-process.ts';

guardAgainstLeaks();

let dir: string;
let database: FreshDatabase;
let near: ScriptedHttp;
let far: ScriptedHttp;
let taskQueue: string;
const processes: WorkerProcess[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durable-runs-providers-'));
});
beforeEach(async () => {
  // A cooldown of one test is none of the next.
  database = await freshDatabase();
  taskQueue = uniqueName('providers');
  near = await scriptedHttp();
  far = await scriptedHttp();
});
afterEach(async () => {
  for (const one of processes) one.signal('SIGKILL');
  await Promise.all(processes.splice(0).map(({ exited }) => exited));
  await near.close();
  await far.close();
  await database.drop();
});
afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

const start = async (limits: Record<string, number>, command: string): Promise<WorkerProcess> => {
  const file = join(dir, `${taskQueue}.yaml`);
  const models = {
    providers: {
      near: { kind: 'openai-compatible', base_url: '${NEAR_URL}', api_key_env: 'NEAR_KEY', limits },
      far: { kind: 'openai-compatible', base_url: '${FAR_URL}' },
    },
    models: {
      fast: { provider: 'near', model: 'org/small', fallbacks: ['smart'] },
      smart: { provider: 'far', model: 'large' },
      alone: { provider: 'near', model: 'org/small' },
    },
  };
  await writeFile(file, JSON.stringify(models));
  const places = { temporal: inject('temporalAddress'), taskQueue, dataDir: dir, database, model: near };
  const { OPENAI_BASE_URL: _url, OPENAI_API_KEY: _key, ...env } = nativeEnv(places);
  const keys = { NEAR_URL: `${near.url}/v1`, FAR_URL: `${far.url}/v1`, NEAR_KEY: 'key-of-near' };
  const made = spawnWorker({ ...env, RUNS_MODELS: file, ...(command === 'worker' ? keys : {}) }, [command]);
  processes.push(made);
  return made;
};

const serve = async (limits: Record<string, number> = {}): Promise<OpenAI> => {
  const url = /http:\S+\/v1/.exec(await (await start(limits, 'serve')).ready)?.[0] ?? '';
  return new OpenAI({ baseURL: url, apiKey: 'none', maxRetries: 0 });
};

const ask = async ({ beta }: OpenAI, model: string) => {
  const assistant = await beta.assistants.create({ model });
  return await beta.threads.createAndRun({
    assistant_id: assistant.id,
    thread: { messages: [{ role: 'user', content: 'Hello' }] },
  });
};

test(
  'a fallback survives workers that are killed in the middle of it, and the run says who spoke',
  { timeout: 180_000 },
  async () => {
    const openai = await serve();
    await expect(ask(openai, 'nowhere/model')).rejects.toMatchObject({
      status: 400,
      code: 'model_not_found',
      message: expect.stringContaining('nowhere/model'),
    });
    // The API has no key of a provider, and needs none.
    expect((await openai.models.list()).data.map(({ id }) => id)).toEqual(['fast', 'smart', 'alone']);

    const first = await start({}, 'worker');
    await first.ready;
    near.script.push(refuses(503, 'away'), refuses(503, 'away'));
    far.script.push(sse([chunk({ role: 'assistant', content: 'half' })], 'hold'), says(['whole']));
    const run = await ask(openai, 'fast');
    await far.arrived(1);
    first.signal('SIGKILL');
    await first.exited;
    const second = await start({}, 'worker');
    await second.ready;
    const ended = await openai.beta.threads.runs.poll(run.id, { thread_id: run.thread_id });

    expect(ended).toMatchObject({ status: 'completed', model: 'fast', models_used: ['far/large'] });
    // One turn may have been paid for twice; never more, and never at a provider that refused it.
    expect(far.requests).toHaveLength(2);
    expect(near.requests.length).toBeLessThanOrEqual(2);
    expect([near.overrun, far.overrun]).toEqual([0, 0]);
    expect(near.requests[0]?.headers['authorization']).toBe('Bearer key-of-near');
    const { data } = await openai.beta.threads.messages.list(run.thread_id, { order: 'asc' });
    const said = data.filter(({ role, status }) => role === 'assistant' && status === 'completed');
    expect(said.map(({ content }) => JSON.stringify(content).includes('whole'))).toEqual([true]);
    const steps = await openai.beta.threads.runs.steps.list(run.id, { thread_id: run.thread_id });
    expect(steps.data.filter(({ status }) => status === 'completed')).toMatchObject([{ model: 'far/large' }]);
  },
);

test(
  'two workers keep a concurrency limit together, and a slot of a killed worker comes back',
  { timeout: 180_000 },
  async () => {
    const limits = { concurrency: 2 };
    const openai = await serve(limits);
    let under = 0;
    let most = 0;
    /** Takes its time, so that one more than the limit would be seen. */
    const counted: Step = async (request, socket) => {
      under += 1;
      most = Math.max(most, under);
      await new Promise((resolve) => setTimeout(resolve, 150));
      under -= 1;
      await says(['Hi'])(request, socket);
    };
    near.script.push(sse([chunk({ content: 'held' })], 'hold'), ...Array.from({ length: 9 }, () => counted));
    const doomed = await start(limits, 'worker');
    await doomed.ready;
    const held = await ask(openai, 'fast');
    await near.arrived(1);
    doomed.signal('SIGKILL');
    await doomed.exited;

    const workers = await Promise.all([start(limits, 'worker'), start(limits, 'worker')]);
    await Promise.all(workers.map(({ ready }) => ready));
    const runs = [held, ...(await Promise.all(Array.from({ length: 8 }, () => ask(openai, 'fast'))))];
    const ended = await Promise.all(
      runs.map(({ id, thread_id }) => openai.beta.threads.runs.poll(id, { thread_id })),
    );
    expect(ended.map(({ status }) => status)).toEqual(runs.map(() => 'completed'));
    expect(most).toBeLessThanOrEqual(2);
    expect([near.requests.length, far.requests.length, near.overrun]).toEqual([10, 0, 0]);
  },
);

test(
  'two workers keep a limit of requests a minute together, and a run that waits can be cancelled',
  { timeout: 120_000 },
  async () => {
    // One at once, and one each twelve seconds.
    const limits = { requests_per_minute: 5 };
    const openai = await serve(limits);
    const at: number[] = [];
    const counted: Step = (request, socket) => {
      at.push(Date.now());
      return says(['Hi'])(request, socket);
    };
    near.script.push(counted, counted);
    const workers = await Promise.all([start(limits, 'worker'), start(limits, 'worker')]);
    await Promise.all(workers.map(({ ready }) => ready));
    const runs = await Promise.all(Array.from({ length: 3 }, () => ask(openai, 'fast')));
    const polled = runs.map(({ id, thread_id }) => openai.beta.threads.runs.poll(id, { thread_id }));
    const first = await Promise.race(polled);
    expect(first.status).toBe('completed');
    const late = runs.find(({ id }) => id !== first.id) ?? first;
    await openai.beta.threads.runs.cancel(late.id, { thread_id: late.thread_id });
    const ended = await Promise.all(polled);
    expect(ended.map(({ status }) => status).toSorted()).toEqual(['cancelled', 'completed', 'completed']);
    expect(ended.find(({ status }) => status === 'cancelled')?.id).toBe(late.id);
    expect(at).toHaveLength(2);
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThan(11_900);
    expect(far.requests).toEqual([]);
  },
);

test(
  'a model that names a time is asked by no worker before it, whoever dies',
  { timeout: 180_000 },
  async () => {
    const openai = await serve();
    const workers = await Promise.all([start({}, 'worker'), start({}, 'worker')]);
    await Promise.all(workers.map(({ ready }) => ready));
    near.script.push(json({ error: { message: 'slow down' } }, 429, { 'retry-after': '600' }));
    far.script.push(...Array.from({ length: 5 }, () => says(['From far'])));
    const poll = ({ id, thread_id }: Awaited<ReturnType<typeof ask>>) =>
      openai.beta.threads.runs.poll(id, { thread_id });
    expect(await poll(await ask(openai, 'fast'))).toMatchObject({ models_used: ['far/large'] });
    // The worker that was refused may be the one that dies, and a new one knows all the same.
    workers[0]?.signal('SIGKILL');
    const third = await start({}, 'worker');
    await third.ready;
    const during = await Promise.all(Array.from({ length: 4 }, () => ask(openai, 'fast')));
    for (const ended of await Promise.all(during.map(poll)))
      expect(ended).toMatchObject({ status: 'completed', models_used: ['far/large'] });
    expect([near.requests.length, far.requests.length, far.overrun]).toEqual([1, 5, 0]);
  },
);

test(
  'a run without a fallback waits in Temporal until the time that the model names, and is answered then',
  { timeout: 120_000 },
  async () => {
    const NAMED_MS = 4_000;
    const openai = await serve();
    await (
      await start({}, 'worker')
    ).ready;
    const at: number[] = [];
    const seen =
      (step: Step): Step =>
      (request, socket) => {
        at.push(Date.now());
        return step(request, socket);
      };
    const later = { 'retry-after': String(NAMED_MS / 1_000) };
    near.script.push(seen(json({ error: { message: 'slow down' } }, 429, later)), seen(says(['From near'])));
    const { id, thread_id } = await ask(openai, 'alone');
    expect(await openai.beta.threads.runs.poll(id, { thread_id })).toMatchObject({ status: 'completed' });
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(NAMED_MS);
    expect([near.requests.length, near.overrun, far.requests.length]).toEqual([2, 0, 0]);
  },
);
