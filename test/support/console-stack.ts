/**
 * A runs server with calls that wait and its console, people who sign in by key, and a browser. Tests of the console only.
 *
 * Rule: one stack a test file; tests tell their calls apart by the thread. A window that logs an error fails its test.
 */
import OpenAI from 'openai';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { expect, onTestFinished, vi } from 'vitest';
import { z } from 'zod';
import {
  createApi,
  keyAuth,
  NO_PEOPLE,
  parseApiKeys,
  serveApi,
  type ConsoleOptions,
  type People,
  type ServedApi,
} from '../../api/index.ts';
import { ApprovalsClient, type Approval } from '../../client/http/public.ts';
import type { Store } from '../../protocol/ports/run-store.ts';
import { openStore } from '../../store/index.ts';
import type { SandboxOptions } from '../../testing/index.ts';
import { builtConsole, openWindow, type BuiltConsole } from './console.ts';
import { defineTools, openNative, type NativeStack } from './native-stack.ts';
import { freshDatabase, type FreshDatabase } from './postgres.ts';
import { liveTemporal, type LiveTemporal } from './temporal.ts';
import { launchBrowser } from './web-ui.ts';

export const CONSOLE_KEY = {
  caller: 'sk-the-caller-0123456789',
  alice: 'sk-alice-0123456789abcdef',
  bob: 'sk-bob-0123456789abcdefgh',
  carol: 'sk-carol-0123456789abcdef',
} as const;
const KEYS = [
  `acme:${CONSOLE_KEY.caller}:*:role=caller;name=shop`,
  `acme:${CONSOLE_KEY.alice}:*:role=approver;name=alice`,
  `acme:${CONSOLE_KEY.bob}:*:role=approver;name=bob`,
  `acme:${CONSOLE_KEY.carol}:*:role=approver;name=carol`,
].join(' ');

type Scripts = NonNullable<SandboxOptions['scripts']>;

/** The model calls `name` once with `input`, and ends when it has the output. */
export const callsOnce =
  (name: string, input: object, text: string): Scripts[string] =>
  (turn) =>
    turn.round === 0
      ? { text, calls: [{ name, arguments: { ...input } }] }
      : { text: turn.outputs.map(({ output }) => output).join(', ') };

export interface StartOptions {
  model?: string;
  tool?: string;
  content?: string;
  /** Seconds until the run expires, and with it the call's deadline. */
  expiresIn?: number;
}

export interface ConsoleStack {
  browser: Browser;
  database: FreshDatabase;
  /** Inputs of the refunds that ran. */
  paid: unknown[];
  /** Where the API is; its port stays over a restart. */
  apiUrl: string;
  of(who: keyof typeof CONSOLE_KEY): ApprovalsClient;
  /** Starts a run, and waits until its call waits. */
  started(options?: StartOptions): Promise<Approval>;
  /** A window at a path of the console. It is closed with the test, which fails when the window logged an error. */
  windowOf(who: 'alice' | 'bob' | 'carol', path?: string, options?: BrowserContextOptions): Promise<Page>;
  stopApi(): Promise<void>;
  startApi(): Promise<void>;
  close(): Promise<void>;
}

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  refund: 'Pays money back to the customer of an order.',
  send_mail: 'Sends a mail to a customer.',
  delete_account: 'Deletes the account of a customer and everything in it.',
  pay_out: 'Pays a supplier. Two leads decide.',
  count_stock: 'Asks the warehouse how many pieces there are.',
};

const toolsOf = (paid: unknown[]) =>
  defineTools({
    refund: {
      description: DESCRIPTIONS['refund'] ?? '',
      parameters: z.object({
        order: z.string().describe('Number of the order'),
        amount: z.number().min(1).max(500).describe('In euros'),
        reason: z.enum(['paid twice', 'broken', 'late']).optional(),
      }),
      approval: true,
      execute: (input) => {
        paid.push(input);
        return `paid ${input.amount}`;
      },
    },
    send_mail: {
      description: DESCRIPTIONS['send_mail'] ?? '',
      parameters: z.looseObject({ to: z.string(), subject: z.string(), body: z.string() }),
      approval: true,
      execute: () => 'sent',
    },
    delete_account: {
      description: DESCRIPTIONS['delete_account'] ?? '',
      parameters: z.object({ account: z.string() }),
      approval: true,
      execute: () => 'deleted',
    },
    count_stock: {
      description: DESCRIPTIONS['count_stock'] ?? '',
      parameters: z.object({ article: z.string() }),
      external: true,
    },
    pay_out: {
      description: DESCRIPTIONS['pay_out'] ?? '',
      parameters: z.object({ supplier: z.string(), amount: z.number() }),
      needsApproval: { by: ['leads'], quorum: 2 },
      execute: (input) => {
        paid.push(input);
        return `paid ${input.amount}`;
      },
    },
  });

