/**
 * `serve` and `worker` processes that share one database, one task queue and one scripted model server. `close` kills
 * them and removes everything. Imported by live tests.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { freshDatabase, type FreshDatabase } from './postgres.ts';
import { scriptedHttp, type ScriptedHttp } from './scripted-http.ts';
import { uniqueName } from './temporal.ts';
import { nativeEnv, spawnWorker, type WorkerProcess } from './worker-process.ts';

export interface ServerProcess {
  process: WorkerProcess;
  /** Ends in `/v1`. */
  url: string;
  openai: OpenAI;
}

export interface NativeProcesses {
  /** A directory that `close` removes. */
  dir: string;
  database: FreshDatabase;
  model: ScriptedHttp;
  taskQueue: string;
  /** Environment of each process. */
  env: Record<string, string>;
  start(...command: string[]): WorkerProcess;
  /** Resolves when the server listens. */
  serve(...options: string[]): Promise<ServerProcess>;
  close(): Promise<void>;
}

export const nativeProcesses = async (options: {
  /** Address of the Temporal server. */
  temporal: string;
  /** Begins the names of directory and task queue. */
  name: string;
  /** More environment variables. */
  env?: (dir: string) => Record<string, string>;
}): Promise<NativeProcesses> => {
  const { temporal, name } = options;
  const dir = await mkdtemp(join(tmpdir(), `durable-runs-${name}-`));
  const [database, model] = await Promise.all([freshDatabase(), scriptedHttp()]);
  const taskQueue = uniqueName(name);
  const processes: WorkerProcess[] = [];
  const env = {
    ...nativeEnv({ temporal, taskQueue, dataDir: dir, database, model }),
    ...options.env?.(dir),
  };
  const start = (...command: string[]): WorkerProcess => {
    const made = spawnWorker(env, command);
    processes.push(made);
    return made;
  };
  return {
    dir,
    database,
    model,
    taskQueue,
    env,
    start,
    async serve(...more) {
      const process = start('serve', ...more);
      const url = /http:\S+\/v1/.exec(await process.ready)?.[0] ?? '';
      return { process, url, openai: new OpenAI({ baseURL: url, apiKey: 'none', maxRetries: 0 }) };
    },
    async close() {
      for (const one of processes) one.signal('SIGKILL');
      await Promise.all(processes.map(({ exited }) => exited));
      await model.close();
      await database.drop();
      await rm(dir, { recursive: true, force: true });
    },
  };
};
