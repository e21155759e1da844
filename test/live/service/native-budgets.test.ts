/** Money and budgets between real processes: a killed worker counts nothing twice, and two workers keep one day. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI, { type APIError } from 'openai';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, expect, inject, test, vi } from 'vitest';
import { ends, said, usage } from '../../support/chat-wire.ts';
import { DONE } from '../../support/chat-server.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';
import { scriptedHttp, sse, type ScriptedHttp } from '../../support/scripted-http.ts';
import { uniqueName } from '../../support/temporal.ts';
import { nativeEnv, spawnWorker, type WorkerProcess } from '../../support/worker-process.ts';

guardAgainstLeaks();
// A killed worker is noticed after ten seconds, and processes start in ten on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

let dir: string;
let database: FreshDatabase;
let model: ScriptedHttp;
const processes: WorkerProcess[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durable-runs-budgets-'));
  database = await freshDatabase();
  model = await scriptedHttp();
});
afterEach(async () => {
  for (const one of processes) one.signal('SIGKILL');
  await Promise.all(processes.splice(0).map(({ exited }) => exited));
});
afterAll(async () => {
  await model.close();
  await database.drop();
  await rm(dir, { recursive: true, force: true });
});

/** A server, and workers of it as they are started. */
const open = async (settings: Record<string, string>) => {
  const taskQueue = uniqueName('budgets');
  const start = (command: string): WorkerProcess => {
    const places = { temporal: inject('temporalAddress'), taskQueue, dataDir: dir, database, model };
    const made = spawnWorker({ ...nativeEnv(places), ...settings }, [command]);
    processes.push(made);
    return made;
  };
  const url = /http:\S+\/v1/.exec(await start('serve').ready)?.[0] ?? '';
  const openai = new OpenAI({ baseURL: url, apiKey: 'none' });
  const assistant = await openai.beta.assistants.create({ model: uniqueName('model') });
  return {
    url,
    openai,
    model: assistant.model,
    worker: () => start('worker'),
    begin: (more: object = {}) =>
      openai.beta.threads.createAndRun({
        assistant_id: assistant.id,
        thread: { messages: [{ role: 'user', content: 'Hello' }] },
        max_completion_tokens: 256,
        ...more,
      }),
    ended: (run: { id: string; thread_id: string }) =>
      openai.beta.threads.runs.poll(run.id, { thread_id: run.thread_id }, { pollIntervalMs: 100 }),
    report: async (path: string): Promise<unknown> => (await fetch(`${url}${path}`)).json(),
  };
};

const answer = (prompt: number, completion: number, cached = 0) =>
  sse([
    said('Here.'),
    ends(),
    usage({
      prompt_tokens: prompt,
      completion_tokens: completion,
      prompt_tokens_details: { cached_tokens: cached },
      completion_tokens_details: { reasoning_tokens: 5 },
    }),
    DONE,
  ]);

interface Days {
  data: { model: string; turns: number; usage: { total_tokens: number } }[];
}

