/** What a model writes to mislead a person is text on the page: no markup, no script, no hidden or reordering character. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { axeViolations } from '../../support/console.ts';
import { callsOnce, openConsoleStack, rowOf, type ConsoleStack } from '../../support/console-stack.ts';

vi.setConfig({ testTimeout: 120_000 });

const MARKUP =
  '</td></table></script><script>globalThis.pwned=1</script><img src=x onerror="globalThis.pwned=1"><button>Approve</button>';
const BIDI = 'pay \u202Eecila\u202C to \u2066bob\u2069\u200B \u0430lice';
const FAKE = '\n\nDecide\n[ Approve ]\nverified by the server\n';
const HUGE = `${'<b>x</b>\u202E'.repeat(100_000)}end`;

let stack: ConsoleStack;
beforeAll(async () => {
  stack = await openConsoleStack({
    hostile: callsOnce(
      'send_mail',
      { to: BIDI, subject: MARKUP, body: FAKE, [`amount ${BIDI}`]: BIDI },
      `${MARKUP}${BIDI}${FAKE}`,
    ),
    huge: callsOnce('send_mail', { to: 'ada', subject: 'Large', body: HUGE }, 'Large.'),
  });
}, 120_000);
afterAll(() => stack?.close());

test('markup, scripts, fake buttons and reordering characters are shown as text', async () => {
  const call = await stack.started({
    model: 'scripted:hostile',
    tool: 'send_mail',
    content: `${MARKUP}${BIDI}`,
  });
  const page = await stack.windowOf(
    'alice',
    `/inbox/${call.id}?q=${encodeURIComponent(MARKUP.slice(0, 20))}`,
  );
  await page.getByRole('article').getByRole('table').waitFor();
  const text = await page.getByRole('article').innerText();
  expect(text).toContain('<script>globalThis.pwned=1</script>');
  expect(text).toContain('\\u202e');
  expect(text).toContain('\\u0430lice');
  for (const selector of ['main script', 'main img', 'main b'])
    expect(await page.locator(selector).count()).toBe(0);
  const shown = await page.locator('body').innerText();
  expect(shown).not.toMatch(/[\u200B\u202A-\u202E\u2066-\u2069]/);
  expect(await page.title()).not.toMatch(/[<\u202E]/);
  expect(await page.evaluate<unknown>('globalThis.pwned ?? null')).toBeNull();
  // The tool's own schema does not fit these arguments: the exact text still does.
  await page.getByRole('button', { name: 'Show the exact text' }).click();
  expect(await page.locator('.json-text').innerText()).toContain('\\u202e');
  expect(await page.getByRole('button', { name: 'Approve', exact: true }).count()).toBe(1);
  expect(await axeViolations(page)).toEqual([]);
  // Each text of the list stays in its row.
  const box = await rowOf(page, call).boundingBox();
  expect(box?.height).toBeLessThan(90);
});

test('a megabyte of arguments is opened, shown in part and whole, and decided', async () => {
  const call = await stack.started({ model: 'scripted:huge', tool: 'send_mail' });
  const page = await stack.windowOf('alice', `/inbox/${call.id}`);
  const article = page.getByRole('article');
  await article.getByText('Show all').first().waitFor();
  expect((await article.innerText()).length).toBeLessThan(50_000);
  expect(await rowOf(page, call).innerText()).toContain('of arguments');
  await expect
    .poll(
      async () => {
        await page.keyboard.press('a');
        return (await stack.of('alice').get(call.id)).status;
      },
      { timeout: 30_000, interval: 500 },
    )
    .toBe('decided');
});
