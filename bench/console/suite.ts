/**
 * What the console costs, and how quick it is: a decision against Temporal's update, a new call's way to an open page, viewers, idle
 * pages, the first paint with many calls, and the build. Real processes, and a headless Chromium on the same machine.
 *
 * Rule: decision and update are measured in turns, with the same pages open. Imported by `main.ts`.
 */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Client } from 'pg';
import type { Browser, BrowserContext } from 'playwright-core';
import { copyCalls } from '../../test/support/copied-calls.ts';
import { ROOT } from '../../test/support/sources.ts';
import { launchBrowser } from '../../test/support/web-ui.ts';
import { openServerBench, type ServerBench } from '../server-bench.ts';
import { settle } from '../server-capacity.ts';
import { alone, type Figure } from '../server-figures.ts';
import { loadOf, openHttp, type Http } from '../server-http.ts';
import { closed, inTurns, stampsOf } from '../server-latency.ts';
import { quantile, residentOf, wallClock } from '../usage.ts';
import { startGated, waitingCall } from './calls.ts';
import { approveIn, firstPaint, firstRow, openConsole, rowDrawn, signedInContext } from './windows.ts';

export interface ConsoleScale {
  /** Decisions of each side. */
  decisions: number;
  /** Calls that come while the inbox is open. */
  rows: number;
  viewers: readonly number[];
  idleMs: number;
  /** Calls that wait when the inbox is opened. */
  calls: number;
  /** Openings of that inbox. */
  paints: number;
}

interface Place extends ServerBench {
  /** A client with the person's key. */
  person: Http;
  browser: Browser;
  context: BrowserContext;
  origin: string;
}

const WARM_UP = 10;

const decisions = async (place: Place, count: number): Promise<Figure[]> => {
  const { bench, client, person, context, origin } = place;
  const { page, close } = await openConsole(context, origin, '/inbox');
  const times = { update: [] as number[], page: [] as number[] };
  const once = async (decide: (call: { id: string; runId: string; callId: string }) => Promise<number>) => {
    const gated = await startGated(bench);
    const call = await waitingCall(person, gated);
    // The page has shown it, and is at rest.
    await rowDrawn(page, call.id);
    const sent = await decide({ id: call.id, runId: gated.run, callId: call.call_id });
    await closed(bench, gated.run);
    return ((await stampsOf(bench, gated.key))[1] ?? Number.NaN) - sent;
  };
  const byUpdate = () =>
    once(async ({ runId, callId }) => {
      const sent = wallClock();
      await client.answer(runId, { call_id: callId, decision: 'approve', by: 'alice' });
      return sent;
    });
  const byPage = () => once(({ id }) => approveIn(page, id));
  const sides = [
    async () => void times.update.push(await byUpdate()),
    async () => void times.page.push(await byPage()),
  ];
  await inTurns(WARM_UP, sides);
  times.update = [];
  times.page = [];
  await inTurns(count, sides);
  await close();
  const row = (name: string, q: number): Figure => ({
    what: `decision leaves the page → model request ${name}`,
    against: "Temporal's update → model request",
    reference: quantile(times.update, q),
    ours: quantile(times.page, q),
    unit: 'ms',
  });
  return [{ ...row('p50', 0.5), target: { of: 'ratio', atMost: 1.3 } }, row('p99', 0.99)];
};

/** When the rows of calls were made, by the worker's clock: unix milliseconds. */
const askedAt = async (databaseUrl: string, ids: readonly string[]): Promise<Map<string, number>> => {
  const sql = new Client({ connectionString: databaseUrl });
  await sql.connect();
  try {
    const { rows } = await sql.query<{ id: string; asked_at: string }>(
      'select id, asked_at from approvals where id = any($1)',
      [ids],
    );
    return new Map(rows.map(({ id, asked_at: at }) => [id, Number(at)]));
  } finally {
    await sql.end();
  }
};

const newRows = async (place: Place, count: number): Promise<Figure[]> => {
  const { stage, bench, person, context, origin } = place;
  const { page, close } = await openConsole(context, origin, '/inbox');
  const drawn = new Map<string, number>();
  for (let index = -WARM_UP; index < count; index += 1) {
    const gated = await startGated(bench);
    const call = await waitingCall(person, gated);
    const at = await rowDrawn(page, call.id);
    if (index >= 0) drawn.set(call.id, at);
    await approveIn(page, call.id);
    await closed(bench, gated.run);
  }
  await close();
  const asked = await askedAt(stage.postgres.url, [...drawn.keys()]);
  const lags = [...drawn].map(([id, at]) => at - (asked.get(id) ?? Number.NaN));
  return [
    alone('a call waits → its row is drawn p50', quantile(lags, 0.5), 'ms', { of: 'value', atMost: 100 }),
    alone('the same p99', quantile(lags, 0.99), 'ms'),
  ];
};

const HEAP = /^nodejs_heap_size_used_bytes (\S+)$/m;

