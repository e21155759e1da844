/** The pages of runs in a real browser: list, run, overview and playground, on a real server. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page as Window } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { createApi, keyAuth, parseApiKeys, serveApi, type ServedApi } from '../../../api/index.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { Approval } from '../../../protocol/wire/decisions.ts';
import type { Assistant, Page, Run } from '../../../protocol/wire/objects.ts';
import {
  axeViolations,
  builtConsole,
  openWindow,
  serveConsole,
  type BuiltConsole,
  type ConsoleServer,
} from '../../support/console.ts';
import { defineTools, openNative, type NativeStack } from '../../support/native-stack.ts';
import { ROOT } from '../../support/sources.ts';
import { memoryStore } from '../../support/store.ts';
import { liveTemporal, type LiveTemporal } from '../../support/temporal.ts';
import { launchBrowser } from '../../support/web-ui.ts';

const KEY = 'sk-olga-0123456789abcdefgh';
const HOSTILE = '<img src=x onerror="document.title=`owned`"><b>bold</b> \u202Egnp.exe\u202C';

let temporal: LiveTemporal;
let store: Store;
let stack: NativeStack;
let api: ServedApi;
let browser: Browser;
let built: BuiltConsole;
let served: ConsoleServer;
let failures = 0;

beforeAll(async () => {
  [temporal, store, browser, built] = await Promise.all([
    liveTemporal(),
    memoryStore(),
    launchBrowser(),
    builtConsole(),
  ]);
  stack = await openNative({
    temporal,
    store,
    sandbox: {
      scripts: {
        refund: (turn) =>
          turn.round === 0
            ? {
                text: 'Let me look at the order.',
                calls: [{ name: 'look_up', arguments: { order: 'A-1042' } }],
              }
            : turn.round === 1
              ? {
                  text: 'The order was paid twice, so I pay the second amount back.',
                  calls: [{ name: 'refund', arguments: { order: 'A-1042', amount: 60 } }],
                }
              : { text: 'Done: 60 euros are on their way back to you.' },
        hostile: (turn) =>
          turn.round === 0
            ? { text: HOSTILE, calls: [{ name: 'ship', arguments: { note: HOSTILE } }] }
            : { text: `I got ${turn.outputs.map(({ output }) => output).join(', ')}` },
        short: () => ({ text: 'Hello! What can I do for you?' }),
      },
    },
    tools: defineTools({
      look_up: {
        description: 'Finds an order',
        parameters: z.object({ order: z.string() }),
        retry: { initialInterval: 10 },
        execute: () => {
          failures += 1;
          if (failures % 2 === 1) throw new Error('connect ECONNREFUSED orders:5432');
          return 'order A-1042: paid twice, 60 euros each';
        },
      },
      refund: {
        description: 'Pays money back',
        parameters: z.object({ order: z.string(), amount: z.number() }),
        needsApproval: true,
        execute: ({ amount }) => `paid ${amount} euros back`,
      },
    }),
  });
  const keys = parseApiKeys(`acme:${KEY}:*:role=caller|approver|operator;name=olga`);
  api = await serveApi(createApi({ engine: stack.engine, auth: keyAuth(keys) }));
  served = await serveConsole(built.dir, { api: new URL(api.url).origin, key: KEY });
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await served?.close();
  await api?.close();
  await stack?.close();
  await store?.close();
  await built?.remove();
  await temporal?.close();
});

const send = async (path: string, body?: unknown): Promise<unknown> => {
  const response = await fetch(`${api.url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
};

const assistantOf = async (script: string, name: string, tools: string[]): Promise<Assistant> =>
  (await send('/assistants', {
    model: `scripted:${script}`,
    name,
    tools: tools.map((tool) => ({
      type: 'function',
      function: { name: tool, parameters: { type: 'object', properties: {} } },
    })),
  })) as Assistant;

const started = async (
  script: string,
  tools: string[],
  text = 'I paid order A-1042 twice.',
): Promise<Run> => {
  const { id } = await assistantOf(script, `Desk ${script}`, tools);
  return (await send('/threads/runs', {
    assistant_id: id,
    thread: { messages: [{ role: 'user', content: text }] },
  })) as Run;
};

const waiting = async ({ id }: Run): Promise<Approval> => {
  for (;;) {
    const { data } = (await send('/approvals?limit=100')) as Page<Approval>;
    const found = data.find(({ run_id: of }) => of === id);
    if (found !== undefined) return found;
  }
};

const windowAt = async (path: string, options?: BrowserContextOptions): Promise<Window> => {
  const { page, context, problems } = await openWindow(browser, `${served.url}${path}`, options);
  onTestFinished(async () => {
    await context.close();
    expect(problems).toEqual([]);
  });
  return page;
};

/** Written only when asked for: pictures of two machines differ. */
const picture = async (page: Window, name: string): Promise<void> => {
  const dir = process.env['SCREENSHOTS'];
  if (dir === undefined) return;
  await page.screenshot({
    path: join(dir.startsWith('/') ? dir : join(ROOT, 'docs', 'images'), `${name}.png`),
  });
};

