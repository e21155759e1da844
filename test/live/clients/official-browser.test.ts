/**
 * The official Node clients inside a web page, as their browser builds, in a real browser against `runs serve` and `runs worker`: a page
 * of an origin in RUNS_CORS_ORIGINS polls, streams and reads errors; a page of any other origin gets nothing.
 */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type Client from 'openai';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WEATHER_TOOL } from '../../../testing/scripts.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { newestNodeModules } from '../../support/official/newest-node.ts';
import { openOfficial, type OfficialServer } from '../../support/official/server.ts';
import { ROOT } from '../../support/sources.ts';
import { launchBrowser } from '../../support/web-ui.ts';

guardAgainstLeaks();

const KEY = 'key-of-the-web-page-0123456789';
/** Version → the directory of its modules. */
const CLIENTS = new Map([
  ['6', join(ROOT, 'node_modules', 'openai')],
  ['7', await newestNodeModules()],
]);

let browser: Browser;
let allowed: Server;
let foreign: Server;
let server: OfficialServer;

/** An empty page with a client, whose modules its site has below the version. */
const pageOf = (version: string): string => `<!doctype html><title>page</title>
<script type="module">import OpenAI from '/${version}/index.mjs'; globalThis.OpenAI = OpenAI;</script>`;

/** A site of its own origin. */
const serveSite = async (): Promise<Server> => {
  const site = createServer((request, response) => {
    const [, version = '', ...file] = new URL(request.url ?? '/', 'http://site').pathname.split('/');
    if (file.length === 0) {
      response.writeHead(200, { 'content-type': 'text/html' }).end(pageOf(version));
      return;
    }
    readFile(join(CLIENTS.get(version) ?? '', ...file)).then(
      (module) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(module),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  return site;
};
const originOf = (site: Server): string => `http://127.0.0.1:${(site.address() as AddressInfo).port}`;

beforeAll(async () => {
  [browser, allowed, foreign] = await Promise.all([launchBrowser(), serveSite(), serveSite()]);
  server = await openOfficial({
    env: { RUNS_API_KEYS: `page:${KEY}`, RUNS_CORS_ORIGINS: originOf(allowed) },
  });
}, 60_000);
afterAll(async () => {
  await browser?.close();
  for (const site of [allowed, foreign]) site?.close();
  await server?.close();
});

const pageAt = async (site: Server, version: string): Promise<Page> => {
  const page = await browser.newPage();
  await page.goto(`${originOf(site)}/${version}`);
  await page.waitForFunction(() => 'OpenAI' in globalThis);
  return page;
};

interface Given {
  url: string;
  key: string;
  tool: typeof WEATHER_TOOL;
}
const given = (): Given => ({ url: server.url, key: KEY, tool: WEATHER_TOOL });

/** In the page: nothing but what it is given, and what the page has. */
const converse = async ({ url, key, tool }: Given): Promise<Record<string, unknown>> => {
  const { OpenAI } = globalThis as unknown as { OpenAI: typeof Client };
  const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0, dangerouslyAllowBrowser: true });
  const { assistants, threads } = client.beta;
  try {
    const assistant = await assistants.create({ model: 'scripted:weather', tools: [tool] });
    const waiting = await threads.createAndRunPoll({ assistant_id: assistant.id });
    const calls = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
    const said: string[] = [];
    const stream = threads.runs
      .submitToolOutputsStream(waiting.id, {
        thread_id: waiting.thread_id,
        tool_outputs: calls.map(({ id }) => ({ tool_call_id: id, output: 'mild' })),
      })
      .on('textDelta', ({ value }) => said.push(value ?? ''));
    const { status } = await stream.finalRun();
    const { response } = await threads.runs
      .retrieve(waiting.id, { thread_id: waiting.thread_id })
      .withResponse();
    const failure: unknown = await threads.retrieve('thread_none').catch((error: unknown) => error);
    return {
      waiting: waiting.status,
      said: said.join(''),
      pieces: said.length,
      status,
      pollAfter: response.headers.get('openai-poll-after-ms'),
      notFound: failure instanceof OpenAI.NotFoundError ? failure.requestID : String(failure),
    };
  } catch (error) {
    return { failed: error instanceof OpenAI.APIConnectionError ? 'kept out' : String(error) };
  }
};

describe.each([...CLIENTS.keys()])('openai-node %s', (version) => {
  test('in a page of an allowed origin polls and streams a run, and reads headers and errors', async () => {
    const page = await pageAt(allowed, version);
    const seen = await page.evaluate(converse, given());
    expect(seen).toEqual({
      waiting: 'requires_action',
      said: 'The current weather in San Francisco, CA: mild',
      pieces: expect.any(Number),
      status: 'completed',
      pollAfter: expect.stringMatching(/^\d+$/),
      notFound: expect.stringMatching(/^req_/),
    });
    expect(seen['pieces']).toBeGreaterThan(1);
  });

  test('in a page of another origin is kept out, with a key that is good', async () => {
    const page = await pageAt(foreign, version);
    expect(await page.evaluate(converse, given())).toEqual({ failed: 'kept out' });
  });
});
