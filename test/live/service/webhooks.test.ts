/** Webhooks on real sockets: order, retries, rotation, redelivery, and receivers that fail, hang, redirect or hide inside. */
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { parseNetworks } from '../../../activities/webhooks/address-guard.ts';
import { guardedAgent, type Resolve } from '../../../activities/webhooks/connect-guard.ts';
import { textSeal } from '../../../client/seal-text.ts';
import type { Caller } from '../../../protocol/ports/runs-service.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { WebhookDelivery, WebhookWithSecret } from '../../../protocol/wire/webhooks.ts';
import { openStore } from '../../../store/index.ts';
import { cli } from '../../support/cli.ts';
import { defineTools, openNative, type NativeStack } from '../../support/native-stack.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';
import { liveTemporal, uniqueName, workflowBundle, type LiveTemporal } from '../../support/temporal.ts';
import { playWebhooks, WEBHOOK_KINDS } from '../../support/webhook-history-kinds.ts';
import { hang, status, webhookReceiver, type Receiver } from '../../support/webhook-receiver.ts';

const caller: Caller = {
  tenant: 'default',
  requestId: 'req',
  isRetry: false,
  idempotencyKey: null,
  keyName: null,
  roles: ['caller', 'approver', 'operator'],
  groups: [],
  verified: false,
};
const seal = textSeal(`k1:${'5'.repeat(64)}`);
/** Addresses of names, which a test changes. */
const names = new Map<string, string>();
const resolve: Resolve = (hostname, _options, done) =>
  done(null, [{ address: names.get(hostname) ?? '127.0.0.1', family: 4 }]);
const allowed = parseNetworks('127.0.0.1', () => undefined);
const retry = { initialIntervalMs: 150, maximumIntervalMs: 500, giveUpAfterMs: 8_000 };

let temporal: LiveTemporal;
let database: FreshDatabase;
let store: Store;
let stack: NativeStack;
let receiver: Receiver;
beforeAll(async () => {
  [temporal, database] = await Promise.all([liveTemporal(), freshDatabase()]);
  store = await openStore({ databaseUrl: database.url });
  const dispatcher = guardedAgent(allowed, resolve);
  stack = await openNative({
    temporal,
    store,
    sandbox: {
      scripts: {
        refund: (turn) =>
          turn.round === 0
            ? {
                text: 'A TEXT OF THE MODEL',
                calls: [{ name: 'refund', arguments: { note: 'A TEXT OF THE MODEL' } }],
              }
            : { text: 'Done.' },
        plain: () => ({ text: 'Hello.' }),
      },
    },
    tools: defineTools({
      refund: {
        description: 'Pays money back',
        parameters: z.object({ note: z.string() }),
        needsApproval: true,
        execute: () => 'paid',
      },
    }),
    engine: { webhooks: { sealSecret: seal.seal, plain: true } },
    webhooks: {
      deps: {
        openSecret: seal.open,
        publicUrl: 'https://runs.example',
        dispatcher,
        timeoutMs: 700,
      },
      retry,
    },
  });
}, 120_000);
afterAll(async () => {
  await stack.close();
  await store.close();
  await database.drop();
  await temporal.close();
});
beforeEach(async () => {
  receiver = await webhookReceiver();
  onTestFinished(() => receiver.close());
});

const add = async (url = receiver.url): Promise<WebhookWithSecret> => {
  const made = await stack.engine.createWebhook(caller, { url });
  receiver.secrets.push(made.secret);
  onTestFinished(async () => void (await stack.engine.deleteWebhook(caller, made.id)));
  return made;
};
const begin = async (model = 'refund'): Promise<{ runId: string; threadId: string }> => {
  const tools = [{ type: 'function' as const, function: { name: 'refund', parameters: { type: 'object' } } }];
  const assistant = await stack.openai.beta.assistants.create({ model, tools });
  const run = await stack.openai.beta.threads.createAndRun({ assistant_id: assistant.id });
  return { runId: run.id, threadId: run.thread_id };
};
const approve = async (runId: string): Promise<void> => {
  await expect.poll(() => waiting(runId), { timeout: 20_000 }).toHaveLength(1);
  const [call] = await waiting(runId);
  await stack.engine.decideApproval(caller, call?.id ?? '', { decision: 'approve', by: 'alice' });
};
const waiting = async (runId: string) =>
  (await stack.engine.listApprovals(caller, { limit: 100 })).data.filter((one) => one.run_id === runId);
const deliveries = async (runId: string): Promise<WebhookDelivery[]> =>
  (await stack.engine.listWebhookDeliveries(caller, { limit: 100, runId })).data.toReversed();
const ALL = ['1 run.waiting', '2 approval.decided', '3 run.ended'];
const WAIT = { timeout: 30_000, interval: 50 };

