/** Several people decide about one call in the inbox: votes, a hand-over, comments; and a person answers an external call. */
import OpenAI from 'openai';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Approval } from '../../../client/http/public.ts';
import { axeViolations } from '../../support/console.ts';
import {
  callsOnce,
  CONSOLE_KEY,
  openConsoleStack,
  rowOf,
  type ConsoleStack,
} from '../../support/console-stack.ts';

vi.setConfig({ testTimeout: 120_000 });

const PAYMENT = { supplier: 'Bolt Ltd', amount: 900 };
const STARTS = { model: 'scripted:payment', tool: 'pay_out' };
const lead = { groups: ['leads'], emails: [], subjects: [], headers: [] };

let stack: ConsoleStack;
beforeAll(async () => {
  stack = await openConsoleStack(
    {
      payment: callsOnce('pay_out', PAYMENT, 'The invoice is due.'),
      stock: callsOnce('count_stock', { article: 'B-7' }, 'I ask the warehouse.'),
    },
    {
      people: new Map([
        ['alice', lead],
        ['bob', lead],
      ]),
      groups: new Map(),
    },
  );
}, 120_000);
afterAll(() => stack?.close());

const WAIT = { timeout: 30_000, interval: 50 };
const article = (page: Page): Locator => page.getByRole('article');
const statusOf = async ({ id }: Approval): Promise<string> => (await stack.of('alice').get(id)).status;
/** What the person is offered, without the keys. */
const buttons = async (page: Page): Promise<string[]> =>
  (await page.getByRole('group', { name: 'Decide' }).getByRole('button').allInnerTexts()).map(
    (text) => /^[A-Za-z ]+?(?=\s*\n|$)/.exec(text)?.[0] ?? text,
  );
const isDecided = (call: Approval) => expect.poll(() => statusOf(call), WAIT).toBe('decided');
/** The window of a person who has the call open. */
const opened = async (who: 'alice' | 'bob' | 'carol', call: Approval): Promise<Page> => {
  const page = await stack.windowOf(who, `/inbox/${call.id}`);
  await article(page).getByRole('table').waitFor();
  return page;
};
/** A decision is not taken in the first moment of a call on the screen, so the key is repeated until it is. */
const pressUntil = async (page: Page, key: string, there: Locator): Promise<void> => {
  await expect
    .poll(async () => {
      if ((await there.count()) === 0) await page.keyboard.press(key);
      return there.count();
    }, WAIT)
    .toBeGreaterThan(0);
};
const approve = (page: Page, call: Approval): Promise<void> =>
  pressUntil(page, 'a', rowOf(page, call).getByText(/^Approving|^Approved/));

test('one approval of two leaves the call waiting, and the second person’s runs the tool', async () => {
  const call = await stack.started(STARTS);
  const alice = await opened('alice', call);
  const bob = await opened('bob', call);
  await article(bob).getByText('2 more approvals needed').waitFor();
  stack.paid.length = 0;
  await approve(alice, call);
  for (const page of [alice, bob]) {
    await rowOf(page, call).getByText('1 more approval needed').waitFor();
    await article(page).getByText('alice approved it').first().waitFor();
  }
  expect([await statusOf(call), stack.paid]).toEqual(['waiting', []]);
  await article(alice).getByText('You approved it. Until it is decided you can change your vote.').waitFor();
  expect(await buttons(alice)).not.toContain('Approve');
  expect(await buttons(bob)).toContain('Approve');
  expect(await axeViolations(bob)).toEqual([]);
  await approve(bob, call);
  await isDecided(call);
  for (const page of [alice, bob]) await rowOf(page, call).waitFor({ state: 'detached' });
  await expect.poll(() => stack.paid, WAIT).toEqual([PAYMENT]);
});

test('a person hands the vote over, and the other one reads the comment and decides', async () => {
  const call = await stack.started(STARTS);
  const bob = await opened('bob', call);
  const carol = await opened('carol', call);
  await article(carol).getByText('You have no vote on this call: people of "leads" decide it').waitFor();
  expect(await buttons(carol)).toEqual(['Comment']);
  const dialog = bob.getByRole('dialog', { name: 'Hand over' });
  await pressUntil(bob, 'h', dialog);
  await dialog.getByLabel('People').fill('carol');
  await dialog.getByLabel('Comment').fill('You know this supplier.');
  expect(await axeViolations(bob)).toEqual([]);
  await dialog.getByRole('button', { name: 'Hand over' }).click();
  await article(carol).getByText('You know this supplier.').first().waitFor();
  await article(carol).getByText('bob handed it over to carol').waitFor();
  stack.paid.length = 0;
  await approve(carol, call);
  await article(bob).getByText('carol approved it in place of bob').first().waitFor();
  await approve(await opened('alice', call), call);
  await isDecided(call);
  await expect.poll(() => stack.paid, WAIT).toEqual([PAYMENT]);
});

test('a comment is on the other person’s screen without a reload, and decides nothing', async () => {
  const call = await stack.started(STARTS);
  const alice = await opened('alice', call);
  const bob = await opened('bob', call);
  const dialog = alice.getByRole('dialog', { name: 'Comment' });
  await pressUntil(alice, 'c', dialog);
  await alice.keyboard.type('Is the invoice <b>checked</b>?');
  await alice.keyboard.press('ControlOrMeta+Enter');
  for (const page of [alice, bob])
    await article(page).getByText('Is the invoice <b>checked</b>?').first().waitFor();
  expect(await stack.of('alice').get(call.id)).toMatchObject({ status: 'waiting', votes_needed: 2 });
});

test('an external call is answered on the page, and the run goes on with the answer', async () => {
  const call = await stack.started({ model: 'scripted:stock', tool: 'count_stock' });
  const page = await opened('alice', call);
  const dialog = page.getByRole('dialog', { name: 'Answer the call' });
  expect(await page.getByRole('button', { name: 'Approve', exact: true }).count()).toBe(0);
  await pressUntil(page, 'a', dialog);
  await dialog.getByLabel('Output').fill('There are 12.');
  expect(await axeViolations(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Send the answer' }).click();
  await isDecided(call);
  await rowOf(page, call).waitFor({ state: 'detached' });
  const later = await opened('bob', call);
  await article(later).getByText('It was answered.', { exact: true }).waitFor();
  const { beta } = new OpenAI({ baseURL: stack.apiUrl, apiKey: CONSOLE_KEY.caller, maxRetries: 0 });
  const said = async (): Promise<string> =>
    JSON.stringify((await beta.threads.messages.list(call.thread_id, { run_id: call.run_id })).data);
  await expect.poll(said, WAIT).toContain('There are 12.');
});

test('the link of a webhook opens its call, also when it is decided', async () => {
  const call = await stack.started();
  const page = await stack.windowOf('alice', `/approvals/${call.id}`);
  await page.getByRole('heading', { name: 'refund' }).waitFor();
  await article(page).getByText('A-1042', { exact: true }).waitFor();
  await stack.of('bob').decide(call.id, { decision: 'approve' });
  await article(page).getByText('bob approved it.', { exact: true }).waitFor();
  await page.reload();
  await article(page).getByText('bob approved it.', { exact: true }).waitFor();
  expect(await page.getByRole('link', { name: /^Inbox/ }).getAttribute('aria-current')).toBe('page');
});
