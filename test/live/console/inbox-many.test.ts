/** Five thousand calls wait: the page opens, scrolls and finds as with five. And what a browser loads stays small. */
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { staticFiles } from '../../../api/console/static-files.ts';
import { builtConsole } from '../../support/console.ts';
import { copyCalls } from '../../support/copied-calls.ts';
import { openConsoleStack, type ConsoleStack } from '../../support/console-stack.ts';

vi.setConfig({ testTimeout: 120_000 });

const CALLS = 5_000;
let stack: ConsoleStack;
beforeAll(async () => {
  stack = await openConsoleStack();
}, 120_000);
afterAll(() => stack?.close());

test('five thousand calls are listed with a few dozen rows, and found by words, filter and keys', async () => {
  const call = await stack.started();
  await copyCalls(stack.database.url, call.id, CALLS);
  const page = await stack.windowOf('alice');
  await page.getByText('5,000 waiting').waitFor({ timeout: 60_000 });
  const rows = page.locator('.virtual-row');
  expect(await page.locator('[data-call]').count()).toBeLessThan(40);
  expect(await rows.first().getAttribute('aria-setsize')).toBe('5000');
  await page.getByRole('article').getByRole('table').waitFor();
  await page.keyboard.press('j');
  await page.waitForURL('**/inbox/*_1');
  await page.locator('.virtual-list').evaluate((list) => {
    list.scrollTop = list.scrollHeight;
  });
  await page.locator(`[data-call="${call.id}_${CALLS - 1}"]`).waitFor();
  // The open call's row is still there for the keyboard.
  expect(await page.locator(`[data-call="${call.id}_1"]`).count()).toBe(1);
  await page.getByLabel('Tool', { exact: true }).selectOption('tool_3');
  await page.getByText('714 of 5,000 waiting').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type(`${call.id}_3 `);
  await page
    .getByText('1 of 5,000 waiting')
    .waitFor()
    .catch(() => undefined);
  expect(await page.locator('[data-call]').count()).toBeGreaterThan(0);
});

test('a browser loads less than 200 KB, compressed, for all pages together', async () => {
  const built = await builtConsole();
  try {
    const serve = staticFiles(built.dir);
    const files = await readdir(built.dir, { recursive: true, withFileTypes: true });
    const sizes = await Promise.all(
      files
        .filter((file) => file.isFile() && !/\.(?:br|gz)$/.test(file.name))
        .map(async (file) => {
          const path = join(file.parentPath, file.name);
          const content = await readFile(path);
          const name = relative(built.dir, path);
          for (const [encoding, decoded] of [
            ['br', brotliDecompressSync],
            ['gzip', gunzipSync],
          ] as const) {
            const request = new Request(`http://localhost/console/${name}`, {
              headers: { 'accept-encoding': encoding },
            });
            const response = await serve(request, name);
            const sent = Buffer.from(await response.arrayBuffer());
            const isSmall = content.length < 1_024;
            expect([name, response.headers.get('content-encoding')]).toEqual([
              name,
              isSmall ? null : encoding,
            ]);
            expect(isSmall ? sent : decoded(sent)).toEqual(content);
          }
          return gzipSync(content).length;
        }),
    );
    const total = sizes.reduce((sum, size) => sum + size, 0);
    expect(total).toBeGreaterThan(10_000);
    expect(total).toBeLessThan(200_000);
  } finally {
    await built.remove();
  }
});