test('a receiver that fails, hangs and redirects gets every event in order, with one id and a signature that its library accepts', async () => {
  receiver.answers.push(
    status(500),
    hang,
    status(307, { location: '/elsewhere' }),
    status(503, { 'retry-after': '1' }),
  );
  const { secret } = await add();
  const { runId } = await begin();
  await approve(runId);
  await expect.poll(() => receiver.accepted(), WAIT).toEqual(ALL);
  expect(receiver.received.map(({ body }) => body.type)).toEqual([
    ...Array.from({ length: 5 }, () => 'run.waiting'),
    'approval.decided',
    'run.ended',
  ]);
  expect(new Set(receiver.received.slice(0, 5).map(({ id }) => id)).size).toBe(1);
  expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(3);
  expect(receiver.received.map(({ verifiedBy }) => verifiedBy)).toEqual(
    receiver.received.map(() => [secret]),
  );
  expect(receiver.received.map(({ path }) => path)).toEqual(receiver.received.map(() => '/'));
  expect(new Set(receiver.received.slice(0, 5).map(({ body }) => JSON.stringify(body))).size).toBe(1);
  expect(JSON.stringify(receiver.received)).not.toContain('A TEXT OF THE MODEL');
  const [call] = receiver.received[0]?.body.data.approvals ?? [];
  expect(call).toMatchObject({ tool: 'refund', url: `https://runs.example/console/approvals/${call?.id}` });

  await expect
    .poll(async () => (await deliveries(runId)).map(({ status: now }) => now), WAIT)
    .toEqual(['delivered', 'delivered', 'delivered']);
  const [first] = await deliveries(runId);
  expect(first?.attempts).toBe(5);
  expect(first?.log.map(({ status: code }) => code)).toEqual([500, null, 307, 503, 204]);
  expect(first?.log.map(({ error }) => error)).toEqual([
    'the receiver answered 500',
    'the receiver did not answer in time',
    'the receiver answered 307: redirects are not followed',
    'the receiver answered 503',
    null,
  ]);
  expect(JSON.stringify(first)).not.toContain('nobody keeps');
}, 90_000);

test('a receiver that is down for a while gets what it missed, and one run does not hold up another', async () => {
  await add();
  await receiver.down();
  const { runId } = await begin();
  await expect.poll(async () => (await deliveries(runId))[0]?.attempts ?? 0, WAIT).toBeGreaterThan(1);
  await approve(runId);
  await receiver.up();
  await expect.poll(() => receiver.accepted(), WAIT).toEqual(ALL);

  receiver.answers.push(...Array.from({ length: 3 }, () => status(500)));
  const held = await begin();
  await expect.poll(async () => (await deliveries(held.runId))[0]?.attempts ?? 0, WAIT).toBeGreaterThan(0);
  const free = await begin('plain');
  await expect
    .poll(async () => (await deliveries(free.runId)).map(({ status: now, event }) => `${event} ${now}`), WAIT)
    .toEqual(['run.ended delivered']);
}, 90_000);

test('attempts end after their time: the event has failed, the next one is sent, and a person can send it again', async () => {
  await add();
  await receiver.down();
  const { runId } = await begin();
  await expect.poll(async () => (await deliveries(runId))[0]?.status, WAIT).toBe('failed');
  await receiver.up();
  await approve(runId);
  await expect.poll(() => receiver.accepted(), WAIT).toEqual(ALL.slice(1));
  const [first] = await deliveries(runId);
  await stack.engine.redeliverWebhook(caller, first?.id ?? '');
  await expect.poll(() => receiver.accepted(), WAIT).toEqual([...ALL.slice(1), '1 run.waiting']);
  expect(receiver.received.at(-1)?.id).toBe(first?.event_id);
  // One that has arrived is sent again, too: the receiver sees the same id.
  await stack.engine.redeliverWebhook(caller, first?.id ?? '');
  await expect.poll(() => receiver.received.filter(({ id }) => id === first?.event_id), WAIT).toHaveLength(2);
}, 90_000);

test('an attempt that waits for its time is made at once when a person asks', async () => {
  // Its time comes in an hour.
  const kind = WEBHOOK_KINDS['webhooks-hurried'];
  if (kind === undefined) throw new Error('no such kind');
  const server = { ...temporal, workflowBundle: workflowBundle() };
  expect(await playWebhooks(server, uniqueName('hurried'), kind)).toEqual([
    'dlv_0 refused',
    'dlv_0 delivered',
  ]);

  await add();
  receiver.answers.push(status(429, { 'retry-after': '5' }));
  const { runId } = await begin('plain');
  await expect.poll(async () => (await deliveries(runId))[0]?.attempts ?? 0, WAIT).toBe(1);
  const [first] = await deliveries(runId);
  await stack.engine.redeliverWebhook(caller, first?.id ?? '');
  await expect.poll(() => receiver.accepted(), WAIT).toEqual(['1 run.ended']);
}, 60_000);

