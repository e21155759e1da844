/** Who may decide, over a real server: the official client that starts a run, a person with a key, an operator. */
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { createApi, keyAuth, parseApiKeys, serveApi, type ServedApi } from '../../../api/index.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { Approval, RunDecision } from '../../../protocol/wire/decisions.ts';
import type { Page } from '../../../protocol/wire/objects.ts';
import { defineTools, openNative, type NativeStack } from '../../support/native-stack.ts';
import { cli } from '../../support/cli.ts';
import { refundScript, refundTool } from '../../support/refund.ts';
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
  `acme:${KEY.alice}:refund|later:role=approver;name=alice`,
  `acme:${KEY.bob}:ship:role=approver;name=bob`,
  `other:${KEY.stranger}:*:role=approver;name=mallory`,
  `ops:${KEY.operator}::role=operator;name=olga`,
].join(' ');

let temporal: LiveTemporal;
let store: Store;
let stack: NativeStack;
let server: ServedApi;
const paid: number[] = [];

beforeAll(async () => {
  [temporal, store] = await Promise.all([liveTemporal(), memoryStore()]);
  stack = await openNative({
    temporal,
    store,
    sandbox: {
      scripts: {
        refund: refundScript('42'),
        later: (turn) =>
          turn.messages.some(({ text }) => text.includes('has come'))
            ? { text: 'Done.' }
            : turn.round === 0
              ? { calls: [{ name: 'later', arguments: {} }] }
              : { text: 'I go on without it.' },
      },
    },
    tools: defineTools({
      refund: refundTool(paid),
      later: {
        description: 'May be allowed when the run has ended',
        parameters: z.object({}),
        approval: true,
        onDeadline: 'follow-up',
        answerWithin: '1s',
        execute: () => 'allowed at last',
      },
    }),
  });
  server = await serveApi(createApi({ engine: stack.engine, auth: keyAuth(parseApiKeys(KEYS)) }));
});
afterAll(async () => {
  await server.close();
  await stack.close();
  await store.close();
  await temporal.close();
});

const client = (who: keyof typeof KEY) =>
  new OpenAI({ baseURL: server.url, apiKey: KEY[who], maxRetries: 0 });
const started = async (name = 'refund') => {
  const openai = client('caller');
  const assistant = await openai.beta.assistants.create({
    model: `scripted:${name}`,
    tools: [{ type: 'function', function: { name } }],
  });
  return openai.beta.threads.createAndRun({ assistant_id: assistant.id });
};
const waiting = async (who: keyof typeof KEY, runId: string): Promise<Approval[]> =>
  (await client(who).get<Page<Approval>>('/approvals')).data.filter(({ run_id }) => run_id === runId);
const waitsFor = async (runId: string): Promise<Approval> => {
  await expect.poll(() => waiting('alice', runId), { timeout: 20_000 }).toHaveLength(1);
  const [approval] = await waiting('alice', runId);
  if (approval === undefined) throw new Error('no call waits');
  return approval;
};
const decide = ({ thread_id: thread, run_id: run, call_id }: Approval, who: keyof typeof KEY, body: object) =>
  client(who).post(`/threads/${thread}/runs/${run}/answers`, { body: { call_id, ...body } });
const decisionsOf = async (who: keyof typeof KEY, { thread_id: thread, run_id: run }: Approval) =>
  (await client(who).get<Page<RunDecision>>(`/threads/${thread}/runs/${run}/decisions`)).data;
const ended = ({ thread_id, run_id }: Approval) =>
  client('caller').beta.threads.runs.poll(run_id, { thread_id }, { pollIntervalMs: 50 });

test('the program that started the run is told that it may not allow its own call, and the call waits on', async () => {
  const call = await waitsFor((await started()).id);
  for (const body of [
    { decision: 'approve' },
    { decision: 'approve', arguments: { order: '42', amount: 1 } },
  ])
    await expect(decide(call, 'caller', body)).rejects.toMatchObject({
      status: 403,
      message: expect.stringContaining(
        'Approving or denying a call needs a key with the role "approver"; this key has "caller".',
      ),
    });
  await expect(client('caller').get('/approvals')).rejects.toMatchObject({ status: 403 });
  expect(await waiting('alice', call.run_id)).toHaveLength(1);
  expect(await decisionsOf('caller', call)).toEqual([]);
  await decide(call, 'alice', { decision: 'deny', reason: 'too dear' });
  expect((await ended(call)).status).toBe('completed');
});

