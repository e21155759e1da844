/** Webhooks when server and worker are killed: what happened is told, in order, and nothing that did not happen. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { ApprovalsClient } from '../../../client/http/public.ts';
import type { WebhookWithSecret } from '../../../protocol/wire/webhooks.ts';
import { deferred } from '../../support/deferred.ts';
import { calls, says } from '../../support/chat-server.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { nativeProcesses, type NativeProcesses } from '../../support/native-processes.ts';
import { webhookReceiver, type Answer, type Receiver } from '../../support/webhook-receiver.ts';
import type { WorkerProcess } from '../../support/worker-process.ts';

guardAgainstLeaks();

const TOOLS = fileURLToPath(new URL('../../support/gated-tools.ts', import.meta.url));
const TOOL = { type: 'function' as const, function: { name: 'pay', parameters: { type: 'object' } } };

let native: NativeProcesses;
let receiver: Receiver;
beforeAll(async () => {
  [native, receiver] = await Promise.all([
    nativeProcesses({
      temporal: inject('temporalAddress'),
      name: 'webhook-kills',
      env: (dir) => ({
        RUNS_TOOLS: TOOLS,
        RUNS_WEBHOOK_NETWORKS: '127.0.0.0/8',
        RUNS_ENCRYPTION_KEYS: `k1:${'7'.repeat(64)}`,
        PAID_FILE: join(dir, 'paid'),
      }),
    }),
    webhookReceiver(),
  ]);
});
afterAll(async () => {
  await native.close();
  await receiver.close();
});

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

test('server and worker are killed while an event is on its way: every event arrives in order, each under one id', async () => {
  let server = await serve();
  let worker = await start('worker');
  const made = await fetch(`${server.url}/webhooks`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ url: receiver.url }),
  });
  const { secret } = (await made.json()) as WebhookWithSecret;
  receiver.secrets.push(secret);
  const sql = new Client({ connectionString: native.database.url });
  await sql.connect();
  const stored = await sql.query<{ secrets: { sealed: string }[] }>('select secrets from webhooks');
  await sql.end();
  expect(stored.rows.map(({ secrets }) => secrets.map(({ sealed }) => sealed.split(':')[0]))).toEqual([
    ['sealed.v1.k1'],
  ]);

  // The first attempt has arrived, and its worker dies before it hears the answer; so does the server.
  const arrived = deferred();
  const holds: Answer = () => arrived.resolve();
  receiver.answers.push(holds);
  native.model.script.push(calls([{ name: 'pay', arguments: '{"amount":7}' }]), says(['Paid.']));
  const assistant = await server.openai.beta.assistants.create({ model: 'm', tools: [TOOL] });
  const run = await server.openai.beta.threads.createAndRun({ assistant_id: assistant.id });
  await arrived.promise;
  await kill(server.process, worker);

  // The decision is taken by a server that dies at once; no dispatcher may have seen its event.
  server = await serve();
  worker = await start('worker');
  const decide = async (): Promise<void> => {
    const [call] = (await server.approvals.list()).data;
    if (call !== undefined) await server.approvals.decide(call.id, { decision: 'approve', by: 'alice' });
  };
  await expect
    .poll(
      () =>
        decide().then(
          () => true,
          () => false,
        ),
      { timeout: 60_000 },
    )
    .toBe(true);
  await kill(server.process, worker);

  server = await serve();
  await start('worker');
  const expected = ['1 run.waiting', '2 approval.decided', '3 run.ended'];
  const firsts = () => {
    const seen = new Set<string>();
    return receiver.received
      .filter(({ id }) => !seen.has(id) && seen.add(id))
      .map(({ body }) => `${body.data.sequence} ${body.type}`);
  };
  await expect
    .poll(() => [firsts(), receiver.accepted().at(-1)], { timeout: 120_000 })
    .toEqual([expected, '3 run.ended']);
  // At least once: more attempts, and no other event.
  expect([...new Set(receiver.accepted())]).toEqual(expected);
  expect(receiver.received.every(({ verifiedBy }) => verifiedBy.includes(secret))).toBe(true);
  expect(receiver.received.every(({ body }) => body.data.run_id === run.id)).toBe(true);
  const ended = await server.openai.beta.threads.runs.retrieve(run.id, { thread_id: run.thread_id });
  expect(ended.status).toBe('completed');
}, 240_000);
