/** The programs of `examples/`, each run as its README says, in a folder of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { freePort } from '../../../dev-server/ports.ts';
import { pythonClient } from '../../support/python.ts';
import { ROOT } from '../../support/sources.ts';

let folder: string;

beforeAll(async () => {
  // Below the checkout, where zod, openai and Temporal's packages are found.
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  folder = await mkdtemp(join(ROOT, '.cache', 'examples-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A copy of an example, with this checkout in the place of the installed package. */
const copyOf = async (name: string): Promise<string> => {
  const dir = join(folder, name);
  await cp(join(ROOT, 'examples', name), dir, { recursive: true });
  const installed = join(dir, 'node_modules', 'durable-runs');
  await mkdir(installed, { recursive: true });
  const entries = { '.': 'client', './worker': 'worker', './testing': 'testing' };
  for (const room of Object.values(entries))
    await writeFile(
      join(installed, `${room}.ts`),
      `export * from ${JSON.stringify(join(ROOT, room, 'public.ts'))};\n`,
    );
  const exports = Object.fromEntries(Object.entries(entries).map(([key, room]) => [key, `./${room}.ts`]));
  await writeFile(
    join(installed, 'package.json'),
    JSON.stringify({ name: 'durable-runs', version: '0.0.0', type: 'module', exports }),
  );
  return dir;
};

interface Running {
  child: ChildProcess;
  output: () => string;
  /** Resolves when the output matches; rejects when the process ends without it. */
  said: (what: RegExp) => Promise<RegExpExecArray>;
  ended: Promise<number | null>;
}

const start = (dir: string, env: NodeJS.ProcessEnv, line: string): Running => {
  const { PATH, HOME } = process.env;
  const child = spawn('/bin/sh', ['-c', line], {
    cwd: dir,
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  const checks = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      for (const check of checks) check();
    });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const said = (what: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        const found = what.exec(output);
        if (found !== null) resolve(found);
      };
      checks.add(check);
      check();
      void ended.then((code) => reject(new Error(`It ended (${code}) without ${what}:\n${output}`)));
    });
  return { child, output: () => output, said, ended };
};

interface Shell {
  run: (line: string) => Running;
  /** Ends `runs dev` and starts it again with other variables. */
  restart: (env: NodeJS.ProcessEnv) => Promise<void>;
}

const RUNS = `node ${join(ROOT, 'bin', 'runs.mjs')}`;

