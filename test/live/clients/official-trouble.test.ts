/**
 * The server processes when something they stand on goes away and comes back, and when many ask at once. Servers of their own:
 * PostgreSQL and Temporal are killed here. Two API and two worker processes share one database.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TemporalServer } from '../../../dev-server/temporal-server.ts';
import { WEATHER_TOOL } from '../../../testing/scripts.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import {
  failureOf,
  officialClients,
  outputsOf,
  textOf,
  threadOf,
  type OpenAI,
  type Run,
} from '../../support/official/clients.ts';
import { idsOf, openEvents, readUntil } from '../../support/official/events.ts';
import { openOfficial, type OfficialServer } from '../../support/official/server.ts';
import { startPostgres, type PostgresServer } from '../../support/postgres.ts';
import { privateTemporal } from '../../support/temporal.ts';

guardAgainstLeaks({ ignore: ['TCPSocketWrap', 'Timeout'] });

const { clients } = await officialClients();
const [{ Api }] = clients as [(typeof clients)[number]];

let dir: string;
let postgres: PostgresServer;
let temporal: TemporalServer;
let server: OfficialServer;
/** One client a server process. Their own retries are off. */
let apis: [OpenAI, OpenAI];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durable-runs-trouble-'));
  [postgres, temporal] = await Promise.all([
    startPostgres({ durable: false }),
    privateTemporal({ dbFilename: join(dir, 'temporal.db') }),
  ]);
  server = await openOfficial({
    databaseUrl: postgres.url,
    temporalAddress: temporal.address,
    apis: 2,
    workers: 2,
  });
  const [one, two] = server.apis.map(({ url }) => client(url));
  if (one === undefined || two === undefined) throw new Error('two servers');
  apis = [one, two];
}, 120_000);
afterAll(async () => {
  await server.close();
  await temporal.stop();
  await postgres.remove();
  await rm(dir, { recursive: true, force: true });
});

const client = (baseURL: string, more: { maxRetries?: number; fetch?: typeof fetch } = {}): OpenAI =>
  new Api({ baseURL, apiKey: 'not-needed', maxRetries: 0, ...more });
const assistant = async (script: string): Promise<string> =>
  (await apis[0].beta.assistants.create({ model: `scripted:${script}`, tools: [WEATHER_TOOL] })).id;
const waiting = async (script = 'weather'): Promise<Run> => {
  const run = await apis[0].beta.threads.createAndRunPoll(
    { assistant_id: await assistant(script) },
    { pollIntervalMs: 50 },
  );
  expect(run.status).toBe('requires_action');
  return run;
};
const submit = (api: OpenAI, run: Run, output: string, headers: Record<string, string> = {}): Promise<Run> =>
  api.beta.threads.runs.submitToolOutputs(
    run.id,
    { ...threadOf(run), tool_outputs: outputsOf(run, () => output) },
    { headers },
  );
const lastWord = async (run: Run): Promise<string> =>
  textOf((await apis[1].beta.threads.messages.list(run.thread_id)).data[0]);
