/** People decide in the inbox: two browsers, a real server, and runs that go on with what was decided. */
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import type { Locator, Page } from 'playwright-core';
import type { Approval } from '../../../client/http/public.ts';
import { axeViolations, openWindow } from '../../support/console.ts';
import { CONSOLE_KEY, openConsoleStack, rowOf, type ConsoleStack } from '../../support/console-stack.ts';

vi.setConfig({ testTimeout: 120_000 });

let stack: ConsoleStack;
beforeAll(async () => {
  stack = await openConsoleStack();
}, 120_000);
afterAll(() => stack?.close());

const WAIT = { timeout: 30_000, interval: 50 };
const statusOf = async ({ id }: Approval): Promise<string> => (await stack.of('alice').get(id)).status;
const isDecided = (call: Approval) => expect.poll(() => statusOf(call), WAIT).toBe('decided');
const article = (page: Page): Locator => page.getByRole('article');
const open = async (page: Page, call: Approval): Promise<void> => {
  await rowOf(page, call).click();
  await page.waitForURL(`**/inbox/${call.id}*`);
  await article(page).getByRole('table').waitFor();
};
/** A decision is not taken in the first moment of a call on the screen, so it is repeated until it is. */
const until = async (act: () => Promise<void>, done: () => Promise<boolean>): Promise<void> => {
  await expect
    .poll(async () => {
      if (!(await done())) await act();
      return done();
    }, WAIT)
    .toBe(true);
};
const isHeld = (page: Page) => async (): Promise<boolean> =>
  (await page.getByText(/^Approving|^Denying|^Approved|^Denied/).count()) > 0;
const approve = (page: Page): Promise<void> =>
  until(
    () => page.getByRole('button', { name: 'Approve', exact: true }).click({ timeout: 2_000 }),
    isHeld(page),
  );

test('a person signs in by key, is told of a wrong one, and signs out', async () => {
  const { page, context, problems } = await openWindow(
    stack.browser,
    `${new URL(stack.apiUrl).origin}/console/inbox`,
  );
  onTestFinished(() => context.close());
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  expect(await axeViolations(page)).toEqual([]);
  await page.getByLabel('API key').fill('sk-nobody-0123456789abcdef');
  await page.keyboard.press('Enter');
  await expect.poll(() => page.getByRole('alert').innerText(), WAIT).not.toBe('');
  await page.getByLabel('API key').fill(CONSOLE_KEY.alice);
  await page.keyboard.press('Enter');
  await page.getByText('alice', { exact: true }).click();
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await page.getByLabel('API key').waitFor();
  expect(problems).toEqual([]);
});

test('a call appears by itself, is approved by one click, may be taken back, and its tool runs once', async () => {
  const page = await stack.windowOf('alice');
  await page.getByText('Nothing waits for you').waitFor();
  expect(await axeViolations(page)).toEqual([]);
  const call = await stack.started();
  await rowOf(page, call).waitFor();
  await page.getByRole('heading', { name: 'refund' }).waitFor();
  await article(page).getByRole('table').waitFor();
  const text = await article(page).innerText();
  expect(text).toContain('The customer paid twice');
  expect(text).toContain('I paid order A-1042 twice');
  expect(text).toContain('The run expires: the tool does not run');
  await approve(page);
  await page.keyboard.press('u');
  await page.getByRole('button', { name: 'Approve', exact: true }).waitFor();
  expect(await statusOf(call)).toBe('waiting');
  stack.paid.length = 0;
  await approve(page);
  await isDecided(call);
  await rowOf(page, call).waitFor({ state: 'detached' });
  await expect.poll(() => stack.paid, WAIT).toEqual([{ order: 'A-1042', amount: 60, reason: 'paid twice' }]);
});