test('a run is watched from its first turn to its end, and decided meanwhile', async () => {
  const run = await started('refund', ['look_up', 'refund']);
  const approval = await waiting(run);
  const page = await windowAt(`/runs/${run.id}`);
  const entries = page.getByRole('region', { name: 'Timeline' }).getByRole('listitem');
  await entries.filter({ hasText: 'Waits for a person' }).waitFor();
  await page.getByText('waits for a person').first().waitFor();
  const tool = entries.filter({ hasText: 'look_up' }).first();
  await tool.getByText('2 attempts').waitFor();
  await tool.locator('summary').click();
  await tool.getByText('connect ECONNREFUSED orders:5432').waitFor();
  await picture(page, 'console-run');
  await send(`/approvals/${approval.id}`, {
    decision: 'approve',
    arguments_digest: approval.arguments_digest,
  });
  await page.locator('.run-title').getByText('completed').waitFor();
  await entries.filter({ hasText: 'Approved' }).waitFor();
  await page.getByRole('list', { name: 'Conversation' }).getByText('60 euros are on their way').waitFor();
  await page.getByRole('checkbox', { name: /Timers and messages/ }).check();
  await entries.filter({ hasText: 'deadline' }).waitFor();
  expect(await axeViolations(page)).toEqual([]);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Export' }).click(),
  ]);
  const exported = JSON.parse(await readFile(await download.path(), 'utf8')) as { run: Run };
  expect(exported.run.status).toBe('completed');
  await page.getByRole('button', { name: 'Replay locally' }).click();
  await page.getByText(`npx runs replay ${run.id}.json`).waitFor();
  const [history] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download the history' }).click(),
  ]);
  const { events } = JSON.parse(await readFile(await history.path(), 'utf8')) as { events: unknown[] };
  expect(events.length).toBeGreaterThan(10);
}, 120_000);

test('hostile text of a model is text, in every place', async () => {
  const run = await started('hostile', ['ship'], HOSTILE);
  const page = await windowAt(`/runs/${run.id}`);
  await page.getByText('Waits for the caller').waitFor();
  for (const summary of await page.locator('summary').all()) await summary.click();
  expect(await page.locator('main img, main b').count()).toBe(0);
  expect(await page.title()).not.toContain('owned');
  expect(await page.locator('.escape', { hasText: '\\u202e' }).count()).toBeGreaterThan(2);
  expect(await axeViolations(page)).toEqual([]);
}, 120_000);

test('a run is cancelled with the keyboard, after a question', async () => {
  const run = await started('hostile', ['ship']);
  const page = await windowAt(`/runs/${run.id}`);
  await page.getByText('Waits for the caller').waitFor();
  await page.keyboard.press('x');
  await page.getByRole('dialog', { name: 'Cancel this run?' }).waitFor();
  await page.keyboard.press('Escape');
  expect(await page.getByRole('dialog').count()).toBe(0);
  await page.keyboard.press('x');
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel the run' }).focus();
  await page.keyboard.press('Enter');
  await page.locator('.run-title').getByText('cancelled').waitFor();
}, 120_000);