/** Memory of a server process of its own, with and without so many open inboxes. */
const viewers = async ({ stage }: Place, counts: readonly number[]): Promise<Figure[]> => {
  const fresh = await stage.anotherApi();
  const headers = { ...stage.headers, authorization: `Bearer ${stage.personKey}` };
  const load = loadOf(stage.load);
  const metrics = openHttp(new URL(fresh.url).origin, headers);
  const memory = async () => {
    await settle(5_000);
    const heap = Number(HEAP.exec(await metrics.get('/metrics'))?.[1] ?? Number.NaN);
    return { heap, resident: residentOf(fresh.process.pid) ?? Number.NaN };
  };
  const hold = (count: number): Promise<undefined> =>
    load.ask({
      kind: 'hold',
      urls: Array.from({ length: count }, () => `${fresh.url}/approvals/events`),
      headers,
    });
  try {
    // The heap has its size for so many then; what V8 has not collected is the noise.
    await hold(Math.max(...counts));
    await load.ask({ kind: 'release' });
    const figures: Figure[] = [];
    for (const count of counts) {
      const before = await memory();
      await hold(count);
      const after = await memory();
      const { held } = await load.ask({ kind: 'release' });
      if (held !== count) throw new Error(`${held} of ${count} streams were open.`);
      const row = (what: string, part: 'heap' | 'resident'): Figure =>
        alone(`${what} of serve a viewer, of ${count}`, (after[part] - before[part]) / count / 1024, 'KB');
      figures.push(row('growth of resident memory', 'resident'), row('growth of the heap in use', 'heap'));
    }
    return figures;
  } finally {
    await metrics.close();
    await fresh.stop();
  }
};

/** Requests that pages send while nothing changes, each in a window that somebody sees; a stream counts when it is opened. */
const idlePages = async ({ context, origin }: Place, ms: number): Promise<Figure[]> => {
  const paths = ['/inbox', '/runs', '/overview'];
  const windows = [];
  for (const path of paths) windows.push(await openConsole(context, origin, path));
  // What a page asks when it is opened.
  await settle(10_000);
  const before = windows.map(({ requests }) => requests());
  await settle(ms);
  const figures = windows.map(({ requests }, index) =>
    alone(
      `requests a minute of an idle page ${paths[index] ?? ''}`,
      ((requests() - (before[index] ?? 0)) / ms) * 60_000,
      '',
    ),
  );
  for (const { close } of windows) await close();
  return figures;
};

const paints = async (place: Place, calls: number, times: number): Promise<Figure[]> => {
  const { stage, bench, person, context, origin } = place;
  const call = await waitingCall(person, await startGated(bench));
  await copyCalls(stage.postgres.url, call.id, calls);
  const seen = { paint: [] as number[], row: [] as number[], all: [] as number[] };
  for (let turn = 0; turn < times; turn += 1) {
    const { page, close } = await openConsole(context, origin, '/inbox');
    seen.paint.push(await firstPaint(page));
    seen.row.push(await firstRow(page));
    await page.getByText(`${calls.toLocaleString('en')} waiting`).waitFor({ timeout: 60_000 });
    seen.all.push(await page.evaluate(() => performance.now()));
    await close();
  }
  const many = `${calls.toLocaleString('en')} waiting calls`;
  return [
    alone(`first contentful paint with ${many}, p50`, quantile(seen.paint, 0.5), 'ms', {
      of: 'value',
      atMost: 1_000,
    }),
    alone(`first row with ${many}, p50`, quantile(seen.row, 0.5), 'ms', { of: 'value', atMost: 1_000 }),
    alone(`all of the ${many} are known to the page, p50`, quantile(seen.all, 0.5), 'ms'),
  ];
};

const built = async ({ stage }: Place): Promise<Figure[]> => {
  const files = await readdir(join(stage.build, 'console'), { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    files
      .filter((file) => file.isFile() && !/\.(?:br|gz)$/.test(file.name))
      .map(async (file) => gzipSync(await readFile(join(file.parentPath, file.name))).length),
  );
  const began = performance.now();
  await promisify(execFile)(process.execPath, [join(ROOT, 'scripts', 'build-console.mjs')]);
  return [
    alone(
      'all files of the console, each compressed by gzip',
      sizes.reduce((a, b) => a + b, 0) / 1_000,
      'KB',
      {
        of: 'value',
        atMost: 200,
      },
    ),
    alone('build of the console, as "npm ci" does it', (performance.now() - began) / 1_000, 's', {
      of: 'value',
      atMost: 15,
    }),
  ];
};

/** `only`: a part of the name of a part; empty = all. */
export const benchConsole = async (
  scale: ConsoleScale,
  only: string,
  told: (phase: string) => void,
): Promise<Figure[]> => {
  const server = await openServerBench();
  const { stage } = server;
  const browser = await launchBrowser();
  const { origin } = new URL(stage.api.url);
  const person = openHttp(stage.api.url, { ...stage.headers, authorization: `Bearer ${stage.personKey}` });
  try {
    const context = await signedInContext(browser, origin, stage.personKey);
    const place: Place = { ...server, person, browser, context, origin };
    const parts: Record<string, () => Promise<Figure[]>> = {
      decisions: () => decisions(place, scale.decisions),
      'new calls': () => newRows(place, scale.rows),
      viewers: () => viewers(place, scale.viewers),
      'idle pages': () => idlePages(place, scale.idleMs),
      paints: () => paints(place, scale.calls, scale.paints),
      build: () => built(place),
    };
    const figures: Figure[] = [];
    for (const [name, part] of Object.entries(parts)) {
      if (!name.includes(only)) continue;
      told(name);
      figures.push(...(await part()));
    }
    return figures;
  } finally {
    await browser.close();
    await person.close();
    await server.close();
  }
};
