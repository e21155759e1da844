/** Waiting approvals when processes are killed: the list is exact, and each call runs as it was decided. */
import { ApiError } from '../../../protocol/errors.ts';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { ApprovalsClient, type ApprovalDecision } from '../../../client/http/public.ts';
import { ANSWER } from '../../../protocol/temporal/names.ts';
import { calls, says } from '../../support/chat-server.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { nativeProcesses, type NativeProcesses } from '../../support/native-processes.ts';
import { liveTemporal, type LiveTemporal } from '../../support/temporal.ts';
import type { WorkerProcess } from '../../support/worker-process.ts';

guardAgainstLeaks();

const TOOLS = fileURLToPath(new URL('../../support/gated-tools.ts', import.meta.url));
const declared = (name: string) => ({
  type: 'function' as const,
  function: { name, parameters: { type: 'object' } },
});

let native: NativeProcesses;
let temporal: LiveTemporal;

beforeAll(async () => {
  temporal = await liveTemporal();
});
afterAll(() => temporal.close());
// A process that lives on would do the work of the one that the next test kills.
beforeEach(async () => {
  native = await nativeProcesses({
    temporal: inject('temporalAddress'),
    name: 'kills',
    env: (dir) => ({ RUNS_TOOLS: TOOLS, PAID_FILE: join(dir, 'paid') }),
  });
});
afterEach(() => native.close());

const start = async (command: string): Promise<WorkerProcess> => {
  const made = native.start(command);
  await made.ready;
  return made;
};
const kill = async (...victims: WorkerProcess[]): Promise<void> => {
  for (const one of victims) one.signal('SIGKILL');
  await Promise.all(victims.map(({ exited }) => exited));
};
const serve = async () => {
  const server = await native.serve();
  return { ...server, approvals: new ApprovalsClient({ url: server.url }) };
};
/** For ten seconds Temporal offers the run to the worker that died; the API then answers 503, safe to repeat. */
const decide = async (
  approvals: ApprovalsClient,
  id: string,
  decision: ApprovalDecision = { decision: 'approve', by: 'alice' },
): Promise<unknown> => {
  for (;;) {
    try {
      return await approvals.decide(id, decision);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 503) throw error;
    }
  }
};
const startRun = async (openai: OpenAI, tool = 'pay') => {
  const assistant = await openai.beta.assistants.create({ model: 'm', tools: [declared(tool)] });
  return openai.beta.threads.createAndRun({
    assistant_id: assistant.id,
    thread: { messages: [{ role: 'user', content: 'Pay.' }] },
  });
};

test('server and worker are killed while a call waits and right after its decision: it is listed, decided and paid once', async () => {
  let server = await serve();
  let worker = await start('worker');
  native.model.script.push(calls([{ name: 'pay', arguments: '{"amount":7}' }]), says(['Paid.']));
  const run = await startRun(server.openai);
  const waiting = async () =>
    (await server.approvals.list()).data.map(({ run_id: id, status }) => `${id} ${status}`);
  await expect.poll(waiting, { timeout: 30_000 }).toEqual([`${run.id} waiting`]);

  await kill(server.process, worker);
  server = await serve();
  expect(await waiting()).toEqual([`${run.id} waiting`]);
  worker = await start('worker');
  const [call] = (await server.approvals.list()).data;
  if (call === undefined) throw new Error('no call waits');
  expect(await decide(server.approvals, call.id)).toMatchObject({
    result: 'accepted',
  });
  await kill(server.process, worker);

  server = await serve();
  await start('worker');
  // The decision had been accepted, so the same one again changes nothing.
  expect(await decide(server.approvals, call.id)).toMatchObject({
    run_id: run.id,
  });
  const ended = await server.openai.beta.threads.runs.poll(
    run.id,
    { thread_id: run.thread_id },
    { pollIntervalMs: 100 },
  );
  expect(ended.status).toBe('completed');
  expect(await waiting()).toEqual([]);
  expect(await server.approvals.get(call.id)).toMatchObject({
    status: 'decided',
    decisions: [{ decision: 'approve', by: 'alice', verified: false }],
  });
  // A tool whose worker died in it may run again, under the same key.
  const paid = new Set((await readFile(join(native.dir, 'paid'), 'utf8')).trim().split('\n'));
  expect([...paid]).toEqual([`${run.id}:${call.call_id} 7`]);
}, 180_000);

