/**
 * The runs server as it is deployed: `runs serve` and `runs worker`, each a separate process, on a PostgreSQL database
 * and the Temporal dev server, with a scripted model on a socket of this process.
 *
 * Rule: no code of the project replaces a process. A test reads HTTP, the model's log, and the output of processes.
 * Every process is ended by its pid. Tests only.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { freePort } from '../../../dev-server/ports.ts';
import { createSandbox, type Sandbox, type SandboxOptions } from '../../../testing/index.ts';
import { freshDatabase } from '../postgres.ts';
import { uniqueName } from '../temporal.ts';
import { spawnWorker, type WorkerProcess } from '../worker-process.ts';

type Env = Record<string, string>;

export interface OfficialOptions {
  /** Over the environment of every process. */
  env?: Env;
  /** Default: a fresh database on the shared PostgreSQL. */
  databaseUrl?: string;
  /** Default: the shared dev server. */
  temporalAddress?: string;
  sandbox?: SandboxOptions;
  /** Source of the worker's tools file, after the imports of `defineTools`, `z` and `note(text)`. Default: no tools. */
  tools?: string;
  /** API processes to begin with. Default 1. */
  apis?: number;
  /** Worker processes to begin with. Default 1. */
  workers?: number;
}

export interface ApiProcess extends WorkerProcess {
  /** Ends in `/v1`. */
  url: string;
  port: number;
}

export interface OfficialServer {
  /** Of the first API process. */
  url: string;
  sandbox: Sandbox;
  databaseUrl: string;
  taskQueue: string;
  /** Every process that was ever started here, oldest first. */
  processes: WorkerProcess[];
  apis: ApiProcess[];
  workers: WorkerProcess[];
  /** Resolves when it takes requests. `port`: the one of a process that is gone, to come back in its place. */
  startApi(env?: Env, port?: number): Promise<ApiProcess>;
  /** Resolves when it takes work. */
  startWorker(env?: Env): Promise<WorkerProcess>;
  /** A process that may refuse to start. */
  spawn(command: 'serve' | 'worker', env?: Env): WorkerProcess;
  /** File that the tools' `note` appends to. */
  notes: string;
  close(): Promise<void>;
}

/** A sample of what an operator must keep secret, to look for where it must not be. */
export const CANARIES = {
  model: 'sk-canary-model-key-7f3a9c',
  databasePassword: 'canary-database-password-51d2',
} as const;

const source = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

const toolsSource = (tools: string, notes: string): string => `
  import { appendFileSync } from 'node:fs';
  import { defineTools } from ${source('../../../activities/tools/define.ts')};
  import { z } from ${JSON.stringify(import.meta.resolve('zod'))};
  const note = (text: string) => appendFileSync(${JSON.stringify(notes)}, text + '\\n');
  ${tools}
`;

export const openOfficial = async (options: OfficialOptions = {}): Promise<OfficialServer> => {
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-official-'));
  const notes = join(dir, 'notes');
  await writeFile(notes, '');
  if (options.tools !== undefined) await writeFile(join(dir, 'tools.ts'), toolsSource(options.tools, notes));
  const database = options.databaseUrl === undefined ? await freshDatabase() : null;
  const databaseUrl = options.databaseUrl ?? database?.url ?? '';
  const sandbox = await createSandbox({ apiKey: CANARIES.model, ...options.sandbox });
  const taskQueue = uniqueName('official');
  const processes: WorkerProcess[] = [];
  const apis: ApiProcess[] = [];
  const workers: WorkerProcess[] = [];

  const spawn: OfficialServer['spawn'] = (command, env = {}) => {
    const made = spawnWorker(
      {
        RUNS_BACKEND: 'chat',
        DATABASE_URL: databaseUrl,
        TEMPORAL_ADDRESS: options.temporalAddress ?? inject('temporalAddress'),
        RUNS_TASK_QUEUE: taskQueue,
        // Kept between test files: the workflow bundle is made once.
        RUNS_DATA_DIR: join(tmpdir(), 'durable-runs-official'),
        ...(command === 'worker'
          ? {
              OPENAI_BASE_URL: sandbox.modelUrl,
              OPENAI_API_KEY: CANARIES.model,
              ...(options.tools === undefined ? {} : { RUNS_TOOLS: join(dir, 'tools.ts') }),
            }
          : {}),
        ...options.env,
        ...env,
      },
      [command],
    );
    processes.push(made);
    return made;
  };
  const startApi: OfficialServer['startApi'] = async (env = {}, port) => {
    const made = spawn('serve', { PORT: String(port ?? (await freePort())), ...env });
    const url = /^ready api at (\S+),/.exec(await made.ready)?.[1];
    if (url === undefined) throw new Error(`\`runs serve\` named no address:\n${made.said()}`);
    const api = { ...made, url, port: Number(new URL(url).port) };
    apis.push(api);
    return api;
  };
  const startWorker: OfficialServer['startWorker'] = async (env) => {
    const made = spawn('worker', env);
    await made.ready;
    workers.push(made);
    return made;
  };

  const close = async (): Promise<void> => {
    for (const process of processes) process.signal('SIGKILL');
    await Promise.all(processes.map(({ exited }) => exited));
    await sandbox.close();
    await database?.drop();
    await rm(dir, { recursive: true, force: true });
  };

  try {
    // The first process makes the tables; the others find them.
    for (let count = options.apis ?? 1; count > 0; count -= 1) await startApi();
    await Promise.all(Array.from({ length: options.workers ?? 1 }, () => startWorker()));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    url: apis[0]?.url ?? '',
    sandbox,
    databaseUrl,
    taskQueue,
    processes,
    apis,
    workers,
    startApi,
    startWorker,
    spawn,
    notes,
    close,
  };
};
