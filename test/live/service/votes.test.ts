/** Several people decide over several channels, on a real server: by HTTP, by Temporal, by timers, while workers die. */
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { createApi, keyAuth, parseApiKeys, serveApi, type ServedApi } from '../../../api/index.ts';
import { ApiError, ApprovalsClient } from '../../../client/http/public.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { ANSWER } from '../../../protocol/temporal/names.ts';
import type { AnswerReply } from '../../../protocol/temporal/messages.ts';
import type { Approval } from '../../../protocol/wire/decisions.ts';
import { openStore } from '../../../store/index.ts';
import { defineTools, openNative, type NativeStack } from '../../support/native-stack.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';
import { liveTemporal, type LiveTemporal } from '../../support/temporal.ts';

const GROUPS: Record<string, string[]> = {
  ann: ['leads'],
  bob: ['leads'],
  eve: ['heads'],
  dan: [],
  rita: ['leads'],
};
const keyOf = (name: string): string => `sk-${name}-0123456789abcdefghij`;
const KEYS = Object.keys(GROUPS)
  .map(
    (name) => `acme:${keyOf(name)}:*:role=${name === 'rita' ? 'caller|approver' : 'approver'};name=${name}`,
  )
  .join(' ');

let temporal: LiveTemporal;
let database: FreshDatabase;
let store: Store;
let stack: NativeStack;
let server: ServedApi;
const paid: number[] = [];

const calls = (name: string) => (turn: { round: number; outputs: readonly { output: string }[] }) =>
  turn.round === 0
    ? { text: 'I pay.', calls: [{ name, arguments: { amount: 60 } }] }
    : { text: turn.outputs.map(({ output }) => output).join(', ') };

beforeAll(async () => {
  [temporal, database] = await Promise.all([liveTemporal(), freshDatabase()]);
  store = await openStore({ databaseUrl: database.url });
  const pays = {
    description: 'Pays',
    parameters: z.object({ amount: z.number() }),
    execute: ({ amount }: { amount: number }) => {
      paid.push(amount);
      return `paid ${amount}`;
    },
  };
  stack = await openNative({
    temporal,
    store,
    sandbox: { scripts: { pay: calls('pay'), strict: calls('strict'), soon: calls('soon') } },
    tools: defineTools({
      pay: { ...pays, needsApproval: { by: ['leads'], quorum: 2, notRequester: true } },
      strict: { ...pays, needsApproval: { by: ['leads'], quorum: 2, veto: true, verified: true } },
      soon: {
        ...pays,
        needsApproval: { by: ['leads'], remindAfter: 300, escalateAfter: 700, escalateTo: ['heads'] },
      },
    }),
    worker: false,
  });
  const keys = keyAuth(parseApiKeys(KEYS));
  const auth = {
    ...keys,
    authenticate: (headers: Headers) => {
      const principal = keys.authenticate(headers);
      return { ...principal, groups: GROUPS[principal.name ?? ''] ?? [] };
    },
  };
  server = await serveApi(createApi({ engine: stack.engine, auth }));
}, 120_000);
afterAll(async () => {
  await server.close();
  await stack.close();
  await store.close();
  await database.drop();
  await temporal.close();
});

const of = (name: string): ApprovalsClient => new ApprovalsClient({ url: server.url, apiKey: keyOf(name) });
const caller = (): OpenAI => new OpenAI({ baseURL: server.url, apiKey: keyOf('rita'), maxRetries: 0 });
const started = async (script: string) => {
  const { beta } = caller();
  const assistant = await beta.assistants.create({
    model: `scripted:${script}`,
    tools: [{ type: 'function', function: { name: script } }],
  });
  const run = await beta.threads.createAndRun({ assistant_id: assistant.id });
  const find = async (): Promise<Approval | undefined> =>
    (await of('ann').list({ limit: 100 })).data.find(({ run_id: id }) => id === run.id);
  await expect.poll(find, { timeout: 30_000 }).toBeDefined();
  const found = await find();
  if (found === undefined) throw new Error('no call waits');
  return { run, call: found };
};
const ended = (run: { id: string; thread_id: string }) =>
  caller().beta.threads.runs.poll(run.id, { thread_id: run.thread_id }, { pollIntervalMs: 50 });
const refusal = async (attempt: Promise<unknown>): Promise<unknown[]> => {
  const error: unknown = await attempt.catch((reason: unknown) => reason);
  return error instanceof ApiError ? [error.status, error.code] : [error];
};
const inTemporal = (runId: string, payload: object): Promise<AnswerReply> =>
  temporal.client.workflow.getHandle(runId).executeUpdate<AnswerReply, [object]>(ANSWER, { args: [payload] });
const shown = (id: string) => of('ann').get(id);