/** An example with `runs dev` beside it. Its data directory is in the folder, so every command finds the servers. */
const withServer = async (name: string, env: NodeJS.ProcessEnv): Promise<Shell> => {
  const dir = await copyOf(name);
  const port = await freePort();
  const client = { OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`, OPENAI_API_KEY: 'none' };
  let all: NodeJS.ProcessEnv = { ...env, PORT: String(port), ...client };
  let server: Running;
  const dev = async (): Promise<void> => {
    server = start(dir, all, `exec ${RUNS} dev`);
    await server.said(/^ready: runs dev/m);
  };
  const stop = async (): Promise<void> => {
    if (server.child.pid !== undefined) process.kill(-server.child.pid, 'SIGINT');
    await server.ended;
  };
  await dev();
  onTestFinished(() => stop());
  return {
    run: (line) => start(dir, all, line.replace(/^runs /, `${RUNS} `)),
    restart: async (more) => {
      await stop();
      all = { ...all, ...more };
      await dev();
    },
  };
};

const waitingRun = async (shell: Shell): Promise<string> => {
  let runId: string | undefined;
  await expect
    .poll(
      async () => {
        const listed = shell.run('runs list --waiting --json');
        await listed.ended;
        const json = /\{[^]*\}/.exec(listed.output())?.[0] ?? '{}';
        runId = (JSON.parse(json) as { runs?: { runId: string }[] }).runs?.[0]?.runId;
        return runId;
      },
      { timeout: 60_000 },
    )
    .toMatch(/^run_/);
  return runId ?? '';
};

describe('the example', { timeout: 180_000 }, () => {
  test('hello-tools runs its tool on the worker', async () => {
    const shell = await withServer('hello-tools', { RUNS_TOOLS: './tools.ts' });
    const client = shell.run('node client.mjs');
    expect(await client.ended, client.output()).toBe(0);
    expect(client.output()).toMatch(/^completed .*get_temperature said: No temperature is known for /m);
  });

  test('approval-web-ui waits for a person, and runs the tool after the approval', async () => {
    const shell = await withServer('approval-web-ui', { RUNS_TOOLS: './tools.ts' });
    const client = shell.run('node client.mjs');
    const runId = await waitingRun(shell);
    const page = shell.run(`runs show ${runId}`);
    await page.ended;
    expect(page.output()).toContain('deploy');
    expect(await shell.run(`runs answer ${runId} --approve`).ended).toBe(0);
    expect(await client.ended).toBe(0);
    expect(client.output()).toMatch(/^completed .*Deployed /m);
  });

  test('follow-up goes on without the answer, which a new run then carries', async () => {
    const shell = await withServer('follow-up', { RUNS_TOOLS: './tools.ts', ANSWER_WITHIN: '3s' });
    const client = shell.run('node client.mjs');
    expect(await client.ended, client.output()).toBe(0);
    const [, command = '', runId = ''] =
      /^waiting: npx (runs answer (run_\w+) .*)$/m.exec(client.output()) ?? [];
    expect(client.output()).toMatch(new RegExp(`^completed ${runId}$`, 'm'));
    const answer = shell.run(`${command} --json`);
    expect(await answer.ended, answer.output()).toBe(0);
    const [, next = ''] = /"follow_up_run_id": "(\w+)"/.exec(answer.output()) ?? [];
    expect(next).toMatch(/^run_/);
    const watched = shell.run(`runs watch ${next}`);
    expect(await watched.ended, watched.output()).toBe(0);
  });

  test('encryption reads payloads of the old key after a rotation', async () => {
    const [first, second] = ['1'.repeat(64), '2'.repeat(64)];
    const env = { RUNS_TOOLS: './tools.ts', RUNS_ENCRYPTION_KEYS: `old:${first}` };
    const shell = await withServer('encryption', env);
    const client = shell.run('node client.mjs');
    const runId = await waitingRun(shell);
    await shell.restart({ RUNS_ENCRYPTION_KEYS: `new:${second},old:${first}` });
    expect(await shell.run(`runs answer ${runId} --approve`).ended).toBe(0);
    // The official client polls again after the restart, or gives up: the run's own end counts.
    const watched = shell.run(`runs watch ${runId}`);
    expect(await watched.ended, watched.output()).toBe(0);
    await client.ended;
    const withoutOld = shell.run(`RUNS_ENCRYPTION_KEYS=new:${second} ${RUNS} show ${runId}`);
    expect(await withoutOld.ended).not.toBe(0);
    expect(withoutOld.output()).toMatch(/"old"/);
  });

  test('python-client answers with its own function and streams', async () => {
    const shell = await withServer('python-client', {});
    const { command, env } = await pythonClient('newest');
    const variables = Object.entries(env).map(([name, value]) => `${name}='${value}'`);
    const client = shell.run(`${variables.join(' ')} ${command} client.py`);
    expect(await client.ended, client.output()).toBe(0);
    expect(client.output()).toMatch(/pieces of /);
    expect(client.output()).toMatch(/^completed$/m);
  });

  test('own-worker serves its workflow and a run on one worker', async () => {
    const dir = await copyOf('own-worker');
    const env = {
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      TASK_QUEUE: `own-worker-${process.pid}`,
    };
    const program = start(dir, env, `${join(ROOT, 'node_modules', '.bin', 'tsx')} main.ts`);
    expect(await program.ended, program.output()).toBe(0);
    expect(program.output()).toMatch(/^Hello, Ada completed add ok$/m);
  });
});
