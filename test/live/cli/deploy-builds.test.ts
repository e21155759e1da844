/** docs/how-to/deploy-a-new-build.md as it is printed: two builds, a run that waits on the old one, promote, ramp, drain. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { freePort } from '../../../dev-server/ports.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';
import { ROOT } from '../../support/sources.ts';
import { uniqueName } from '../../support/temporal.ts';

interface Terminal {
  child: ChildProcess;
  output: () => string;
  said: (what: RegExp) => Promise<void>;
  ended: Promise<number | null>;
}

let dir: string;
let database: FreshDatabase;
let env: Record<string, string>;
/** Lines of the page by what they contain. */
let lines: string[];
const terminals: Terminal[] = [];

const open = (line: string): Terminal => {
  const child = spawn('/bin/sh', ['-c', `. ./env.sh; ${line}`], {
    cwd: dir,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  const looks = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      for (const look of looks) look();
    });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const terminal: Terminal = {
    child,
    output: () => output,
    ended,
    said: (what) =>
      new Promise((resolve, reject) => {
        const look = (): void => void (what.test(output) && resolve());
        looks.add(look);
        look();
        void ended.then((code) => reject(new Error(`It ended (${code}) without ${what}:\n${output}`)));
      }),
  };
  terminals.push(terminal);
  return terminal;
};

const interrupt = async ({ child, ended }: Terminal): Promise<void> => {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined)
    process.kill(-child.pid, 'SIGINT');
  await ended;
};

const printed = (text: string): string => {
  const found = lines.find((line) => line.includes(text));
  if (found === undefined) throw new Error(`The page has no line with ${JSON.stringify(text)}.`);
  return found;
};

/** A line of the page, typed. `NAME=$(…)` keeps what it prints for the lines after it. */
const type = async (text: string): Promise<string> => {
  const line = printed(text);
  const [, name] = /^([A-Z]+)=\$\(/.exec(line) ?? [];
  const terminal = open(name === undefined ? line : `${line}; printf %s "$${name}"`);
  const code = await terminal.ended;
  if (code !== 0) throw new Error(`${line} ended with ${code}:\n${terminal.output()}`);
  if (name !== undefined) env[name] = terminal.output().trim();
  return terminal.output();
};

/** The runs of this page that wait. The list is that of the namespace, in which other tests have runs, too. */
const waiting = async (): Promise<string[]> => {
  const listed = await type('list --waiting');
  return ['OLD', 'NEW'].map((name) => env[name] ?? '').filter((run) => run !== '' && listed.includes(run));
};

beforeAll(async () => {
  const page = await readFile(join(ROOT, 'docs', 'how-to', 'deploy-a-new-build.md'), 'utf8');
  const blocks = [...page.matchAll(/^```\w+\n([^]*?)^```$/gm)].map(([, code = '']) => code);
  // Below the checkout, where `npx runs` and the imports are found as in a project that has installed the package.
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  dir = await mkdtemp(join(ROOT, '.cache', 'builds-'));
  database = await freshDatabase();
  const [port, modelPort] = [await freePort(), await freePort()];
  const queue = uniqueName('shop');
  // Addresses and names that no other test of this machine has.
  const here = (text: string): string =>
    text
      .replace('127.0.0.1:7233', inject('temporalAddress'))
      .replace(/postgres:\S+/, database.url)
      .replaceAll('8899', String(modelPort))
      // A checkout may have no build, which the package's name stands for outside of the worker.
      .replace(
        "'durable-runs/testing'",
        JSON.stringify(new URL('../../../testing/index.ts', import.meta.url).href),
      )
      .replace(
        'RUNS_DEPLOYMENT=shop RUNS_TASK_QUEUE=shop',
        `RUNS_DEPLOYMENT=${queue} RUNS_TASK_QUEUE=${queue}`,
      );
  for (const code of blocks) {
    const [, name] = /^(?:\/\/|#) ([\w-]+\.\w+)\n/.exec(code) ?? [];
    if (name !== undefined) await writeFile(join(dir, name), here(code));
  }
  lines = blocks.flatMap((code) => code.split('\n')).filter((line) => line !== '' && !line.startsWith('#'));
  const { PATH = '', HOME = '' } = process.env;
  env = { PATH, HOME, PORT: String(port), RUNS_URL: `http://127.0.0.1:${port}` };
});

afterAll(async () => {
  for (const terminal of terminals) await interrupt(terminal);
  await rm(dir, { recursive: true, force: true });
  await database.drop();
});

describe('two builds', { timeout: 240_000 }, () => {
  test('a run that waits on the old build ends there, and the page says when its workers may stop', async () => {
    const api = open(printed('runs serve').replace('node ', 'node --import tsx '));
    const old = open(printed('RUNS_BUILD_ID=v1'));
    await Promise.all([api.said(/^ready api/m), api.said(/^ready model/m), old.said(/^ready worker/m)]);

    expect(await type('deployment show')).toMatch(/has no current build: new runs on .* stay queued/);
    expect(await type('promote v1')).toMatch(/^build v1 is current: new runs begin on it$/m);
    await type('ASSISTANT=');
    await type('OLD=');
    await expect.poll(() => waiting(), { timeout: 30_000 }).toEqual([env['OLD']]);

    const next = open(printed('RUNS_BUILD_ID=v2'));
    await next.said(/^ready worker/m);
    expect(await type('ramp v2 50')).toMatch(/^v2 +ramping: takes 50 % of new runs/m);
    expect(await type('promote v2')).toMatch(/^v1 +takes no new runs +1 /m);
    await type('NEW=');
    expect(await type('deployment drain')).toContain(
      `build v1: 1 run, its workers are still needed (${env['OLD']})`,
    );
    await expect.poll(() => waiting(), { timeout: 30_000 }).toEqual([env['OLD'], env['NEW']]);

    await type('answer $OLD');
    expect(await type('drain --wait')).toMatch(/^build v1: no runs are left, its workers may be stopped$/m);
    expect(await type('show $OLD')).toMatch(/Build v1 paid order/);
    await interrupt(old);

    await type('answer $NEW');
    await expect.poll(() => type('show $NEW'), { timeout: 30_000 }).toMatch(/Build v2 paid order/);
    expect(await type('doctor')).toMatch(/^ok +deployment .*new runs go to build v2/m);
  });
});
