/** Waiting approvals when processes are killed: the list is exact, and each call runs as it was decided. */
import { ApiError } from '../../../protocol/errors.ts';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type OpenAI from 'openai';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { ApprovalsClient } from '../../../client/http/public.ts';
import { calls, says } from '../../support/chat-server.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { nativeProcesses, type NativeProcesses } from '../../support/native-processes.ts';
import type { WorkerProcess } from '../../support/worker-process.ts';

guardAgainstLeaks();

const TOOLS = fileURLToPath(new URL('../../support/gated-tools.ts', import.meta.url));
const TOOL = { type: 'function' as const, function: { name: 'pay', parameters: { type: 'object' } } };

let native: NativeProcesses;

beforeAll(async () => {
  native = await nativeProcesses({
    temporal: inject('temporalAddress'),
    name: 'kills',
    env: (dir) => ({ RUNS_TOOLS: TOOLS, PAID_FILE: join(dir, 'paid') }),
  });
});
afterAll(() => native.close());

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
const decide = async (approvals: ApprovalsClient, id: string): Promise<unknown> => {
  for (;;) {
    try {
      return await approvals.decide(id, { decision: 'approve', by: 'alice' });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 503) throw error;
    }
  }
};
const startRun = async (openai: OpenAI) => {
  const assistant = await openai.beta.assistants.create({ model: 'm', tools: [TOOL] });
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