/** A run whose call waits for two votes, and its approval. */
const startVotes = async ({ openai, approvals }: Awaited<ReturnType<typeof serve>>, amount: number) => {
  const name = 'pay_together';
  native.model.script.push(calls([{ name, arguments: JSON.stringify({ amount }) }]), says(['Paid.']));
  const run = await startRun(openai, name);
  const mine = async () => (await approvals.list()).data.filter(({ run_id: id }) => id === run.id);
  await expect.poll(mine, { timeout: 30_000 }).toHaveLength(1);
  const [call] = await mine();
  if (call === undefined) throw new Error('no call waits');
  return { run, call };
};
const endOf = (openai: OpenAI, { id, thread_id }: { id: string; thread_id: string }) =>
  openai.beta.threads.runs.poll(id, { thread_id }, { pollIntervalMs: 100 });
/** Different payments of one call: a tool whose worker died in it may run again, under the same key. */
const paidFor = async (runId: string): Promise<string[]> => {
  const lines = (await readFile(join(native.dir, 'paid'), 'utf8')).trim().split('\n');
  return [...new Set(lines)].filter((line) => line.startsWith(runId));
};

test('server and worker are killed after each of two votes: both count, both are in the record, and it is paid once', async () => {
  let server = await serve();
  let worker = await start('worker');
  const { run, call } = await startVotes(server, 8);
  expect(
    await decide(server.approvals, call.id, { decision: 'approve', arguments: { amount: 5 }, by: 'ann' }),
  ).toMatchObject({ votes_needed: 1 });
  await kill(server.process, worker);

  server = await serve();
  worker = await start('worker');
  const shown = () => server.approvals.get(call.id);
  await expect.poll(async () => (await shown()).votes, { timeout: 60_000 }).toMatchObject([{ by: 'ann' }]);
  expect(await shown()).toMatchObject({ status: 'waiting', votes_needed: 1 });
  const [vote] = (await shown()).votes;
  const reply = await decide(server.approvals, call.id, {
    decision: 'approve',
    arguments_digest: vote?.arguments_digest ?? '',
    by: 'bob',
  });
  expect(reply).not.toHaveProperty('votes_needed');
  await kill(server.process, worker);

  server = await serve();
  await start('worker');
  expect((await endOf(server.openai, run)).status).toBe('completed');
  expect(await shown()).toMatchObject({
    status: 'decided',
    votes: [{ by: 'ann' }, { by: 'bob' }],
    decisions: [
      { by: 'ann', undecided: true },
      { by: 'bob', undecided: false, edited_arguments: '{"amount":5}' },
    ],
  });
  expect(await paidFor(run.id)).toEqual([`${run.id}:${call.call_id} 5`]);
}, 240_000);

test('votes that arrive while no worker lives are counted in their order by the next one, which runs the call once', async () => {
  const server = await serve();
  const worker = await start('worker');
  const { run, call } = await startVotes(server, 9);
  expect(await decide(server.approvals, call.id, { decision: 'approve', by: 'ann' })).toMatchObject({
    votes_needed: 1,
  });
  await kill(worker);

  const handle = temporal.client.workflow.getHandle(run.id);
  const said = { call_id: call.call_id };
  await handle.signal(ANSWER, { ...said, decision: 'deny', by: 'bob', reason: 'not yet' });
  await handle.signal(ANSWER, { ...said, decision: 'approve', by: 'bob' });
  await handle.signal(ANSWER, { ...said, decision: 'deny', by: 'cleo' });
  await start('worker');
  expect((await endOf(server.openai, run)).status).toBe('completed');
  const { votes, decisions } = await server.approvals.get(call.id);
  expect(votes).toMatchObject([
    { by: 'ann', decision: 'approve' },
    { by: 'bob', decision: 'approve' },
  ]);
  expect(decisions.map(({ by, decision, door, undecided }) => [by, decision, door, undecided])).toEqual([
    ['ann', 'approve', 'http', true],
    ['bob', 'deny', 'temporal_signal', true],
    ['bob', 'approve', 'temporal_signal', false],
  ]);
  expect(await paidFor(run.id)).toEqual([`${run.id}:${call.call_id} 9`]);
}, 240_000);
