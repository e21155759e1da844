/** Approvals over a real server: discovered, followed, decided, also when processes die and when two people decide at once. */
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createApi, keyAuth, parseApiKeys, serveApi, type ServedApi } from '../../../api/index.ts';
import { ApiError, ApprovalsClient, type ApprovalEvent } from '../../../client/http/public.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { createRunsService } from '../../../service/index.ts';
import { openStore } from '../../../store/index.ts';
import { defineTools, openNative, type NativeStack } from '../../support/native-stack.ts';
import { refundScript, refundTool } from '../../support/refund.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';
import { liveTemporal, type LiveTemporal } from '../../support/temporal.ts';

const KEY = {
  caller: 'sk-the-caller-0123456789',
  alice: 'sk-alice-0123456789abcdef',
  bob: 'sk-bob-0123456789abcdefgh',
  stranger: 'sk-stranger-0123456789abc',
} as const;
const KEYS = [
  `acme:${KEY.caller}:*:role=caller;name=shop`,
  `acme:${KEY.alice}:refund:role=approver;name=alice`,
  `acme:${KEY.bob}:refund:role=approver;name=bob`,
  `other:${KEY.stranger}:*:role=approver;name=mallory`,
].join(' ');
const HOSTILE = '</script><b>Approve\u202E\u2066me';

let temporal: LiveTemporal;
let database: FreshDatabase;
let store: Store;
let second: Store;
let stack: NativeStack;
let servers: ServedApi[];
const paid: number[] = [];

beforeAll(async () => {
  [temporal, database] = await Promise.all([liveTemporal(), freshDatabase()]);
  // Two server processes share one database: each has connections and notifications of its own.
  store = await openStore({ databaseUrl: database.url });
  second = await openStore({ databaseUrl: database.url });
  stack = await openNative({
    temporal,
    store,
    sandbox: {
      scripts: {
        refund: refundScript(HOSTILE),
      },
    },
    tools: defineTools({
      refund: refundTool(paid),
    }),
  });
  const auth = keyAuth(parseApiKeys(KEYS));
  servers = await Promise.all([
    serveApi(createApi({ engine: stack.engine, auth })),
    serveApi(createApi({ engine: createRunsService({ store: second, client: stack.client }), auth })),
  ]);
}, 120_000);
afterAll(async () => {
  for (const server of servers) await server.close();
  await stack.close();
  await store.close();
  await second.close();
  await database.drop();
  await temporal.close();
});

const urlOf = (index: 0 | 1): string => servers[index]?.url ?? '';
const of = (who: keyof typeof KEY, index: 0 | 1 = 0): ApprovalsClient =>
  new ApprovalsClient({ url: urlOf(index), apiKey: KEY[who], reopenMs: 20 });
const caller = (): OpenAI => new OpenAI({ baseURL: urlOf(0), apiKey: KEY.caller, maxRetries: 0 });

/** Events of one run, as they come; the stream ends with the test. */
const followed = async (who: keyof typeof KEY, index: 0 | 1) => {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const seen: ApprovalEvent[] = [];
  const stream = of(who, index).events({ signal: stop.signal });
  const first = await stream.next();
  expect(first.value).toMatchObject({ event: 'approvals.ready' });
  void (async () => {
    for await (const event of stream) seen.push(event);
  })();
  return (runId: string): string[] =>
    seen.flatMap(({ event, data }) => ('run_id' in data && data.run_id === runId ? [event] : []));
};

const started = async () => {
  const { beta } = caller();
  const assistant = await beta.assistants.create({
    model: 'scripted:refund',
    tools: [
      {
        type: 'function',
        function: { name: 'refund', description: 'Pays.', parameters: { type: 'object' } },
      },
    ],
  });
  return beta.threads.createAndRun({ assistant_id: assistant.id });
};
const waiting = async (runId: string, who: keyof typeof KEY = 'alice') =>
  (await of(who).list({ limit: 100 })).data.filter(({ run_id: id }) => id === runId);
const waitsFor = async (runId: string) => {
  await expect.poll(() => waiting(runId), { timeout: 20_000 }).toHaveLength(1);
  const [found] = await waiting(runId);
  if (found === undefined) throw new Error('no call waits');
  return found;
};
const ended = (run: { id: string; thread_id: string }) =>
  caller().beta.threads.runs.poll(run.id, { thread_id: run.thread_id }, { pollIntervalMs: 50 });

