/** A server with a worker in its process, whose Temporal goes away and comes back: starts go over the worker's connection. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TemporalServer } from '../../../dev-server/temporal-server.ts';
import { says } from '../../support/chat-server.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';
import { scriptedHttp, type ScriptedHttp } from '../../support/scripted-http.ts';
import { privateTemporal } from '../../support/temporal.ts';
import { nativeEnv, spawnWorker, type WorkerProcess } from '../../support/worker-process.ts';

guardAgainstLeaks();

let dir: string;
let temporal: TemporalServer;
let database: FreshDatabase;
let model: ScriptedHttp;
let server: WorkerProcess;
let openai: OpenAI;
let assistant: string;

const privateServer = (port?: number): Promise<TemporalServer> =>
  privateTemporal({ dbFilename: join(dir, 'temporal.db'), ...(port === undefined ? {} : { port }) });

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durable-runs-together-'));
  [temporal, database, model] = await Promise.all([privateServer(), freshDatabase(), scriptedHttp()]);
  server = spawnWorker(
    nativeEnv({ temporal: temporal.address, taskQueue: 'together', dataDir: dir, database, model }),
    ['serve', '--worker'],
  );
  const url = /http:\S+\/v1/.exec(await server.ready)?.[0] ?? '';
  openai = new OpenAI({ baseURL: url, apiKey: 'none', maxRetries: 0 });
  assistant = (await openai.beta.assistants.create({ model: 'm' })).id;
});
afterAll(async () => {
  server.signal('SIGKILL');
  await server.exited;
  await model.close();
  await database.drop();
  await temporal.stop();
  await rm(dir, { recursive: true, force: true });
});

const threadOf = async (): Promise<string> =>
  (await openai.beta.threads.create({ messages: [{ role: 'user', content: 'Hello' }] })).id;
const start = (thread: string) => openai.beta.threads.runs.create(thread, { assistant_id: assistant });
const runsOf = async (thread: string): Promise<unknown[]> =>
  (await openai.beta.threads.runs.list(thread)).data;
/** The end of a run, for a client that comes again for as long as it is told to. */
const endOf = async (thread: string): Promise<string> => {
  const patient = new OpenAI({ baseURL: openai.baseURL, apiKey: 'none', maxRetries: 8 });
  const { status } = await patient.beta.threads.runs.createAndPoll(
    thread,
    { assistant_id: assistant },
    { pollIntervalMs: 50 },
  );
  return status;
};
const REFUSED = { status: 503, code: 'unavailable' };

test('killed: starts are 503 and leave nothing; they work again when it is back', async () => {
  const thread = await threadOf();
  const { address } = temporal;
  temporal.kill();
  await temporal.exited;
  await expect(start(thread)).rejects.toMatchObject(REFUSED);
  expect(await runsOf(thread)).toEqual([]);
  temporal = await privateServer(Number(address.split(':')[1]));
  model.script.push(says(['Back.']));
  expect(await endOf(thread)).toBe('completed');
});

test('frozen: starts are 503 and leave nothing, also when the server carries one out afterwards', async () => {
  const thread = await threadOf();
  process.kill(temporal.pid, 'SIGSTOP');
  try {
    await expect(start(thread)).rejects.toMatchObject(REFUSED);
    expect(await runsOf(thread)).toEqual([]);
  } finally {
    process.kill(temporal.pid, 'SIGCONT');
  }
  model.script.push(says(['Awake.']));
  expect(await endOf(thread)).toBe('completed');
  expect(await runsOf(thread)).toHaveLength(1);
  expect(model.overrun).toBe(0);
});

test('asked to go while all is well, it goes', async () => {
  server.signal('SIGTERM');
  expect((await server.exited).code).toBe(0);
});
