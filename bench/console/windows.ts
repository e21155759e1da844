/**
 * Windows of the console in a headless Chromium: signed in by key, with clocks that compare with those of other processes.
 *
 * Rule: what happens in a page is stamped in the page. Imported by the suite of the console only.
 */
import type { Browser, BrowserContext, Page } from 'playwright-core';

/** Notes when each call's row was first drawn: the frame after the one that the row came with has begun. */
const NOTES_ROWS = `
  globalThis.drawnRows = {};
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes)
      for (const node of addedNodes) {
        if (!(node instanceof Element)) continue;
        const rows = [...node.querySelectorAll('[data-call]'), ...(node.matches('[data-call]') ? [node] : [])];
        for (const row of rows)
          requestAnimationFrame(() => requestAnimationFrame(() => {
            globalThis.drawnRows[row.dataset.call] ??= performance.timeOrigin + performance.now();
          }));
      }
  }).observe(document, { childList: true, subtree: true });
`;

export interface ConsoleWindow {
  page: Page;
  /** Requests that the page has sent. */
  requests: () => number;
  close: () => Promise<void>;
}

/** A context whose person is signed in. `origin`: of the server. */
export const signedInContext = async (
  browser: Browser,
  origin: string,
  key: string,
): Promise<BrowserContext> => {
  const context = await browser.newContext({ viewport: { width: 1_440, height: 900 } });
  await context.addInitScript({ content: NOTES_ROWS });
  const page = await context.newPage();
  await page.goto(`${origin}/console/`);
  await page.getByLabel('API key').fill(key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Console' }).waitFor();
  await page.close();
  return context;
};

export const openConsole = async (
  context: BrowserContext,
  origin: string,
  path: string,
): Promise<ConsoleWindow> => {
  const page = await context.newPage();
  let requests = 0;
  page.on('request', () => {
    requests += 1;
  });
  await page.goto(`${origin}/console${path}`);
  await page.getByRole('navigation', { name: 'Console' }).waitFor();
  return { page, requests: () => requests, close: () => page.close() };
};

/** When the row of a call was drawn: unix milliseconds. */
export const rowDrawn = async (page: Page, callId: string): Promise<number> => {
  const drawn = await page.waitForFunction(
    (id) => (globalThis as unknown as { drawnRows: Record<string, number> }).drawnRows[id] ?? null,
    callId,
    { timeout: 30_000 },
  );
  const at = await drawn.jsonValue();
  if (at === null) throw new Error(`The row of call ${JSON.stringify(callId)} was not drawn.`);
  return at;
};

/** Sends an approval as the page does, by its session; returns when it left the page: unix milliseconds. */
export const approveIn = (page: Page, callId: string): Promise<number> =>
  page.evaluate(async (id) => {
    const scope = globalThis as unknown as { csrfToken?: string };
    scope.csrfToken ??= (
      (await (await fetch('/console/session')).json()) as { csrf_token: string }
    ).csrf_token;
    const sent = performance.timeOrigin + performance.now();
    const response = await fetch(`/v1/approvals/${encodeURIComponent(id)}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-csrf-token': scope.csrfToken },
      body: JSON.stringify({ decision: 'approve' }),
    });
    if (!response.ok)
      throw new Error(`The approval was answered ${response.status}: ${await response.text()}`);
    return sent;
  }, callId);

/** First contentful paint of a page that was opened: milliseconds since its navigation began. */
export const firstPaint = async (page: Page): Promise<number> => {
  const entry = await page.waitForFunction(
    () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null,
  );
  return (await entry.jsonValue()) ?? Number.NaN;
};

/** The same of the first row of the inbox. */
export const firstRow = async (page: Page): Promise<number> => {
  const at = await page.waitForFunction(() => {
    const times = Object.values((globalThis as unknown as { drawnRows: Record<string, number> }).drawnRows);
    return times.length === 0 ? null : Math.min(...times) - performance.timeOrigin;
  });
  return (await at.jsonValue()) ?? Number.NaN;
};
