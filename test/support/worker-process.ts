/**
 * A `runs worker` in its own process, to kill, stop or freeze. Tests only.
 *
 * Rule: it is ended by its pid only; its output is kept for the message of a failing test.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { deferred } from './deferred.ts';

const command = fileURLToPath(new URL('../../bin/runs.mjs', import.meta.url));

export interface WorkerProcess {
  pid: number;
  /** Everything on stderr so far. */
  said(): string;
  /** Everything on stdout so far. */
  printed(): string;
  /** Resolves at the line that begins with `ready`, rejects when the process ends before it. */
  ready: Promise<string>;
  exited: Promise<{ code: number | null; signal: string | null }>;
  signal(name: NodeJS.Signals): void;
}

/** `program`: what is run instead of the command of this checkout, such as that of a build. */
export const spawnWorker = (
  env: Record<string, string>,
  args: string[] = ['worker'],
  program: string = command,
): WorkerProcess => {
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ready = deferred<string>();
  const exited = deferred<{ code: number | null; signal: string | null }>();
  let text = '';
  let output = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (piece: string) => {
    output += piece;
  });
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (piece: string) => {
    text += piece;
    const line = text.split('\n').find((each) => each.startsWith('ready'));
    if (line !== undefined) ready.resolve(line);
  });
  child.once('close', (code, signal) => {
    exited.resolve({ code, signal });
    ready.reject(new Error(`The worker ended (${code ?? signal}) before it was ready:\n${text}`));
  });
  // Whoever kills a worker that is not ready yet need not wait for it to be.
  ready.promise.catch(() => undefined);
  const { pid } = child;
  if (pid === undefined) throw new Error('The worker could not be spawned.');
  return {
    pid,
    said: () => text,
    printed: () => output,
    ready: ready.promise,
    exited: exited.promise,
    signal: (name) => child.kill(name),
  };
};

/** The environment of a process that serves or carries out native runs on a PostgreSQL, with a model server of the test. */
export const nativeEnv = (places: {
  temporal: string;
  taskQueue: string;
  dataDir: string;
  database: { url: string };
  model: { url: string };
}): Record<string, string> => ({
  TEMPORAL_ADDRESS: places.temporal,
  RUNS_TASK_QUEUE: places.taskQueue,
  RUNS_BACKEND: 'chat',
  RUNS_DATA_DIR: places.dataDir,
  DATABASE_URL: places.database.url,
  OPENAI_BASE_URL: `${places.model.url}/v1`,
  OPENAI_API_KEY: 'key-of-the-model',
  PORT: '0',
});
