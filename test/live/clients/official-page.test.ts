/**
 * The API from web pages, in a real browser: a page of an allowed origin uses it as the official clients do, any other page is
 * kept out, and so is one without a key. What the tests at the socket claim about browsers is seen here.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApi, keyAuth, parseApiKeys, serveApi } from '../../../api/index.ts';
import type { RequestLogEntry, ServedApi } from '../../../api/index.ts';
import { createSandboxEngine } from '../../../testing/index.ts';
import { launchBrowser } from '../../support/web-ui.ts';

const KEY = 'sk-page-0123456789abcdef';

let browser: Browser;
let allowed: Server;
let foreign: Server;
let keyed: ServedApi;
let open: ServedApi;
const atOpen: RequestLogEntry[] = [];
let onOpen = (): void => undefined;

/** An empty page on a port of its own, so with an origin of its own. */
const servePage = async (): Promise<Server> => {
  const server = createServer((_, response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>page</title>'),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
};
const originOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

beforeAll(async () => {
  [browser, allowed, foreign] = await Promise.all([launchBrowser(), servePage(), servePage()]);
  const engine = createSandboxEngine();
  keyed = await serveApi(
    createApi({ engine, auth: keyAuth(parseApiKeys(`a:${KEY}`)), corsOrigins: [originOf(allowed)] }),
  );
  open = await serveApi(
    createApi({
      engine,
      onRequest: (request) => {
        atOpen.push(request);
        onOpen();
      },
    }),
  );
}, 60_000);
afterAll(async () => {
  await browser?.close();
  for (const server of [allowed, foreign]) server?.close();
  await Promise.all([keyed?.close(), open?.close()]);
});

const pageAt = async (server: Server): Promise<Page> => {
  const page = await browser.newPage();
  await page.goto(originOf(server));
  return page;
};

/** A POST as openai-node sends it from a page; what the page gets to see. */
const post = (page: Page, url: string, key: string | null): Promise<unknown> =>
  page.evaluate(
    async ([to, bearer]) => {
      try {
        const response = await fetch(to ?? '', {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'openai-beta': 'assistants=v2',
            'x-stainless-lang': 'js',
            ...(bearer == null ? {} : { authorization: `Bearer ${bearer}` }),
          },
          body: '{}',
        });
        const body = (await response.json()) as { object?: string };
        return { status: response.status, object: body.object, id: response.headers.get('x-request-id') };
      } catch {
        return 'kept out';
      }
    },
    [url, key],
  );

test('a page of an allowed origin creates a thread and reads the headers that clients use', async () => {
  const page = await pageAt(allowed);
  expect(await post(page, `${keyed.url}/threads`, KEY)).toEqual({
    status: 200,
    object: 'thread',
    id: expect.stringMatching(/^req_/),
  });
  // Its mistakes are told, not hidden behind a network error.
  expect(await post(page, `${keyed.url}/threads`, null)).toMatchObject({ status: 401 });
});

test('a page of another origin is kept out, key or not', async () => {
  const page = await pageAt(foreign);
  expect(await post(page, `${keyed.url}/threads`, KEY)).toBe('kept out');
});

test('no page creates anything on a server without keys, by any request without a preflight', async () => {
  const page = await pageAt(foreign);
  const allSeen = new Promise<void>((resolve) => {
    onOpen = () => {
      if (atOpen.length === 4) resolve();
    };
  });
  await page.evaluate(async (url) => {
    for (const init of [
      { method: 'POST', mode: 'no-cors' },
      { method: 'POST', mode: 'no-cors', body: '{}' },
      { method: 'POST', mode: 'no-cors', body: new URLSearchParams({ a: 'b' }) },
    ] as RequestInit[])
      await fetch(url, init).catch(() => undefined);
    (globalThis as unknown as { navigator: { sendBeacon(to: string): boolean } }).navigator.sendBeacon(url);
  }, `${open.url}/threads`);
  await allSeen;
  expect(atOpen).toMatchObject(Array.from({ length: 4 }, () => ({ method: 'POST', status: 403 })));
});
