/** Timeline, history and export of real runs: with Temporal's history, without it, and replayed from the download. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { createApi, keyAuth, parseApiKeys, serveApi, type ServedApi } from '../../../api/index.ts';
import { replayFiles } from '../../../cli/replay.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { Caller } from '../../../protocol/ports/runs-service.ts';
import { createRunsService, workflowsOf } from '../../../service/index.ts';
import { RunsError } from '../../../protocol/errors.ts';
import type { Page, Run } from '../../../protocol/wire/objects.ts';
import type { Approval } from '../../../protocol/wire/decisions.ts';
import type { HistoryExport, RunExport, RunTimeline } from '../../../protocol/wire/run-timeline.ts';
import { defineTools, openNative, type NativeStack } from '../../support/native-stack.ts';
import { memoryStore } from '../../support/store.ts';
import { liveTemporal, type LiveTemporal } from '../../support/temporal.ts';

const KEY = {
  caller: 'sk-the-caller-0123456789',
  alice: 'sk-alice-0123456789abcdef',
  bob: 'sk-bob-0123456789abcdefgh',
  stranger: 'sk-stranger-0123456789abc',
  operator: 'sk-operator-0123456789abc',
} as const;
const KEYS = [
  `acme:${KEY.caller}:*`,
  `acme:${KEY.alice}:refund:role=approver;name=alice`,
  `acme:${KEY.bob}:ship:role=approver;name=bob`,
  `other:${KEY.stranger}:*`,
  `ops:${KEY.operator}::role=operator;name=olga`,
].join(' ');

const CALLER: Caller = {
  tenant: 'acme',
  requestId: 'r',
  isRetry: false,
  idempotencyKey: null,
  groups: [],
  verified: true,
};

let temporal: LiveTemporal;
let store: Store;
let stack: NativeStack;
let server: ServedApi;
let run: Run;
let whileWaiting: RunTimeline;
let lookedUp = 0;

interface Answer<Body> {
  status: number;
  body: Body;
}

const send = async (
  who: keyof typeof KEY,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: unknown }> => {
  const response = await fetch(`${server.url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${KEY[who]}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
};
const call = async <T>(...request: Parameters<typeof send>): Promise<Answer<T>> =>
  (await send(...request)) as Answer<T>;

const ended = async (id: string, threadId: string): Promise<Run> => {
  const signal = AbortSignal.timeout(30_000);
  for await (const { event } of stack.engine.events(CALLER, threadId, id, { after: 0, signal }))
    if (event === 'thread.run.completed') break;
  return store.getRun('acme', threadId, id);
};

const waiting = async (id: string): Promise<Approval> => {
  for (;;) {
    const { body } = await call<Page<Approval>>('alice', '/approvals');
    const found = body.data.find(({ run_id: of }) => of === id);
    if (found !== undefined) return found;
  }
};

beforeAll(async () => {
  [temporal, store] = await Promise.all([liveTemporal(), memoryStore()]);
  stack = await openNative({
    temporal,
    store,
    sandbox: {
      scripts: {
        pay: (turn) =>
          turn.round === 0
            ? { calls: [{ name: 'look_up', arguments: { order: '42' } }] }
            : turn.round === 1
              ? { calls: [{ name: 'refund', arguments: { order: '42', amount: 60 } }] }
              : { text: 'All done.' },
      },
    },
    tools: defineTools({
      look_up: {
        description: 'Finds an order',
        parameters: z.object({ order: z.string() }),
        retry: { initialInterval: 10 },
        execute: () => {
          lookedUp += 1;
          if (lookedUp === 1) throw new Error('the shop is closed');
          return 'order 42: a teapot';
        },
      },
      refund: {
        description: 'Pays money back',
        parameters: z.object({ order: z.string(), amount: z.number() }),
        needsApproval: true,
        execute: ({ amount }) => `paid ${amount}`,
      },
    }),
  });
  server = await serveApi(createApi({ engine: stack.engine, auth: keyAuth(parseApiKeys(KEYS)) }));
  const { body: assistant } = await call<{ id: string }>('caller', '/assistants', {
    model: 'scripted:pay',
    tools: ['look_up', 'refund'].map((name) => ({ type: 'function', function: { name } })),
  });
  const started = await call<Run>('caller', '/threads/runs', {
    assistant_id: assistant.id,
    thread: { messages: [{ role: 'user', content: 'My teapot broke.' }] },
  });
  run = started.body;
  const approval = await waiting(run.id);
  whileWaiting = (await call<RunTimeline>('operator', `/runs/${run.id}/timeline`)).body;
  await call('alice', `/approvals/${approval.id}`, {
    decision: 'approve',
    arguments_digest: approval.arguments_digest,
  });
  run = await ended(run.id, run.thread_id);
});
afterAll(async () => {
  await server.close();
  await stack.close();
  await store.close();
  await temporal.close();
});

const timeline = async (who: keyof typeof KEY): Promise<RunTimeline> =>
  (await call<RunTimeline>(who, `/runs/${run.id}/timeline`)).body;
const told = ({ entries }: RunTimeline): string[] =>
  entries.map((entry) =>
    [
      entry.kind,
      'status' in entry ? entry.status : '',
      'tool' in entry ? entry.tool : '',
      'outcome' in entry ? entry.outcome : '',
      'attempts' in entry ? (entry.attempts ?? '?') : '',
    ]
      .filter((text) => text !== '')
      .join(' '),
  );

test('while the run waits, its wait has no end', () => {
  expect(whileWaiting.entries.find(({ kind }) => kind === 'wait')).toMatchObject({
    tool: 'refund',
    outcome: 'waiting',
    end_ms: null,
  });
});

const COURSE = [
  'state queued',
  'state in_progress',
  'turn ok 1',
  'tool look_up ok 2',
  'turn ok 1',
  'wait refund decided',
  'decision refund',
  'tool refund ok 1',
  'turn ok 1',
  'state completed',
];

test('a timeline tells turns, attempts, waits and decisions in their order', async () => {
  const read = await timeline('operator');
  expect(read.history.state).toBe('read');
  expect(read.truncated).toBe(false);
  const course = told(read).filter((line) => !/^(?:timer|message)/.test(line));
  expect(course.toSorted()).toEqual(COURSE.toSorted());
  expect(read.entries.find((entry) => entry.kind === 'tool' && entry.tool === 'look_up')).toMatchObject({
    failure: { message: expect.stringContaining('the shop is closed') as unknown },
    arguments: '{"order":"42"}',
    output: 'order 42: a teapot',
    source: 'history',
  });
  const turns = read.entries.filter((entry) => entry.kind === 'turn');
  expect(turns.map((turn) => turn.finish_reason)).toEqual(['tool_calls', 'tool_calls', 'stop']);
  expect(turns.every((turn) => (turn.usage?.total_tokens ?? 0) > 0)).toBe(true);
  expect(read.entries.find(({ kind }) => kind === 'decision')).toMatchObject({ by: 'alice', verified: true });
  expect(read.entries.find(({ kind }) => kind === 'timer')).toMatchObject({
    name: 'deadline',
    outcome: 'cancelled',
  });
  expect(read.entries.find(({ kind }) => kind === 'message')).toMatchObject({
    name: 'answer',
    form: 'update',
  });
  for (const entry of read.entries) expect(entry.end_ms).toBeGreaterThanOrEqual(entry.start_ms);
});

const texts = ({ entries }: RunTimeline): unknown[] =>
  entries.flatMap((entry) => (entry.kind === 'tool' ? [[entry.tool, entry.arguments, entry.output]] : []));

test('arguments and outputs are for those who may read them, reports of failures for operators', async () => {
  expect(texts(await timeline('caller'))).toEqual(texts(await timeline('operator')));
  expect(texts(await timeline('alice'))).toEqual([
    ['look_up', null, null],
    ['refund', '{"order":"42","amount":60}', 'paid 60'],
  ]);
  const forCaller = await timeline('caller');
  expect(forCaller.entries.find((entry) => entry.kind === 'tool' && entry.failure !== null)).toMatchObject({
    failure: { message: null },
  });
  expect((await call('stranger', `/runs/${run.id}/timeline`)).status).toBe(404);
  expect((await call('stranger', `/runs/${run.id}`)).status).toBe(404);
  expect((await call('caller', `/runs/${run.id}/history`)).status).toBe(403);
});

test('without the history, the timeline has the same course, and says what it does not know', async () => {
  for (const [trace, state] of [
    [async () => null, 'gone'],
    [async () => Promise.reject(new RunsError('temporal_unavailable', 'down')), 'unavailable'],
  ] as const) {
    const workflows = { ...workflowsOf(stack.client), trace };
    const service = createRunsService({ store, client: { workflows } });
    const read = await service.runTimeline(CALLER, run.id);
    expect(read.history.state).toBe(state);
    expect(read.history.note).toMatch(/attempts are not known/);
    expect(told(read).toSorted()).toEqual(
      COURSE.map((line) => line.replace(/(turn ok|ok) \d$/, '$1 ?')).toSorted(),
    );
  }
});

test('the downloaded history replays', async () => {
  const { status, body } = await call<HistoryExport>('operator', `/runs/${run.id}/history`);
  expect(status).toBe(200);
  const dir = await mkdtemp(join(tmpdir(), 'run-records-'));
  try {
    const file = join(dir, 'history.json');
    await writeFile(file, JSON.stringify(body));
    expect(await replayFiles([file], () => undefined)).toMatchObject([
      { verdict: 'ok', workflowType: 'run', events: body.events.length },
    ]);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  const gone = await call<{ error: { code: string } }>(
    'operator',
    `/runs/${run.id}/history?execution=00000000-0000-4000-8000-000000000000`,
  );
  expect([gone.status, gone.body.error.code]).toEqual([404, 'history_gone']);
  expect((await call('operator', `/runs/${run.id}/history?execution=x`)).status).toBe(400);
});

test('an export is the whole run in one object', async () => {
  const { body } = await call<RunExport>('caller', `/runs/${run.id}/export`);
  expect(body.run).toEqual(run);
  expect(body.steps).toHaveLength(3);
  expect(body.messages.map(({ role }) => role)).toEqual(['user', 'assistant']);
  expect(body.decisions).toMatchObject([{ by: 'alice', decision: 'approve' }]);
  expect(told(body.timeline)).toContain('tool look_up ok 2');
  expect(body.usage).toEqual(run.usage);
  expect(body.truncated).toEqual([]);
});

test('runs are found by what they called and when, an operator names a tenant', async () => {
  const ids = async (who: keyof typeof KEY, query: string): Promise<string[]> => {
    const { status, body } = await call<Page<Run>>(who, `/runs?${query}`);
    expect(status).toBe(200);
    return body.data.map(({ id }) => id);
  };
  expect(await ids('caller', 'tool=refund&status=completed')).toEqual([run.id]);
  expect(await ids('caller', 'tool=ship')).toEqual([]);
  expect(await ids('operator', `tenant=acme&created_from=${run.created_at}`)).toEqual([run.id]);
  expect(await ids('operator', 'tenant=other')).toEqual([]);
  expect(await ids('caller', `created_before=${run.created_at}`)).toEqual([]);
  expect((await call('stranger', '/runs?tenant=acme')).status).toBe(403);
});