const REFUND = { order: 'A-1042', amount: 60, reason: 'paid twice' };
const SAID = 'The customer paid twice, so I pay the second amount back.';

interface Parts {
  temporal: LiveTemporal;
  database: FreshDatabase;
  browser: Browser;
  built: BuiltConsole;
  store: Store;
  native: NativeStack;
  people: People;
}

const openParts = async (scripts: Scripts, paid: unknown[], people: People): Promise<Parts> => {
  const [temporal, database, browser, built] = await Promise.all([
    liveTemporal(),
    freshDatabase(),
    launchBrowser(),
    builtConsole(),
  ]);
  const store = await openStore({ databaseUrl: database.url });
  const native = await openNative({
    temporal,
    store,
    sandbox: { scripts: { refund: callsOnce('refund', REFUND, SAID), ...scripts } },
    tools: toolsOf(paid),
  });
  return { temporal, database, browser, built, store, native, people };
};

const serveNative = ({ native, store, built, people }: Parts, port = 0): Promise<ServedApi> => {
  const keys = parseApiKeys(KEYS);
  const console: ConsoleOptions = {
    store,
    keys,
    people,
    folder: built.dir,
    publicUrl: null,
    oidc: null,
    proxy: null,
    log: { info: () => undefined },
  };
  return serveApi(createApi({ engine: native.engine, auth: keyAuth(keys, people), console }), { port });
};

const signedIn = async (page: Page, key: string): Promise<void> => {
  await page.getByLabel('API key').fill(key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Console' }).waitFor();
};

const starter =
  (url: string, list: () => Promise<readonly Approval[]>) =>
  async ({
    model = 'scripted:refund',
    tool = 'refund',
    content,
    expiresIn,
  }: StartOptions = {}): Promise<Approval> => {
    const { beta } = new OpenAI({ baseURL: url, apiKey: CONSOLE_KEY.caller, maxRetries: 0 });
    const assistant = await beta.assistants.create({
      model,
      tools: [{ type: 'function', function: { name: tool, description: DESCRIPTIONS[tool] ?? '' } }],
    });
    const run = await beta.threads.createAndRun({
      assistant_id: assistant.id,
      thread: {
        messages: [{ role: 'user', content: content ?? 'I paid order A-1042 twice. Please pay it back.' }],
      },
      ...(expiresIn === undefined ? {} : ({ expires_in: expiresIn } as object)),
    });
    return vi.waitFor(
      async () => {
        const found = (await list()).find(({ run_id: id }) => id === run.id);
        if (found === undefined) throw new Error('No call of the run waits.');
        return found;
      },
      { timeout: 60_000, interval: 100 },
    );
  };

/** `people`: groups of alice, bob and carol. Default: none. */
export const openConsoleStack = async (
  scripts: Scripts = {},
  people: People = NO_PEOPLE,
): Promise<ConsoleStack> => {
  const paid: unknown[] = [];
  const parts = await openParts(scripts, paid, people);
  const { browser, native, built } = parts;
  let api = await serveNative(parts);
  const { url, origin } = { url: api.url, origin: new URL(api.url).origin };
  const of = (who: keyof typeof CONSOLE_KEY): ApprovalsClient =>
    new ApprovalsClient({ url, apiKey: CONSOLE_KEY[who] });
  return {
    browser,
    database: parts.database,
    paid,
    apiUrl: url,
    of,
    started: starter(url, async () => (await of('alice').list({ limit: 100 })).data),
    async windowOf(who, path = '/inbox', options = {}) {
      const { page, context, problems } = await openWindow(browser, `${origin}/console${path}`, options);
      await signedIn(page, CONSOLE_KEY[who]);
      onTestFinished(async () => {
        await context.close();
        expect(problems).toEqual([]);
      });
      return page;
    },
    stopApi: () => api.close(),
    async startApi() {
      api = await serveNative(parts, Number(new URL(url).port));
    },
    async close() {
      await browser.close();
      await api.close();
      await native.close();
      await parts.store.close();
      await built.remove();
      await parts.database.drop();
      await parts.temporal.close();
    },
  };
};

export const rowOf = (page: Page, { id }: { id: string }): Locator => page.locator(`[data-call="${id}"]`);
