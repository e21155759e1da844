/** Operators manage webhooks in the console: the secret is shown once, what failed is seen and sent again. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parseNetworks } from '../../../activities/webhooks/address-guard.ts';
import { guardedAgent } from '../../../activities/webhooks/connect-guard.ts';
import { createApi, keyAuth, parseApiKeys, serveApi, type ServedApi } from '../../../api/index.ts';
import { textSeal } from '../../../client/seal-text.ts';
import type { Caller } from '../../../protocol/ports/runs-service.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { WEBHOOK_EVENTS } from '../../../protocol/wire/webhooks.ts';
import { openStore } from '../../../store/index.ts';
import {
  axeViolations,
  builtConsole,
  openWindow,
  serveConsole,
  type BuiltConsole,
  type ConsoleServer,
} from '../../support/console.ts';
import { openNative, type NativeStack } from '../../support/native-stack.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';
import { liveTemporal, type LiveTemporal } from '../../support/temporal.ts';
import { launchBrowser } from '../../support/web-ui.ts';
import { status, webhookReceiver, type Receiver } from '../../support/webhook-receiver.ts';

vi.setConfig({ testTimeout: 120_000 });

const OLGA = 'sk-olga-0123456789abcdef';
const CALLER: Caller = {
  tenant: 'acme',
  requestId: 'req',
  isRetry: false,
  idempotencyKey: null,
  keyName: null,
  groups: [],
  verified: false,
};
const WAIT = { timeout: 30_000, interval: 100 };

let temporal: LiveTemporal;
let database: FreshDatabase;
let store: Store;
let stack: NativeStack;
let server: ServedApi;
let receiver: Receiver;
let built: BuiltConsole;
let site: ConsoleServer;
let browser: Browser;
beforeAll(async () => {
  [temporal, database, receiver, browser, built] = await Promise.all([
    liveTemporal(),
    freshDatabase(),
    webhookReceiver(),
    launchBrowser(),
    builtConsole(),
  ]);
  store = await openStore({ databaseUrl: database.url });
  const seal = textSeal(null);
  stack = await openNative({
    temporal,
    store,
    engine: { webhooks: { plain: true } },
    webhooks: {
      deps: {
        openSecret: seal.open,
        publicUrl: null,
        dispatcher: guardedAgent(parseNetworks('127.0.0.1', () => undefined)),
      },
      // The receiver is asked once, and then only when a person says so.
      retry: { initialIntervalMs: 3_600_000, maximumIntervalMs: 3_600_000, giveUpAfterMs: 86_400_000 },
    },
  });
  const auth = keyAuth(parseApiKeys(`acme:${OLGA}::role=operator;name=olga`));
  server = await serveApi(createApi({ engine: stack.engine, auth }));
  site = await serveConsole(built.dir, { api: new URL(server.url).origin, key: OLGA });
}, 120_000);
afterAll(async () => {
  await browser.close();
  await site.close();
  await server.close();
  await stack.close();
  await store.close();
  await Promise.all([database.drop(), temporal.close(), receiver.close(), built.remove()]);
});

const windowAt = async (width: number, scheme: 'light' | 'dark'): Promise<[Page, () => Promise<void>]> => {
  const { page, context, problems } = await openWindow(browser, `${site.url}/webhooks`, {
    viewport: { width, height: 800 },
    colorScheme: scheme,
  });
  const close = async (): Promise<void> => {
    await context.close();
    expect(problems).toEqual([]);
  };
  return [page, close];
};

const chosen = WEBHOOK_EVENTS.filter((name) => name !== 'approval.expired').join(', ');

test('a webhook is added, its secret shown once, a failed event sent again, the secret changed, and all deleted', async () => {
  const [page, close] = await windowAt(1_440, 'light');
  await page.getByText('No webhooks').waitFor();
  expect(await axeViolations(page)).toEqual([]);
  await page.getByRole('button', { name: 'Add a webhook' }).click();
  await page.getByLabel('URL', { exact: true }).fill('http://user:pw@127.0.0.1/');
  const form = page.getByRole('form', { name: 'Add a webhook' });
  await form.getByRole('button', { name: 'Add' }).click();
  await page.getByText('no user and no password').waitFor();
  expect(await axeViolations(page)).toEqual([]);
  await page.getByLabel('URL', { exact: true }).fill(receiver.url);
  await page.getByLabel('Description').fill('<b>bold\u202E</b>');
  await page.getByLabel('approval.expired').uncheck();
  await form.getByRole('button', { name: 'Add' }).click();
  const secret = await page.locator('.webhook-secret').innerText();
  expect(secret).toMatch(/^whsec_/);
  receiver.secrets.push(secret);
  await page.getByRole('button', { name: 'I have stored it' }).click();
  expect(await page.content()).not.toContain(secret);
  await page.getByText(chosen).waitFor();

  receiver.answers.push(status(500));
  await page.getByRole('button', { name: 'Test:' }).click();
  await page.getByText('A test event is on its way').waitFor();
  await expect.poll(() => receiver.received.length, WAIT).toBe(1);
  await page.getByRole('link', { name: 'log of deliveries' }).click();
  await page.getByText('webhook.test').click();
  await page.getByText('the receiver answered 500').waitFor();
  expect(await axeViolations(page)).toEqual([]);
  await page.getByRole('button', { name: 'Send now' }).click();
  await page.locator('.status-ok').waitFor({ timeout: 30_000 });
  expect(receiver.received.map(({ verifiedBy }) => verifiedBy)).toEqual([[secret], [secret]]);
  expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1);

  await page.goBack();
  await page.getByRole('button', { name: 'New secret:' }).click();
  const second = await page.locator('.webhook-secret').innerText();
  expect(second).not.toBe(secret);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Turn off:' }).click();
  await page.getByRole('button', { name: 'Turn on:' }).waitFor();
  await page.getByRole('button', { name: 'Delete:' }).click();
  await page.getByRole('button', { name: 'Delete the webhook' }).click();
  await page.getByText('No webhooks').waitFor();
  await expect
    .poll(async () => (await store.listWebhooks({ tenant: 'acme', limit: 1 })).data, WAIT)
    .toEqual([]);
  await close();
});

test('the page fits 360 pixels and the dark, without a violation', async () => {
  const made = await stack.engine.createWebhook(CALLER, {
    url: `${receiver.url}${'long/'.repeat(60)}`,
    description: 'A long one',
  });
  const [page, close] = await windowAt(360, 'dark');
  await page.getByText('A long one').waitFor();
  expect(await axeViolations(page)).toEqual([]);
  expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
  await close();
  await store.deleteWebhook('acme', made.id);
});