test('a worker that is killed between the answer and its settlement: the turn is counted once', async () => {
  const {
    openai,
    worker,
    begin,
    ended,
    report,
    model: name,
  } = await open({
    RUNS_MODEL_PRICE: '{"currency":"USD","input":2,"cached_input":1,"output":10}',
  });
  const locker = new Client({ connectionString: database.url });
  await locker.connect();
  const first = worker();
  await first.ready;
  // Whoever counts a turn waits for this transaction.
  await locker.query('begin');
  await locker.query('lock table usage_days in exclusive mode');
  model.script.push(answer(100, 10, 40), answer(100, 10, 40));
  const run = await begin();
  await expect
    .poll(
      async () =>
        (await locker.query("select 1 from pg_locks where relation = 'usage_days'::regclass and not granted"))
          .rowCount,
      { timeout: 30_000 },
    )
    .toBe(1);
  first.signal('SIGKILL');
  await first.exited;
  await locker.query('rollback');
  await locker.end();
  await worker().ready;
  const end = await ended(run);
  // 60 × 2 + 40 × 1 + 10 × 10 for a million
  const counted = {
    prompt_tokens: 100,
    completion_tokens: 10,
    total_tokens: 110,
    prompt_token_details: { cached_tokens: 40 },
    completion_tokens_details: { reasoning_tokens: 5 },
    cost: { USD: '0.00026' },
  };
  expect(end).toMatchObject({ status: 'completed', usage: counted });
  expect(model.requests).toHaveLength(2);
  const { data } = (await report('/usage')) as Days;
  expect(data.filter((day) => day.model === name)).toMatchObject([{ turns: 1, usage: counted }]);
  expect(await report(`/threads/${run.thread_id}/usage`)).toMatchObject({ runs: 1, usage: counted });
  const steps = await openai.beta.threads.runs.steps.list(run.id, { thread_id: run.thread_id });
  expect(steps.data.filter((step) => step.usage !== null)).toMatchObject([
    { usage: { ...counted, model: name } },
  ]);
});

test('the official client sets max_cost, and the run ends before the turn that would pass it', async () => {
  const { worker, begin, ended } = await open({
    RUNS_MODEL_PRICE: '{"currency":"USD","input":2,"output":10}',
  });
  await worker().ready;
  const asked = model.requests.length;
  const end = await ended(await begin({ max_cost: { USD: '0.00001' } }));
  expect(end).toMatchObject({
    status: 'incomplete',
    incomplete_details: { reason: 'max_cost' },
    usage: null,
  });
  expect(model.requests).toHaveLength(asked);
  await expect(begin({ max_cost: { usd: '1' } })).rejects.toMatchObject({ status: 400, param: 'max_cost' });
});

test('two workers near a tenant’s budget: at most one turn passes it, and what comes later is refused', async () => {
  const budget = 1_000_000;
  const {
    worker,
    begin,
    ended,
    report,
    model: name,
  } = await open({
    RUNS_BUDGETS: JSON.stringify({ '*': { tokens_per_day: budget } }),
  });
  await Promise.all([worker().ready, worker().ready]);
  const before = ((await report('/usage')) as Days).data.reduce(
    (sum, day) => sum + day.usage.total_tokens,
    0,
  );
  // One turn leaves 900 tokens of the day; each of the others takes 250.
  model.script.push(
    answer(budget - before - 1_000, 100),
    ...Array.from({ length: 8 }, () => answer(200, 50)),
  );
  expect((await ended(await begin())).status).toBe('completed');
  // A start that comes after the fourth turn is refused at once.
  const begun = await Promise.allSettled(Array.from({ length: 8 }, () => begin()));
  const late = begun.flatMap((start) => (start.status === 'rejected' ? [start.reason as unknown] : []));
  for (const error of late) expect(error).toMatchObject({ status: 429, code: 'insufficient_quota' });
  const runs = begun.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  const all = await Promise.all(runs.map((run) => ended(run)));
  const failed = all.filter(({ status }) => status === 'failed');
  for (const { last_error: error } of failed) expect(error?.code).toBe('rate_limit_exceeded');
  const { data } = (await report('/usage')) as Days;
  // Whatever the order: the fourth turn begins with 150 tokens or less, and takes 250.
  expect(data.reduce((sum, day) => sum + day.usage.total_tokens, 0)).toBe(budget + 100);
  expect(failed.length + late.length).toBe(4);
  expect(data.find((day) => day.model === name)?.turns).toBe(5);
  // The server's check reads the day at most every two seconds; what it lets through ends in the worker.
  await expect
    .poll(
      () =>
        begin().then(
          ({ id }) => id,
          ({ status, code }: APIError) => [status, code],
        ),
      { timeout: 30_000 },
    )
    .toEqual([429, 'insufficient_quota']);
});