test('everything is done by the keyboard: to the next call, other arguments, a reason, back', async () => {
  const first = await stack.started({ expiresIn: 3_000 });
  const second = await stack.started({ expiresIn: 4_000 });
  const page = await stack.windowOf('alice');
  await page.waitForURL(`**/inbox/${first.id}`);
  await article(page).getByRole('table').waitFor();
  await page.keyboard.press('j');
  await page.waitForURL(`**/inbox/${second.id}`);
  await page.keyboard.press('k');
  await page.waitForURL(`**/inbox/${first.id}`);
  await article(page).getByRole('table').waitFor();
  const form = page.getByRole('form', { name: 'Edit the arguments' });
  await until(
    () => page.keyboard.press('e'),
    async () => (await form.count()) === 1,
  );
  await page.keyboard.press('Escape');
  await form.waitFor({ state: 'detached' });
  await page.keyboard.press('e');
  await form.waitFor();
  await page.getByLabel('amount').focus();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.type('x');
  await page.getByText('Enter a number.').waitFor();
  await page.keyboard.press('Backspace');
  await page.keyboard.type('20');
  stack.paid.length = 0;
  await page.keyboard.press('Enter');
  // The next call is open, and the focus is on its row.
  await page.waitForURL(`**/inbox/${second.id}`);
  await expect
    .poll(() => page.evaluate<string>('document.activeElement.dataset.call ?? ""'), WAIT)
    .toBe(second.id);
  const dialog = page.getByRole('dialog', { name: 'Deny the call' });
  await until(
    () => page.keyboard.press('d'),
    async () => (await dialog.count()) === 1,
  );
  await page.keyboard.type('The order is not paid.');
  await page.keyboard.press('ControlOrMeta+Enter');
  await dialog.waitFor({ state: 'detached' });
  await isDecided(first);
  await isDecided(second);
  await expect.poll(() => stack.paid, WAIT).toEqual([{ order: 'A-1042', amount: 20, reason: 'paid twice' }]);
  expect((await stack.of('alice').get(second.id)).decisions).toMatchObject([
    { decision: 'deny', by: 'alice', reason: 'The order is not paid.' },
  ]);
});

test('two people stay in step: the second one is told who decided, before and after the own decision left', async () => {
  const call = await stack.started();
  const alice = await stack.windowOf('alice', `/inbox/${call.id}`);
  const bob = await stack.windowOf('bob', `/inbox/${call.id}`);
  const tab = await stack.windowOf('bob', '/inbox');
  await rowOf(tab, call).waitFor();
  await article(bob).getByRole('table').waitFor();
  await article(alice).getByRole('table').waitFor();
  // Bob's decision is still held when Alice's arrives, which the test sends at once.
  await approve(bob);
  await stack.of('alice').decide(call.id, { decision: 'deny', reason: 'no' });
  await bob.getByText('alice denied it. Your decision was not sent.').waitFor();
  await alice.getByText('alice denied it.', { exact: true }).waitFor();
  await rowOf(tab, call).waitFor({ state: 'detached' });

  // Now Bob's window does not hear of it in time: the server tells him.
  const next = await stack.started();
  const deaf = await stack.windowOf('bob', `/inbox/${next.id}`);
  await article(deaf).getByRole('table').waitFor();
  await deaf.route('**/v1/approvals/events', (route) => route.abort());
  await stack.stopApi();
  await deaf.getByText('Not connected').waitFor();
  await stack.startApi();
  await stack.of('alice').decide(next.id, { decision: 'deny' });
  await approve(deaf);
  await deaf.getByText(/somebody else decided first.*(?:denied before by "alice"|alice denied it)/).waitFor();
  expect(await axeViolations(deaf)).toEqual([]);
  await deaf.getByText('alice denied it.', { exact: true }).waitFor();
});

