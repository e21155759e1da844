/**
 * The commands that stay, as processes that a user or a container starts: `runs worker` and `runs serve` with the
 * environment of docker-compose.yml, and `runs dev` through kill -9.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import { afterEach, describe, expect, inject, test } from 'vitest';
import { freePort } from '../../../dev-server/ports.ts';
import { isAlive } from '../../../app/dev-state.ts';
import { createSandbox } from '../../../testing/index.ts';
import { cli, spawnCli, type CliProcess } from '../../support/cli.ts';
import { containerEnv, parseCompose, type ComposeFile, type ComposeService } from '../../support/compose.ts';
import { freshDatabase } from '../../support/postgres.ts';
import { ROOT } from '../../support/sources.ts';
import { uniqueName } from '../../support/temporal.ts';

const run = promisify(execFile);

/** Ended after each test, whatever it came to. */
const started: CliProcess[] = [];
const start = (...args: Parameters<typeof spawnCli>): CliProcess => {
  const child = spawnCli(...args);
  started.push(child);
  return child;
};
afterEach(async () => {
  for (const child of started.splice(0)) {
    child.signal('SIGKILL');
    await child.ended;
  }
});

const service = (name: string): ComposeService => {
  const found = (parseCompose() as ComposeFile).services[name];
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}.`);
  return found;
};

describe('the services of docker-compose.yml', { timeout: 120_000 }, () => {
  test('start with their own commands and environments, are healthy, run a run, and stop in good order', async () => {
    const database = await freshDatabase();
    const sandbox = await createSandbox();
    try {
      const key = 'a-key-of-forty-characters-for-this-test!';
      const host = {
        RUNS_DB_PASSWORD: 'unused',
        OPENAI_BASE_URL: sandbox.modelUrl,
        RUNS_API_KEYS: `team:${key}:*`,
      };
      // What is different outside of containers: addresses, and ports that others may have taken.
      const [port, metrics] = [await freePort(), await freePort()];
      const here = {
        TEMPORAL_ADDRESS: inject('temporalAddress'),
        DATABASE_URL: database.url,
        RUNS_TASK_QUEUE: uniqueName('compose'),
      };
      const tools = join(ROOT, 'deploy', 'tools', 'tools.mjs');
      const worker = start(service('worker').command ?? [], {
        env: {
          ...containerEnv(service('worker'), { ...host, RUNS_TOOLS: tools }),
          ...here,
          RUNS_METRICS_PORT: String(metrics),
        },
      });
      const serve = start(service('serve').command ?? [], {
        env: { ...containerEnv(service('serve'), host), ...here, PORT: String(port) },
      });
      await worker.said(/^ready .*current_time/m);
      await serve.said(/^ready /m);

      const healthy = async (name: string, from: string, to: number): Promise<void> => {
        const [kind, program = '', ...args] = service(name).healthcheck?.test ?? [];
        expect(kind).toBe('CMD');
        await run(
          program,
          args.map((arg) => arg.replace(from, String(to))),
        );
      };
      await healthy('worker', '9464', metrics);
      await healthy('serve', '8787', port);
      await expect(healthy('serve', '8787', await freePort())).rejects.toThrow(/Command failed/);

      const openai = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: key });
      const assistant = await openai.beta.assistants.create({
        model: 'scripted:auto',
        tools: [
          {
            type: 'function',
            function: { name: 'current_time', parameters: { type: 'object', properties: {} } },
          },
        ],
      });
      const done = await openai.beta.threads.createAndRunPoll({
        assistant_id: assistant.id,
        thread: { messages: [] },
      });
      expect(done.status).toBe('completed');
      const said = await openai.beta.threads.messages.list(done.thread_id);
      expect(JSON.stringify(said.data[0]?.content)).toMatch(/current_time said: \d{4}-/);

      worker.signal('SIGTERM');
      serve.signal('SIGTERM');
      const ended = await Promise.all([worker.ended, serve.ended]);
      expect(ended.map(({ code }) => code)).toEqual([0, 0]);
      expect(ended.map(({ stdout }) => stdout)).toEqual(['', '']);
    } finally {
      await sandbox.close();
      await database.drop();
    }
  });
});

describe('a process that can not start', () => {
  test.each([
    ['worker', {}, /RUNS_BACKEND is "sandbox"/],
    [
      'serve',
      { RUNS_BACKEND: 'assistants', OPENAI_BASE_URL: 'http://127.0.0.1:9/v1' },
      /has no API to serve/,
    ],
    ['serve', { RUNS_BACKEND: 'chat', OPENAI_API_KEY: 'sk-canary' }, /DATABASE_URL is needed/],
    ['serve --worker', { RUNS_BACKEND: 'chat', OPENAI_API_KEY: 'sk-canary' }, /DATABASE_URL is needed/],
    [
      'serve --worker',
      { RUNS_BACKEND: 'chat', DATABASE_URL: 'postgres://127.0.0.1:9/none' },
      /OPENAI_BASE_URL is needed/,
    ],
    [
      'serve --worker',
      {
        RUNS_BACKEND: 'chat',
        DATABASE_URL: 'postgres://127.0.0.1:9/none',
        OPENAI_API_KEY: 'sk-canary',
        RUNS_TOOLS: './no-such-file.ts',
      },
      /RUNS_TOOLS="\.\/no-such-file\.ts" can't be used/,
    ],
    ['dev', { RUNS_BACKEND: 'maybe' }, /RUNS_BACKEND must be .*got "maybe"/],
    ['dev', { RUNS_TOOLS: './no-such-file.ts' }, /RUNS_TOOLS="\.\/no-such-file\.ts" can't be used/],
    [
      'worker',
      {
        RUNS_BACKEND: 'assistants',
        OPENAI_BASE_URL: 'http://127.0.0.1:9/v1',
        TEMPORAL_ADDRESS: '127.0.0.1:9',
      },
      /Temporal at "127\.0\.0\.1:9" can't be reached/,
    ],
  ])('%s with %j says why, without a stack, and exits', async (command, env, message) => {
    const dir = await mkdtemp(join(tmpdir(), 'durable-runs-refused-'));
    try {
      const refused = await start([...command.split(' '), '--json'], { env: { RUNS_DATA_DIR: dir, ...env } })
        .ended;
      expect(refused.stderr).toMatch(message);
      expect(refused.stderr).not.toMatch(/\n\s+at |canary/);
      expect(refused.json()).toMatchObject({ error: { message: expect.stringMatching(message) } });
      expect([2, 5]).toContain(refused.code);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});

describe('runs dev', { timeout: 180_000 }, () => {
  interface Ready {
    ready: true;
    temporalAddress: string;
    apiUrl: string;
    uiUrl: string;
    assistantId: string;
  }

  const ready = async (child: CliProcess): Promise<Ready> => {
    await child.said(/^ready: runs dev/m);
    const read: Ready = JSON.parse(child.stdout());
    return read;
  };

  test('keeps its state from other users of the machine', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'durable-runs-dev-'));
    const state = join(dir, 'state');
    const child = start(['dev', '--json'], { env: { RUNS_DATA_DIR: state }, cwd: dir });
    try {
      await ready(child);
      expect((await stat(state)).mode & 0o777).toBe(0o700);
      const files = (await readdir(state, { withFileTypes: true })).filter((entry) => entry.isFile());
      expect(files.map(({ name }) => name)).toContain('temporal.db');
      const modes = await Promise.all(
        files.map(async ({ name }) => (await stat(join(state, name))).mode & 0o077),
      );
      expect(new Set(modes)).toEqual(new Set([0]));
    } finally {
      child.signal('SIGTERM');
      await child.ended;
      await rm(dir, { recursive: true, force: true });
    }
  });

  test('survives kill -9 with a run that waits, finds its ports again, and leaves nothing behind', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'durable-runs-dev-'));
    const env = { RUNS_DATA_DIR: join(dir, 'state') };
    try {
      const first = start(['dev', '--json'], { env, cwd: dir });
      const before = await ready(first);
      const begun = await cli(
        ['start', '--assistant', before.assistantId, '--message', 'Deploy', '--json'],
        env,
      );
      const { runId } = begun.json() as { runId: string };
      const showed = async (): Promise<{ callId: string; state: string } | undefined> => {
        const shown = await cli(['show', runId, '--json'], env);
        return (shown.json() as { run: { calls: { callId: string; state: string }[] } }).run.calls[0];
      };
      await expect.poll(async () => (await showed())?.state, { timeout: 30_000 }).toBe('waiting');
      const call = await showed();
      const notes = JSON.parse(await readFile(join(env.RUNS_DATA_DIR, 'dev.json'), 'utf8')) as {
        temporalPid: number;
      };

      const second = await start(['dev'], { env, cwd: dir }).ended;
      expect(second.code).toBe(2);
      // Of the process below the supervisor.
      expect(second.stderr).toMatch(/in use by process \d+/);

      first.signal('SIGKILL');
      await first.ended;
      const again = start(['dev', '--json'], { env, cwd: dir });
      const after = await ready(again);
      expect(isAlive(notes.temporalPid)).toBe(false);
      expect(after).toEqual(before);

      await expect.poll(async () => (await showed())?.state, { timeout: 30_000 }).toBe('waiting');
      const answer = await cli(['answer', runId, call?.callId ?? '', '--output', 'all green'], env);
      expect([answer.code, answer.stderr]).toEqual([0, '']);
      await expect.poll(async () => (await showed())?.callId, { timeout: 30_000 }).not.toBe(call?.callId);
      const told = JSON.parse(await readFile(join(env.RUNS_DATA_DIR, 'dev.json'), 'utf8')) as {
        temporalPid: number;
      };
      again.signal('SIGINT');
      expect((await again.ended).code).toBe(0);
      expect(isAlive(told.temporalPid)).toBe(false);
      expect((await cli(['list'], { ...env, TEMPORAL_ADDRESS: after.temporalAddress })).code).toBe(5);
      // The default address may have another server's runs.
      const stopped = await cli(['list', '--json'], env);
      expect([stopped.code, stopped.json()]).toEqual([
        5,
        { error: expect.objectContaining({ code: 'dev_not_running' }) },
      ]);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });

  test('runs the tools of a TypeScript file', async () => {
    // Inside the checkout, so that the file finds zod as a user's would.
    await mkdir(join(ROOT, '.cache'), { recursive: true });
    const dir = await mkdtemp(join(ROOT, '.cache', 'tools-'));
    const env = { RUNS_DATA_DIR: join(dir, 'state'), RUNS_TOOLS: './tools.ts' };
    try {
      await writeFile(
        join(dir, 'tools.ts'),
        `import { defineTools } from 'durable-runs/worker';
         import { z } from 'zod';
         const shout = (text: string): string => text.toUpperCase();
         export default defineTools({
           shout: { description: 'Shouts.', parameters: z.object({ text: z.string() }), execute: ({ text }) => shout(text) },
         });`,
      );
      const dev = start(['dev', '--json'], { env, cwd: dir });
      const { assistantId } = await ready(dev);
      const done = await cli(
        ['start', '--assistant', assistantId, '--message', 'Go', '--wait', '--json'],
        env,
      );
      expect(done.json()).toMatchObject({
        run: { status: 'completed' },
        messages: ['Done. shout said: EXAMPLE'],
      });
      dev.signal('SIGTERM');
      expect((await dev.ended).code).toBe(0);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});
