/**
 * Folders with this checkout in the place of the installed package, and `runs dev` beside them: for the examples and the tutorial.
 *
 * Rule: each folder has servers of its own, which end with the test.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { freePort } from '../../dev-server/ports.ts';
import { ROOT } from './sources.ts';

/** Below the checkout, where zod, openai and Temporal's packages are found. */
export const makeProgramFolder = async (name: string): Promise<string> => {
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  const dir = await mkdtemp(join(ROOT, '.cache', `${name}-`));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
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

export interface RunningProgram {
  child: ChildProcess;
  output: () => string;
  /** Resolves when the output matches; rejects when the process ends without it. */
  said: (what: RegExp) => Promise<RegExpExecArray>;
  ended: Promise<number | null>;
}

export const startProgram = (dir: string, env: NodeJS.ProcessEnv, line: string): RunningProgram => {
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

export interface ProgramShell {
  run: (line: string) => RunningProgram;
  /** Ends `runs dev` and starts it again, with more variables. */
  restart: (env: NodeJS.ProcessEnv) => Promise<void>;
}

export const RUNS_COMMAND = `node ${join(ROOT, 'bin', 'runs.mjs')}`;

/** `runs dev` in a folder. Its data directory is in the folder, so every command there finds the servers. */
export const startServerIn = async (dir: string, env: NodeJS.ProcessEnv): Promise<ProgramShell> => {
  const port = await freePort();
  const client = { OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`, OPENAI_API_KEY: 'none' };
  let all: NodeJS.ProcessEnv = { ...env, PORT: String(port), ...client };
  let server: RunningProgram;
  const dev = async (): Promise<void> => {
    server = startProgram(dir, all, `exec ${RUNS_COMMAND} dev`);
    await server.said(/^ready: runs dev/m);
  };
  const stop = async (): Promise<void> => {
    if (server.child.pid !== undefined) process.kill(-server.child.pid, 'SIGINT');
    await server.ended;
  };
  await dev();
  onTestFinished(() => stop());
  return {
    run: (line) => startProgram(dir, all, line.replace(/^runs /, `${RUNS_COMMAND} `)),
    restart: async (more) => {
      await stop();
      all = { ...all, ...more };
      await dev();
    },
  };
};