/** Everything there is, by table. */
const census = async (): Promise<unknown> => {
  const database = new Client({ connectionString: postgres.url });
  await database.connect();
  try {
    const { rows } = await database.query<Record<string, number>>(
      `select (select count(*)::int from threads) threads, (select count(*)::int from messages) messages,
              (select count(*)::int from runs) runs, (select count(*)::int from run_events) events`,
    );
    return rows[0];
  } finally {
    await database.end();
  }
};
const readyz = (): Promise<Response> => fetch(server.url.replace(/\/v1$/, '/readyz'));
const ready = async (): Promise<void> => {
  for (;;) {
    if ((await readyz()).status === 200) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
};
const unavailable = { status: 503, code: 'unavailable' };

describe('outputs that come more than once', () => {
  test.each([
    ['different ones', (index: number): string => `answer ${index}`],
    ['the same from strangers', (): string => 'answer'],
  ])(
    '%s, at once, on two servers: exactly one is accepted, the others get the refusal',
    async (_what, output) => {
      const run = await waiting();
      const all = await Promise.allSettled(
        Array.from({ length: 8 }, (_, index) => submit(apis[index % 2 === 0 ? 0 : 1], run, output(index))),
      );
      const accepted = all.flatMap((one, index) => (one.status === 'fulfilled' ? [index] : []));
      expect(accepted).toHaveLength(1);
      for (const one of all) {
        if (one.status === 'fulfilled') continue;
        expect(one.reason).toBeInstanceOf(Api.BadRequestError);
        expect(one.reason).toMatchObject({
          message: expect.stringMatching(
            /do not accept tool outputs|submitted before with a different output/,
          ),
        });
      }
      const done = await apis[1].beta.threads.runs.poll(run.id, threadOf(run), { pollIntervalMs: 50 });
      expect(done.status).toBe('completed');
      expect(await lastWord(run)).toContain(output(accepted[0] ?? -1));
    },
  );

  test.each(clients)(
    '$name repeats a submit whose answer it lost: it gets the run, and the model its outputs once',
    async ({ Api: Version }) => {
      const run = await waiting();
      const sent: (string | null)[] = [];
      const lossy: typeof fetch = async (input, init) => {
        const response = await fetch(input, init);
        sent.push(new Headers(init?.headers).get('x-stainless-retry-count'));
        if (sent.length > 1) return response;
        await response.arrayBuffer();
        throw new TypeError('the answer was lost');
      };
      const api = new Version({ baseURL: server.url, apiKey: 'x', maxRetries: 1, fetch: lossy });
      const before = server.sandbox.requests.length;
      const repeated = await submit(api, run, 'mild');
      expect([repeated.id, sent]).toEqual([run.id, ['0', '1']]);
      const done = await apis[1].beta.threads.runs.poll(run.id, threadOf(run), { pollIntervalMs: 50 });
      expect(done.status).toBe('completed');
      expect(server.sandbox.requests).toHaveLength(before + 1);
    },
  );

  test('the same Idempotency-Key is the same request, for submits and for new runs', async () => {
    const run = await waiting();
    const headers = { 'idempotency-key': `key-${run.id}` };
    await submit(apis[0], run, 'mild', headers);
    expect((await submit(apis[1], run, 'mild', headers)).id).toBe(run.id);
    expect(await failureOf(submit(apis[1], run, 'mild'))).toMatchObject({ status: 400 });
    const params = { assistant_id: run.assistant_id };
    const [first, second] = await Promise.all(
      apis.map((api) =>
        api.beta.threads.createAndRun(params, { headers: { 'idempotency-key': `new-${run.id}` } }),
      ),
    );
    expect(second?.id).toBe(first?.id);
  });
});

describe('without workers', () => {
  test('runs stay queued, and go on when one comes', async () => {
    for (const worker of server.workers) worker.signal('SIGKILL');
    await Promise.all(server.workers.map(({ exited }) => exited));
    const run = await apis[0].beta.threads.createAndRun({
      assistant_id: await assistant('chat'),
      thread: { messages: [{ role: 'user', content: 'Anybody?' }] },
    });
    expect((await apis[1].beta.threads.runs.retrieve(run.id, threadOf(run))).status).toBe('queued');
    await Promise.all([server.startWorker(), server.startWorker()]);
    const done = await apis[1].beta.threads.runs.poll(run.id, threadOf(run), { pollIntervalMs: 100 });
    expect(done.status).toBe('completed');
    expect(await lastWord(run)).toBe('You said: Anybody?');
  });
});

describe('without PostgreSQL', () => {
  test(
    'everything is 503 with Retry-After; it recovers by itself, and runs, readers and workers with it',
    { timeout: 120_000 },
    async () => {
      const run = await waiting();
      const path = `${server.url}/threads/${run.thread_id}/runs/${run.id}/events`;
      const reader = await openEvents(path);
      const before = await readUntil(reader, ({ event }) => event === 'thread.run.requires_action');
      await postgres.kill();
      const { beta } = apis[0];
      const asked = await Promise.all(
        [
          beta.threads.runs.retrieve(run.id, threadOf(run)),
          beta.threads.create(),
          beta.threads.createAndRun({ assistant_id: run.assistant_id }),
          submit(apis[1], run, 'mild'),
        ].map((promise) => failureOf(promise)),
      );
      for (const failure of asked) {
        expect(failure).toBeInstanceOf(Api.InternalServerError);
        expect(failure).toMatchObject(unavailable);
        expect((failure as InstanceType<typeof Api.APIError>).headers?.get('retry-after')).toMatch(/^\d+$/);
      }
      const probe = await readyz();
      expect([probe.status, await probe.json()]).toMatchObject([
        503,
        { problems: [expect.stringContaining('database')] },
      ]);
      expect((await fetch(server.url.replace(/\/v1$/, '/healthz'))).status).toBe(200);
      await postgres.restart();
      await ready();
      expect((await beta.threads.runs.retrieve(run.id, threadOf(run))).status).toBe('requires_action');
      await submit(apis[1], run, 'mild');
      const all = [...before, ...(await reader.rest())];
      expect(all.at(-2)?.event).toBe('thread.run.completed');
      expect(idsOf(all)).toEqual(idsOf(all).map((_, index) => index + 1));
      expect(await lastWord(run)).toContain('mild');
    },
  );
});

describe('without Temporal', () => {
  test(
    'new runs and submits are 503 and leave nothing behind; a patient client gets through when it is back',
    { timeout: 120_000 },
    async () => {
      const run = await waiting();
      const chat = await assistant('chat');
      const thread = await apis[0].beta.threads.create({ messages: [{ role: 'user', content: 'Hello?' }] });
      const before = await census();
      const port = Number(temporal.address.split(':')[1]);
      temporal.kill();
      await temporal.exited;
      const { beta } = apis[0];
      const asked = await Promise.all(
        [
          beta.threads.runs.create(thread.id, {
            assistant_id: chat,
            additional_messages: [{ role: 'user', content: 'half' }],
          }),
          beta.threads.createAndRun({
            assistant_id: chat,
            thread: { messages: [{ role: 'user', content: 'half' }] },
          }),
          submit(apis[1], run, 'mild'),
        ].map((promise) => failureOf(promise)),
      );
      for (const failure of asked) {
        expect(failure).toBeInstanceOf(Api.InternalServerError);
        expect(failure).toMatchObject(unavailable);
        expect((failure as InstanceType<typeof Api.APIError>).headers?.get('retry-after')).toMatch(/^\d+$/);
      }
      expect(await census()).toEqual(before);
      expect((await readyz()).status).toBe(503);
      // What needs no workflow goes on.
      expect((await beta.threads.runs.retrieve(run.id, threadOf(run))).status).toBe('requires_action');
      expect((await beta.threads.messages.list(thread.id)).data).toHaveLength(1);

      const patient = client(server.url, { maxRetries: 20 });
      const pending = patient.beta.threads.runs.createAndPoll(
        thread.id,
        { assistant_id: chat },
        { pollIntervalMs: 100 },
      );
      temporal = await privateTemporal({ dbFilename: join(dir, 'temporal.db'), port });
      expect((await pending).status).toBe('completed');
      await ready();
      await submit(patient, run, 'mild');
      const done = await beta.threads.runs.poll(run.id, threadOf(run), { pollIntervalMs: 100 });
      expect(done.status).toBe('completed');
      expect(await lastWord(run)).toContain('mild');
    },
  );
});
