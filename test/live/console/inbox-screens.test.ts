/** The inbox as people see it: wide and narrow, light and dark, without violations that axe finds. Makes the pictures of docs/images. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { axeViolations } from '../../support/console.ts';
import { callsOnce, openConsoleStack, rowOf, type ConsoleStack } from '../../support/console-stack.ts';
import { ROOT } from '../../support/sources.ts';

// A slow machine takes half a minute for axe on each of a page's states.
vi.setConfig({ testTimeout: 180_000 });

let stack: ConsoleStack;
const MAIL = {
  to: 'ada@example.com',
  subject: 'Your order A-1042',
  body: 'Dear Ada,\n\nwe have found the second payment of 60.00 EUR and send it back today.\n\nKind regards\nThe shop',
};

beforeAll(async () => {
  stack = await openConsoleStack({
    mail: callsOnce('send_mail', MAIL, 'I tell the customer that the money is on its way.'),
    account: callsOnce(
      'delete_account',
      { account: 'ada@example.com' },
      'The customer asked for it in writing.',
    ),
    small: callsOnce('refund', { order: 'B-7', amount: 12.5 }, 'The parcel came broken.'),
  });
  await stack.started({ expiresIn: 420 });
  await stack.started({ model: 'scripted:mail', tool: 'send_mail', expiresIn: 2_400 });
  await stack.started({ model: 'scripted:small', expiresIn: 9_000 });
  await stack.started({ model: 'scripted:account', tool: 'delete_account', expiresIn: 200_000 });
}, 120_000);
afterAll(() => stack?.close());

/** Written where `SCREENSHOTS` is set; otherwise a picture only has to exist. */
const picture = async (page: Page, name: string): Promise<void> => {
  const folder = join(ROOT, 'docs', 'images');
  const path = join(folder, `${name}.png`);
  if (process.env['SCREENSHOTS'] === undefined) {
    expect(existsSync(path), `docs/images/${name}.png`).toBe(true);
    return;
  }
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path });
};

const WIDE = { width: 1_440, height: 900 };
const NARROW = { width: 360, height: 740 };

/** Nothing of the page is cut off at its side. */
const isWithin = (page: Page): Promise<boolean> =>
  page.evaluate<boolean>('document.documentElement.scrollWidth <= document.documentElement.clientWidth');

test.each(['light', 'dark'] as const)(
  'the inbox fits 1,440 px and violates no rule of accessibility, %s',
  async (colorScheme) => {
    const page = await stack.windowOf('alice', '/inbox', { viewport: WIDE, colorScheme });
    await page.getByRole('heading', { name: 'refund' }).waitFor();
    await page.getByRole('article').getByRole('table').waitFor();
    expect(await axeViolations(page)).toEqual([]);
    expect(await isWithin(page)).toBe(true);
    await picture(page, `console-inbox-${colorScheme}`);
  },
);

test.each(['light', 'dark'] as const)(
  'the inbox and a call fit 360 px and violate no rule of accessibility, %s',
  async (colorScheme) => {
    const page = await stack.windowOf('alice', '/inbox', { viewport: NARROW, colorScheme });
    const [call] = (await stack.of('alice').list({ tool: 'send_mail' })).data;
    if (call === undefined) throw new Error('no mail waits');
    await rowOf(page, call).waitFor();
    expect(await axeViolations(page)).toEqual([]);
    expect(await isWithin(page)).toBe(true);
    await picture(page, `console-inbox-narrow-${colorScheme}`);
    await rowOf(page, call).click();
    await page.getByRole('article').getByRole('table').waitFor();
    expect(await axeViolations(page)).toEqual([]);
    expect(await isWithin(page)).toBe(true);
    await picture(page, `console-call-narrow-${colorScheme}`);
  },
);

test.each(['light', 'dark'] as const)(
  'the form, the dialogs and a held decision, %s',
  async (colorScheme) => {
    // A call of its own: the decision at the end leaves when the window closes.
    const call = await stack.started({ expiresIn: 420 });
    const page = await stack.windowOf('alice', `/inbox/${call.id}`, { viewport: WIDE, colorScheme });
    await page.getByRole('heading', { name: 'refund' }).waitFor();
    await page.getByRole('button', { name: 'Edit', exact: true }).waitFor();
    await expect
      .poll(async () => {
        await page.keyboard.press('e');
        return page.getByRole('form', { name: 'Edit the arguments' }).count();
      })
      .toBe(1);
    await page.getByLabel('amount').fill('40');
    await page.getByText('60', { exact: true }).first().waitFor();
    expect(await axeViolations(page)).toEqual([]);
    await picture(page, `console-edit-${colorScheme}`);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.keyboard.press('d');
    await page.getByRole('dialog').waitFor();
    expect(await axeViolations(page)).toEqual([]);
    await picture(page, `console-deny-${colorScheme}`);
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    expect(await axeViolations(page)).toEqual([]);
    await picture(page, `console-keys-${colorScheme}`);
    await page.keyboard.press('Escape');
    await page.keyboard.press('a');
    await page
      .getByText(/Approving in \d s/)
      .first()
      .waitFor();
    // The dialogs above and the tests of lost decisions cover axe; here the five seconds would pass.
    await picture(page, `console-held-${colorScheme}`);
  },
);