test('a decision that is lost on the way is sent again, and counts once', async () => {
  const call = await stack.started();
  const page = await stack.windowOf('alice', `/inbox/${call.id}`);
  await article(page).getByRole('table').waitFor();
  let lost = 0;
  await page.route(`**/v1/approvals/${call.id}`, async (route) => {
    if (route.request().method() !== 'POST' || lost === 2) return route.fallback();
    lost += 1;
    // The first one does not arrive. The second one does, and its reply is lost.
    if (lost === 2) await route.fetch();
    return route.abort();
  });
  stack.paid.length = 0;
  await approve(page);
  await page.getByText(/has not arrived yet/).waitFor();
  expect(await axeViolations(page)).toEqual([]);
  await isDecided(call);
  await rowOf(page, call).waitFor({ state: 'detached' });
  await expect.poll(() => stack.paid, WAIT).toHaveLength(1);
  expect(lost).toBe(2);
  expect((await stack.of('alice').get(call.id)).decisions).toHaveLength(1);
});

test('a window that closes sends the decision that it holds', async () => {
  const call = await stack.started();
  const page = await stack.windowOf('alice', `/inbox/${call.id}`);
  await article(page).getByRole('table').waitFor();
  await approve(page);
  expect(await statusOf(call)).toBe('waiting');
  await page.close({ runBeforeUnload: false });
  await isDecided(call);
});

test('a server that restarts underneath: the page says so, misses nothing and decides afterwards', async () => {
  const call = await stack.started();
  const page = await stack.windowOf('alice', `/inbox/${call.id}`);
  await article(page).getByRole('table').waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  await stack.stopApi();
  await page.getByText('Not connected: trying again').waitFor();
  await approve(page);
  await page.getByText(/has not arrived yet/).waitFor();
  await stack.startApi();
  await page.getByText('Live', { exact: true }).waitFor();
  await isDecided(call);
  await rowOf(page, call).waitFor({ state: 'detached' });
  expect((await stack.of('alice').get(call.id)).decisions).toHaveLength(1);
});

test('several calls of one tool are approved together, once each was seen', async () => {
  const calls = [await stack.started(), await stack.started()];
  const page = await stack.windowOf('alice');
  for (const call of calls) {
    await open(page, call);
    await page.keyboard.press('x');
  }
  await page.getByText('2 marked').waitFor();
  // Both were open above; a fresh window has seen only one.
  await page.getByRole('button', { name: 'Review and approve' }).click();
  const dialog = page.getByRole('dialog', { name: 'Review 2 calls' });
  await dialog.getByText('You have seen all of them.').waitFor();
  expect(await axeViolations(page)).toEqual([]);
  await page.keyboard.press('Escape');

  const fresh = await stack.windowOf('bob', `/inbox/${calls[0]?.id}`);
  await article(fresh).getByRole('table').waitFor();
  for (const call of calls) await rowOf(fresh, call).locator('xpath=../label/input').check();
  await fresh.getByRole('button', { name: 'Review and approve' }).click();
  const review = fresh.getByRole('dialog', { name: 'Review 2 calls' });
  const all = review.getByRole('button', { name: 'Approve 2 calls' });
  await review.getByText('1 not seen yet').waitFor();
  expect(await all.isDisabled()).toBe(true);
  await review.getByRole('button', { name: 'Next', exact: true }).click();
  await review.getByText('You have seen all of them.').waitFor();
  await all.click();
  for (const call of calls) await isDecided(call);
});

test('filters and the search stay in the address, and a link shows the same list', async () => {
  const call = await stack.started({ expiresIn: 1_000 });
  const page = await stack.windowOf('alice', '/inbox?due=hour');
  await rowOf(page, call).waitFor();
  expect(await page.getByLabel('Deadline', { exact: true }).inputValue()).toBe('hour');
  await page.keyboard.press('/');
  await page.keyboard.type('no-such-word');
  await page.getByText('No call fits').waitFor();
  expect(new URL(page.url()).search).toBe('?due=hour&q=no-such-word');
  await page.reload();
  await page.getByText('No call fits').waitFor();
  await page.getByRole('button', { name: 'Show all calls' }).click();
  await rowOf(page, call).waitFor();
  await stack.of('alice').decide(call.id, { decision: 'deny' });
});