test('an approver with the tool decides under the key’s name, not under the name in the request, and the decision is kept', async () => {
  const call = await waitsFor((await started()).id);
  expect(call).toMatchObject({ tenant: 'acme', tool: 'refund', arguments: '{"order":"42","amount":60}' });
  paid.length = 0;
  await decide(call, 'alice', {
    decision: 'approve',
    arguments: { order: '42', amount: 20 },
    by: 'the boss',
    note: 'as agreed',
  });
  expect((await ended(call)).status).toBe('completed');
  expect(paid).toEqual([20]);
  const kept = {
    decision: 'approve',
    tool: 'refund',
    by: 'alice',
    verified: true,
    door: 'http',
    arguments: '{"order":"42","amount":60}',
    edited: true,
    edited_arguments: '{"order":"42","amount":20}',
    note: 'the boss: as agreed',
  };
  for (const who of ['caller', 'alice', 'operator'] as const)
    expect(await decisionsOf(who, call)).toMatchObject([kept]);
  expect(await waiting('alice', call.run_id)).toEqual([]);
  const steps = await client('operator').beta.threads.runs.steps.list(call.run_id, {
    thread_id: call.thread_id,
  });
  expect(JSON.stringify(steps.data)).toContain('"edited_arguments":"{\\"order\\":\\"42\\",\\"amount\\":20}"');
  // The same in the run's own memory, for those who have Temporal and no store.
  expect(await stack.client.decisions(call.run_id)).toMatchObject([
    { by: 'alice', verified: true, door: 'http' },
  ]);
});

test('a key of the tenant without the tool decides nothing and reads nothing of it; another tenant finds no run', async () => {
  const call = await waitsFor((await started()).id);
  for (const decision of ['approve', 'deny'])
    await expect(decide(call, 'bob', { decision })).rejects.toMatchObject({
      status: 403,
      message: expect.stringContaining('the API key of "bob" may decide calls of "ship"'),
    });
  expect(await waiting('bob', call.run_id)).toEqual([]);
  await expect(decide(call, 'stranger', { decision: 'approve' })).rejects.toMatchObject({ status: 404 });
  await decide(call, 'alice', { decision: 'approve' });
  await ended(call);
  expect(await decisionsOf('bob', call)).toEqual([]);
  await expect(decisionsOf('stranger', call)).rejects.toMatchObject({ status: 404 });
});

test('what comes straight from Temporal is kept as the claim that it is', async () => {
  const call = await waitsFor((await started()).id);
  await stack.client.signalAnswer(call.run_id, { call_id: call.call_id, decision: 'approve', by: 'alice' });
  await ended(call);
  expect(await decisionsOf('operator', call)).toMatchObject([
    { by: 'alice', verified: false, door: 'temporal_signal' },
  ]);
});

test('a person with a key and the URL decides by the command, also when the run has ended; a second word is kept as refused', async () => {
  const run = await started('later');
  const late = async () => (await waiting('alice', run.id)).filter((approval) => approval.late);
  await expect.poll(late, { timeout: 20_000 }).toHaveLength(1);
  const [call] = await late();
  if (call === undefined) throw new Error('no call is late');
  expect((await ended(call)).status).toBe('completed');
  const env = { RUNS_URL: server.url, RUNS_API_KEY: KEY.alice };
  const listed = await cli(['list', '--waiting', '--json'], env);
  expect(listed.json()).toMatchObject({ calls: [{ runId: run.id, callId: call.call_id, tool: 'later' }] });
  const answered = await cli(['answer', run.id, '--approve'], env);
  expect(answered).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringContaining('the answer starts run_') as string,
  });
  await expect(decide(call, 'alice', { decision: 'deny', by: 'the boss' })).rejects.toMatchObject({
    status: 400,
  });
  expect(await late()).toEqual([]);
  await expect.poll(() => decisionsOf('operator', call)).toHaveLength(2);
  expect(await decisionsOf('alice', call)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ decision: 'approve', by: 'alice', late: true, refused: null }),
      expect.objectContaining({
        decision: 'deny',
        by: 'alice',
        verified: true,
        note: 'the boss',
        door: 'http',
        refused: { code: expect.any(String), message: expect.stringContaining(call.call_id) },
      }),
    ]),
  );
});

test('an operator sees what waits in every tenant, and cancels it', async () => {
  const call = await waitsFor((await started()).id);
  expect(await waiting('operator', call.run_id)).toMatchObject([{ tenant: 'acme', call_id: call.call_id }]);
  await expect(decide(call, 'operator', { decision: 'approve' })).rejects.toMatchObject({ status: 403 });
  const openai = client('operator');
  await openai.beta.threads.runs.cancel(call.run_id, { thread_id: call.thread_id });
  expect((await ended(call)).status).toBe('cancelled');
  expect(await waiting('alice', call.run_id)).toEqual([]);
});