test('two leads agree on an edit, one over HTTP and one in Temporal, with a worker killed between; the asker has no vote', async () => {
  const first = await stack.startWorker();
  const { run, call } = await started('pay');
  expect(call).toMatchObject({
    policy: { quorum: 2, not_requester: true },
    votes_needed: 2,
    requested_by: 'rita',
  });
  expect(await refusal(of('rita').decide(call.id, { decision: 'approve' }))).toEqual([403, 'no_vote']);
  expect(await refusal(of('dan').decide(call.id, { decision: 'approve' }))).toEqual([403, 'no_vote']);

  expect(await of('ann').decide(call.id, { decision: 'deny', reason: 'too dear' })).toMatchObject({
    votes_needed: 2,
  });
  expect(await of('ann').decide(call.id, { decision: 'approve' })).toMatchObject({ votes_needed: 1 });
  // As at first: an update with the first one's id would be answered without being asked.
  expect(await of('ann').decide(call.id, { decision: 'deny', reason: 'too dear' })).toMatchObject({
    votes_needed: 2,
  });
  expect(await of('ann').decide(call.id, { decision: 'approve', arguments: { amount: 20 } })).toMatchObject({
    votes_needed: 1,
  });
  await expect
    .poll(async () => (await shown(call.id)).votes, { timeout: 20_000 })
    .toMatchObject([{ by: 'ann', edited_arguments: '{"amount":20}', verified: true }]);
  const [vote] = (await shown(call.id)).votes;
  await first.stop();

  await stack.startWorker();
  const reply = await inTemporal(run.id, {
    call_id: call.call_id,
    decision: 'approve',
    arguments_digest: vote?.arguments_digest,
    by: 'bob',
  });
  expect(reply).not.toHaveProperty('votes_needed');
  expect((await ended(run)).status).toBe('completed');
  expect(paid.splice(0)).toEqual([20]);
  const after = await shown(call.id);
  expect(after).toMatchObject({
    status: 'decided',
    votes_needed: 0,
    decision: { by: 'bob', verified: false, edited_arguments: '{"amount":20}' },
  });
  expect(
    after.decisions.map(({ decision, by, undecided, refused }) => [decision, by, undecided, refused?.code]),
  ).toEqual([
    ['approve', 'rita', false, 'no_vote'],
    ['approve', 'dan', false, 'no_vote'],
    ['deny', 'ann', true, undefined],
    ['approve', 'ann', true, undefined],
    ['deny', 'ann', true, undefined],
    ['approve', 'ann', true, undefined],
    ['approve', 'bob', false, undefined],
  ]);
}, 240_000);

test('where only verified names count, Temporal is refused; a lead hands over, the other comments, one denial denies', async () => {
  const { run, call } = await started('strict');
  await expect(
    inTemporal(run.id, { call_id: call.call_id, decision: 'approve', by: 'ann' }),
  ).rejects.toMatchObject({ cause: { type: 'RefusedNoVote' } });
  expect(await of('ann').decide(call.id, { decision: 'approve' })).toMatchObject({ votes_needed: 1 });
  expect(
    await of('bob').decide(call.id, { decision: 'delegate', to: { people: ['dan'] }, comment: 'away' }),
  ).toMatchObject({ votes_needed: 1 });
  const commented = await fetch(`${server.url}/approvals/${call.id}/comments`, {
    method: 'POST',
    headers: { authorization: `Bearer ${keyOf('bob')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ text: 'Ask dan.' }),
  });
  expect(commented.status).toBe(200);
  expect(await refusal(of('bob').decide(call.id, { decision: 'approve' }))).toEqual([403, 'no_vote']);
  await expect
    .poll(() => shown(call.id), { timeout: 20_000 })
    .toMatchObject({
      assigned_to: { groups: ['leads'], people: ['dan'] },
      comments: [{ by: 'bob', verified: true, text: 'Ask dan.' }],
    });
  const denied = await of('dan').decide(call.id, { decision: 'deny', reason: 'not today' });
  expect(denied).not.toHaveProperty('votes_needed');
  expect((await ended(run)).status).toBe('completed');
  expect(paid.splice(0)).toEqual([]);
  expect(await shown(call.id)).toMatchObject({
    status: 'decided',
    decision: { type: 'deny', by: 'dan' },
    votes: [{ by: 'ann' }, { by: 'dan', in_place_of: 'bob', reason: 'not today' }],
  });
});

test('a call that nobody decides is reminded of and escalated by timers; then a head decides it', async () => {
  const { run, call } = await started('soon');
  expect(await refusal(of('eve').decide(call.id, { decision: 'approve' }))).toEqual([403, 'no_vote']);
  await expect
    .poll(() => shown(call.id), { timeout: 30_000 })
    .toMatchObject({
      status: 'waiting',
      reminded_at: expect.any(Number) as number,
      escalated_at: expect.any(Number) as number,
      assigned_to: { groups: ['leads', 'heads'] },
    });
  await of('eve').decide(call.id, { decision: 'approve' });
  expect((await ended(run)).status).toBe('completed');
  expect(paid.splice(0)).toEqual([60]);
  const { decisions } = await shown(call.id);
  expect(
    decisions.filter(({ refused }) => refused === null).map(({ decision, by, door }) => [decision, by, door]),
  ).toEqual([
    ['remind', null, 'workflow'],
    ['escalate', null, 'workflow'],
    ['approve', 'eve', 'http'],
  ]);
  const { events } = await temporal.client.workflow.getHandle(run.id).fetchHistory();
  const timers = (events ?? []).filter(({ timerStartedEventAttributes: timer }) => timer != null);
  expect(timers.length).toBeGreaterThanOrEqual(2);
});