test('the list keeps its filters in the address, shows new runs by itself, and opens with keys', async () => {
  const run = await started('hostile', ['ship']);
  const page = await windowAt('/runs');
  const rows = page.locator('.run-row');
  await rows.filter({ hasText: run.id }).waitFor();
  await page.getByLabel('Tool').fill('ship');
  await page.getByLabel('Tool').press('Enter');
  await page.waitForURL(/tool=ship/);
  await page.getByLabel('Status').selectOption('requires_action');
  await page.waitForURL(/status=requires_action/);
  await rows.filter({ hasText: run.id }).waitFor();
  await page.reload();
  await rows.filter({ hasText: run.id }).waitFor();
  const later = await started('hostile', ['ship']);
  await rows.filter({ hasText: later.id }).waitFor();
  await page
    .locator('h1')
    .click({ force: true })
    .catch(() => undefined);
  await page.keyboard.press('Escape');
  await page.keyboard.press('j');
  await page.locator('.run-row-active', { hasText: later.id }).waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL(new RegExp(`/console/runs/${later.id}`));
  await page.goBack();
  await page.waitForURL(/status=requires_action/);
  expect(await axeViolations(page)).toEqual([]);
}, 120_000);

test('the overview tells what waits and what ended', async () => {
  const run = await started('hostile', ['ship']);
  const page = await windowAt('/overview');
  await page.getByRole('img', { name: /Runs that ended over time/ }).waitFor();
  await page.getByRole('region', { name: 'Runs that wait the longest' }).getByRole('link').first().waitFor();
  await page.getByRole('link', { name: /requires action/ }).waitFor();
  await page.getByLabel('Time', { exact: true }).selectOption('1');
  await page.waitForURL(/hours=1/);
  await picture(page, 'console-overview');
  expect(await axeViolations(page)).toEqual([]);
  expect(run.id).toMatch(/^run_/);
}, 120_000);

test('the playground runs an assistant: message, output, approval', async () => {
  const { id } = await assistantOf('hostile', 'Playful', ['ship']);
  const page = await windowAt(`/playground?assistant=${id}`);
  await page.getByRole('textbox', { name: /^Message/ }).fill('Ship it');
  await page.getByRole('textbox', { name: /^Message/ }).press('Enter');
  await page.getByLabel(/Output of/).fill('shipped on Monday');
  await page.getByRole('button', { name: 'Send the output' }).click();
  await page.getByText('I got shipped on Monday').waitFor();
  await page.locator('.play-head').getByText('completed').waitFor();
  const gated = await assistantOf('refund', 'Refunds', ['look_up', 'refund']);
  await page.getByRole('button', { name: 'New thread' }).click();
  await page.goto(`${served.url}/playground?assistant=${gated.id}`);
  await page.getByRole('textbox', { name: /^Message/ }).fill('I paid twice');
  await page.getByRole('textbox', { name: /^Message/ }).press('Enter');
  await page.getByRole('button', { name: 'Show the arguments' }).click();
  await page.getByText('"amount": 60').first().waitFor();
  await picture(page, 'console-playground');
  expect(await axeViolations(page)).toEqual([]);
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.getByText('60 euros are on their way').waitFor();
}, 120_000);

test.each(['/runs', '/overview', '/playground', '/deliveries', '/runs/RUN'])(
  '%s fits in 360 px, in the dark, with a screen reader',
  async (path) => {
    const run = await started('hostile', ['ship'], HOSTILE);
    const page = await windowAt(path.replace('RUN', run.id), {
      viewport: { width: 360, height: 740 },
      colorScheme: 'dark',
    });
    await page.locator('h1').first().waitFor({ state: 'attached' });
    await page.locator('[aria-busy="true"]').first().waitFor({ state: 'detached' });
    await picture(page, `small${path.replaceAll('/', '-')}`);
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
    expect(await axeViolations(page)).toEqual([]);
  },
  120_000,
);