test('during a rotation the old and the new secret verify; afterwards the old one does not', async () => {
  const made = await add();
  const rotated = await stack.engine.rotateWebhook(caller, made.id, { oldExpiresIn: 3_600 });
  receiver.secrets.push(rotated.secret);
  await stack.engine.testWebhook(caller, made.id);
  await expect
    .poll(() => receiver.received.map(({ verifiedBy }) => verifiedBy), WAIT)
    .toEqual([[made.secret, rotated.secret]]);
  const last = await stack.engine.rotateWebhook(caller, made.id, { oldExpiresIn: 0 });
  receiver.secrets.push(last.secret);
  await stack.engine.testWebhook(caller, made.id);
  await expect
    .poll(() => receiver.received.map(({ verifiedBy }) => verifiedBy), WAIT)
    .toEqual([[made.secret, rotated.secret], [last.secret]]);
  expect(receiver.received[1]?.body).toMatchObject({
    type: 'webhook.test',
    data: { run_id: null, sequence: 0 },
  });
  // At rest the secret is encrypted, and no page shows it again.
  const shown = JSON.stringify([
    await stack.engine.listWebhooks(caller, { limit: 10 }),
    await stack.engine.getWebhook(caller, made.id),
  ]);
  for (const secret of receiver.secrets) expect(shown).not.toContain(secret);
}, 60_000);

test('a receiver that answers 410 gets nothing more, until a person enables it again', async () => {
  const made = await add();
  receiver.answers.push(status(410));
  const { runId } = await begin();
  await expect
    .poll(async () => (await stack.engine.getWebhook(caller, made.id)).disabled_reason, WAIT)
    .toBe('gone');
  await approve(runId);
  await expect
    .poll(
      async () =>
        (
          await stack.openai.beta.threads.runs.retrieve(runId, {
            thread_id: (await store.findRun(runId))?.run.thread_id ?? '',
          })
        ).status,
      WAIT,
    )
    .toBe('completed');
  expect(receiver.received).toHaveLength(1);
  expect(await stack.engine.updateWebhook(caller, made.id, { disabled: false })).toMatchObject({
    disabled_at: null,
    disabled_reason: null,
  });
  await stack.engine.testWebhook(caller, made.id);
  await expect.poll(() => receiver.accepted(), WAIT).toEqual(['0 webhook.test']);
}, 60_000);

test('an address inside is never reached: as a literal, by name, and by a name that changes what it says', async () => {
  // Another loopback address than the listed one stands for the inside: a request would arrive.
  names.set('inside.example', '127.0.0.2');
  names.set('rebind.example', '127.0.0.1');
  const hooks = await Promise.all(
    [
      `http://127.0.0.2:${receiver.port}/`,
      `http://169.254.169.254/latest/meta-data/`,
      `http://inside.example:${receiver.port}/`,
    ].map((url) => add(url)),
  );
  const rebind = await add(`http://rebind.example:${receiver.port}/`);
  await stack.engine.testWebhook(caller, rebind.id);
  await expect.poll(() => receiver.received.length, WAIT).toBe(1);
  names.set('rebind.example', '169.254.169.254');
  // The connection of the first request must be gone: a kept one is to an address that was checked.
  await receiver.down();
  await receiver.up();
  for (const { id } of [...hooks, rebind]) await stack.engine.testWebhook(caller, id);
  const failed = async () =>
    (await stack.engine.listWebhookDeliveries(caller, { limit: 100, event: 'webhook.test' })).data
      .filter(
        ({ webhook_id: id, status: now }) =>
          [...hooks, rebind].some((hook) => hook.id === id) && now === 'failed',
      )
      .map(({ log }) => log.map(({ error }) => error?.includes('RUNS_WEBHOOK_NETWORKS does not list it')));
  await expect.poll(failed, WAIT).toHaveLength(4);
  for (const log of await failed()) expect(log).toEqual(log.map(() => true));
  expect(receiver.received).toHaveLength(1);
}, 60_000);

test('the commands add a webhook, test it, list what was delivered, send it again, rotate the secret and remove it', async () => {
  const runs = async (...args: string[]) => {
    const answer = await cli(['webhooks', ...args], { RUNS_URL: stack.openai.baseURL });
    expect([answer.code, answer.stderr]).toEqual([0, '']);
    return answer.stdout.trim().split('\n');
  };
  const [id = '', secret = ''] = await runs('add', receiver.url, '--events', 'run.ended');
  receiver.secrets.push(secret);
  expect((await runs('list')).join(' ')).toContain(`${receiver.url} `);

  expect((await runs('test', id)).join(' ')).toContain('webhook.test');
  await expect.poll(() => receiver.received.map(({ body }) => body.type), WAIT).toEqual(['webhook.test']);
  const listed = async () => (await runs('deliveries', '--webhook', id)).slice(1);
  await expect.poll(listed, WAIT).toEqual([expect.stringContaining(' delivered ')]);
  const [delivery = ''] = (await listed())[0]?.split(' ') ?? [];

  await runs('redeliver', delivery);
  await expect.poll(() => receiver.received.length, WAIT).toBe(2);
  expect(new Set(receiver.received.map((one) => one.id)).size).toBe(1);

  const [, rotated = ''] = await runs('rotate', id, '--old-for', '0');
  expect(rotated).not.toBe(secret);
  expect(await runs('remove', id)).toEqual([`Webhook ${id} is deleted.`]);
  expect((await runs('list')).join(' ')).not.toContain(id);
  const unknown = await cli(['webhooks', 'add', receiver.url, '--events', 'run.begun'], {
    RUNS_URL: stack.openai.baseURL,
  });
  expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('"run.begun"')]);
}, 90_000);
