/**
 * The built console in front of an API: static files of `/console/`, everything else passed on with a person's key.
 *
 * Rule: the files have the policy that the real server sends, so a page that needs more fails here, too. Tests only.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { buildConsole } from '../../scripts/build-console.mjs';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

export interface BuiltConsole {
  dir: string;
  remove(): Promise<void>;
}

export const builtConsole = async (): Promise<BuiltConsole> => {
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-console-'));
  await buildConsole(dir);
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
};

const sendFile = async (dir: string, path: string, response: ServerResponse): Promise<void> => {
  const name = path.slice('/console/'.length);
  const file = /^[\w./-]+\.\w+$/.test(name) && !name.includes('..') ? name : 'index.html';
  try {
    const body = await readFile(join(dir, file));
    response.writeHead(200, {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-security-policy': POLICY,
      'cache-control': 'no-store',
    });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
};

const passOn = (to: string, key: string, request: IncomingMessage, response: ServerResponse): void => {
  const upstream = httpRequest(
    new URL(request.url ?? '/', to),
    { method: request.method, headers: { ...request.headers, authorization: `Bearer ${key}` } },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.once('error', () => response.destroy());
    },
  );
  upstream.once('error', () => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end();
  });
  response.once('close', () => upstream.destroy());
  request.pipe(upstream);
};

export interface ConsoleServer {
  url: string;
  close(): Promise<void>;
}

/** Serves the console to one person. `api`: origin of the API. */
export const serveConsole = async (
  dir: string,
  { api, key }: { api: string; key: string },
): Promise<ConsoleServer> => {
  const server: Server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://console');
    // This API has no sessions: the key stands for the person.
    if (pathname === '/console/session') response.writeHead(404).end();
    else if (pathname.startsWith('/console/')) void sendFile(dir, pathname, response);
    else passOn(api, key, request, response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/console`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

export interface OpenedPage {
  page: Page;
  context: BrowserContext;
  /** Errors of the page's scripts and its policy, as they come. */
  problems: string[];
}

/** A window of its own person: own storage, own cookies. */
export const openWindow = async (
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<OpenedPage> => {
  const context = await browser.newContext({ viewport: { width: 1_440, height: 900 }, ...options });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    // A refused or broken request is what some tests are about.
    if (message.type() === 'error' && !/Failed to load resource|net::ERR_/.test(message.text()))
      problems.push(message.text());
  });
  await page.goto(url);
  return { page, context, problems };
};

/** What axe finds in the page: one line for each violation, with the first element. */
export const axeViolations = async (page: Page): Promise<string[]> => {
  await page.evaluate(await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
  return page.evaluate(async () => {
    interface Found {
      violations: { id: string; help: string; nodes: { html: string; failureSummary?: string }[] }[];
    }
    const { axe } = globalThis as unknown as { axe: { run(): Promise<Found> } };
    const { violations } = await axe.run();
    return violations.map(
      ({ id, help, nodes }) =>
        `${id}: ${help}: ${nodes[0]?.html.slice(0, 200)} ${nodes[0]?.failureSummary?.slice(0, 200)}`,
    );
  });
};