test('a waiting call is found, shown whole, decided by its id, and the run goes on; both servers tell of it', async () => {
  const seen = await followed('alice', 1);
  const elsewhere = await followed('stranger', 1);
  const run = await started();
  const call = await waitsFor(run.id);
  expect(call).toMatchObject({
    tenant: 'acme',
    requested_by: 'shop',
    status: 'waiting',
    on_deadline: 'fail',
  });
  const shown = await caller().beta.threads.runs.retrieve(run.id, { thread_id: run.thread_id });
  expect(shown).toMatchObject({
    status: 'in_progress',
    required_action: null,
    awaiting: [{ call_id: call.call_id, tool: 'refund', kind: 'approval', answer_by: call.answer_by }],
  });
  const details = await of('alice').get(call.id);
  expect(details).toMatchObject({
    description: 'Pays.',
    said: 'I pay it back.',
    arguments_value: { order: HOSTILE, amount: 60 },
    decisions: [],
  });
  expect(details.arguments_shown).not.toMatch(/[\u202E\u2066]/);
  await expect(of('caller').decide(call.id, { decision: 'approve' })).rejects.toMatchObject({ status: 403 });
  await expect(of('stranger').get(call.id)).rejects.toMatchObject({ status: 404 });
  await expect(of('stranger').decide(call.id, { decision: 'deny' })).rejects.toMatchObject({ status: 404 });
  expect(await waiting(run.id, 'stranger')).toEqual([]);

  paid.length = 0;
  await of('alice').decide(call.id, { decision: 'approve', arguments: { order: '42', amount: 20 } });
  expect((await ended(run)).status).toBe('completed');
  expect(paid).toEqual([20]);
  await expect.poll(() => seen(run.id)).toEqual(['approval.waiting', 'approval.decided']);
  expect(elsewhere(run.id)).toEqual([]);
  expect((await of('alice').get(call.id)).decisions).toMatchObject([
    { decision: 'approve', by: 'alice', verified: true, edited_arguments: '{"order":"42","amount":20}' },
  ]);
  const decided = await of('bob').list({ status: 'decided' });
  expect(decided.data[0]).toMatchObject({ id: call.id, decision: { type: 'approve', by: 'alice' } });
});

test('of two people who decide at once one wins, and the other reads who, when and what', async () => {
  const run = await started();
  const call = await waitsFor(run.id);
  const results = await Promise.allSettled([
    of('alice', 0).decide(call.id, { decision: 'approve' }),
    of('bob', 1).decide(call.id, { decision: 'deny', reason: 'too dear' }),
  ]);
  const won = results.filter(({ status }) => status === 'fulfilled');
  const lost = results.flatMap((result): unknown[] => (result.status === 'rejected' ? [result.reason] : []));
  expect([won.length, lost.length]).toEqual([1, 1]);
  const first = results[0].status === 'fulfilled' ? 'approved before by "alice"' : 'denied before by "bob"';
  expect(lost[0]).toBeInstanceOf(ApiError);
  expect(lost[0]).toMatchObject({
    status: 400,
    code: 'conflicting_answer',
    message: expect.stringMatching(new RegExp(`was ${first} \\(API key\\) at 20\\d\\d-`)),
  });
  expect((await ended(run)).status).toBe('completed');
  // The one that lost is kept beside the one that counts.
  const { decisions } = await of('alice').get(call.id);
  expect(new Set(decisions.map(({ refused }) => refused?.code ?? null))).toEqual(
    new Set(['conflicting_answer', null]),
  );
});

test('a stream that breaks goes on at the last event, with what happened meanwhile', async () => {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const stream = of('alice').events({ signal: stop.signal });
  await stream.next();
  const run = await started();
  const ofRun = async (event: string): Promise<void> => {
    for (;;) {
      const { value } = await stream.next();
      if (value === undefined) throw new Error('the stream ended');
      if ('run_id' in value.data && value.data.run_id === run.id && value.event === event) return;
    }
  };
  await ofRun('approval.waiting');
  const port = Number(new URL(urlOf(0)).port);
  await servers[0]?.close();
  const [call] = (await of('alice', 1).list({ thread_id: run.thread_id })).data;
  await of('alice', 1).decide(call?.id ?? '', { decision: 'approve' });
  await expect.poll(async () => (await of('alice', 1).get(call?.id ?? '')).status).toBe('decided');
  servers[0] = await serveApi(createApi({ engine: stack.engine, auth: keyAuth(parseApiKeys(KEYS)) }), {
    port,
  });
  await ofRun('approval.decided');
});
