/**
 * The processes of the server benchmark: PostgreSQL that syncs to disk, Temporal in memory, a model server without
 * delay, `runs serve` and `runs worker` from a build of the current sources, and the worker of the bare workflow.
 *
 * Rule: every measured part is a separate process, found by its pid. The settings are those of a deployment (API keys
 * on, default cache); this file names the differences.
 */
import { execFile, type ChildProcess } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { startTemporal, type TemporalServer } from '../dev-server/temporal-server.ts';
import { SEARCH_ATTRIBUTES } from '../protocol/temporal/names.ts';
import { startPostgres, type PostgresServer } from '../test/support/postgres-server.ts';
import { ROOT } from '../test/support/sources.ts';
import { spawnWorker, type WorkerProcess } from '../test/support/worker-process.ts';
import { BARE_QUEUE, forked, gone } from './processes.ts';

const QUEUE = 'bench-server';
/** Below the checkout, so that the dependencies are found in its node_modules. */
const BUILD = join(ROOT, '.cache', 'bench-build');

/** A tool that every worker has; runs that name it are answered without a client. */
export const WORKER_TOOL = {
  type: 'function' as const,
  function: { name: 'echo', parameters: { type: 'object', properties: { text: { type: 'string' } } } },
};
/** A tool of every worker that a person must allow. */
export const GATED_TOOL = {
  type: 'function' as const,
  function: { name: 'refund', parameters: { type: 'object', properties: { text: { type: 'string' } } } },
};
const TOOLS_FILE = join(BUILD, 'tools.mjs');
const TOOLS = `
  import { defineTools } from './worker/public.js';
  import { z } from 'zod';
  export default defineTools({
    echo: {
      description: 'Gives back its text.',
      parameters: z.object({ text: z.string() }),
      execute: ({ text }) => text,
    },
    refund: {
      description: 'Pays money back.',
      parameters: z.object({ text: z.string() }),
      needsApproval: true,
      execute: ({ text }) => text,
    },
  });
`;

/** What a package holds: sources run through a loader are slower and larger. */
const build = async (): Promise<void> => {
  await promisify(execFile)(process.execPath, [join(ROOT, 'scripts', 'build.mjs'), BUILD]);
  await writeFile(TOOLS_FILE, TOOLS);
};
/** As the compose file starts `serve`. */
const SERVE_OPTIONS = '--max-semi-space-size=4';
const MALLOC = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072' };
/** What the benchmark was started with (a profiler, say) stands behind them. */
const nodeOptions = (own = ''): { NODE_OPTIONS: string } => ({
  NODE_OPTIONS: `${own} ${process.env['NODE_OPTIONS'] ?? ''}`.trim(),
});
const serveOptions = () => ({ ...nodeOptions(SERVE_OPTIONS), ...MALLOC });
/** Settings of the worker that the benchmark's environment may name. */
const WORKER_SETTINGS = ['RUNS_MAX_CACHED_RUNS', 'MALLOC_ARENA_MAX', 'MALLOC_TRIM_THRESHOLD_'] as const;
const workerSettings = (): Record<string, string> =>
  Object.fromEntries(
    WORKER_SETTINGS.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
const KEY = 'bench-key-0123456789abcdef';
/** Of the person who uses the console. */
const PERSON_KEY = 'bench-person-0123456789abcdef';
/** As `RUNS_API_KEYS` has it. */
const KEYS = `bench:${KEY}:* bench:${PERSON_KEY}:*:role=operator|approver;name=alice`;

export interface Serving {
  process: WorkerProcess;
  /** Ends in `/v1`. */
  url: string;
  stop(): Promise<void>;
}

export interface ServerStage {
  temporal: TemporalServer;
  postgres: PostgresServer;
  /** Base URL of the model server, `/v1` included. */
  model: string;
  /** The API server that most figures are taken from. */
  api: Serving;
  worker: WorkerProcess;
  load: ChildProcess;
  headers: Record<string, string>;
  /** The one in `headers`. */
  key: string;
  /** Of a person with the roles `operator` and `approver`. */
  personKey: string;
  /** Folder of the build that the processes run. */
  build: string;
  anotherApi(): Promise<Serving>;
  /** `runs serve --worker`: API and worker in one process, on a task queue of its own. */
  together(): Promise<Serving>;
  anotherWorker(): Promise<{ stop(): Promise<void> }>;
  constant(
    kind: 'adapter' | 'face',
    body: string,
  ): Promise<{ url: string; pid: number; stop(): Promise<void> }>;
  close(): Promise<void>;
}

/** One that can't outlive us, however we end. */
const spawned = async (env: Record<string, string>, ...command: string[]): Promise<WorkerProcess> => {
  const child = spawnWorker(env, command, join(BUILD, 'cli', 'main.js'));
  const kill = (): void => child.signal('SIGKILL');
  process.once('exit', kill);
  void child.exited.then(() => process.off('exit', kill));
  await child.ready;
  return child;
};

const ended = async (child: WorkerProcess): Promise<void> => {
  child.signal('SIGTERM');
  await child.exited;
};

/** What every process of the stage is started with. */
const environment = (temporal: TemporalServer, postgres: PostgresServer, model: string) => ({
  TEMPORAL_ADDRESS: temporal.address,
  TEMPORAL_NAMESPACE: 'default',
  RUNS_TASK_QUEUE: QUEUE,
  RUNS_BACKEND: 'chat',
  OPENAI_BASE_URL: model,
  DATABASE_URL: postgres.url,
  RUNS_LOG_LEVEL: 'warn',
  // Thousands of streams of one key are what is measured.
  RUNS_MAX_STREAMS: '0',
  RUNS_API_KEYS: KEYS,
  PORT: '0',
});

/** Starts API servers and workers, each a process of its own. */
const starters = (env: Record<string, string>) => {
  const serving = async (more: Record<string, string>, ...command: string[]): Promise<Serving> => {
    const child = await spawned({ ...env, ...more }, ...command);
    const url = /ready api at (\S+),/.exec(await child.ready)?.[1] ?? '';
    return { process: child, url, stop: () => ended(child) };
  };
  return {
    anotherApi: () => serving(serveOptions(), 'serve'),
    together: () => serving({ ...nodeOptions(), RUNS_TASK_QUEUE: `${QUEUE}-one` }, 'serve', '--worker'),
    worker: () =>
      spawned({ ...env, ...nodeOptions(), ...workerSettings(), RUNS_TOOLS: TOOLS_FILE }, 'worker'),
  };
};

const constant: ServerStage['constant'] = async (kind, body) => {
  const { child, ready } = await forked('./server-constant.ts', {
    BENCH_BODY: body,
    BENCH_KIND: kind,
    BENCH_KEYS: KEYS,
    BENCH_BUILD: pathToFileURL(BUILD).href,
    ...serveOptions(),
  });
  return { url: String(ready), pid: child.pid ?? 0, stop: () => gone(child) };
};

/** `ends` gets what ends each process, as soon as it was started. */
const openStage = async (
  ends: (() => Promise<unknown>)[],
): Promise<Omit<ServerStage, 'close' | 'constant'>> => {
  await build();
  const [temporal, postgres, model] = await Promise.all([
    startTemporal({ searchAttributes: SEARCH_ATTRIBUTES }),
    startPostgres(),
    forked('./server-model.ts', {}),
  ]);
  ends.push(
    () => temporal.stop(),
    () => postgres.remove(),
    () => gone(model.child),
  );
  const modelUrl = String(model.ready);
  const start = starters(environment(temporal, postgres, modelUrl));
  // The server first: it applies the migrations.
  const api = await start.anotherApi();
  ends.push(() => api.stop());
  const [worker, bare, load] = await Promise.all([
    start.worker(),
    forked('./bare/worker.ts', {
      BENCH_BACKEND: modelUrl,
      BENCH_TEMPORAL: temporal.address,
      BENCH_QUEUE: BARE_QUEUE,
    }),
    forked('./server-load.ts', {}),
  ]);
  ends.push(
    () => ended(worker),
    () => gone(bare.child),
    () => gone(load.child),
  );
  return {
    temporal,
    postgres,
    model: modelUrl,
    api,
    worker,
    load: load.child,
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    key: KEY,
    personKey: PERSON_KEY,
    build: BUILD,
    anotherApi: start.anotherApi,
    together: start.together,
    anotherWorker: async () => {
      const child = await start.worker();
      return { stop: () => ended(child) };
    },
  };
};

export const setServerStage = async (): Promise<ServerStage> => {
  const ends: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end();
  };
  try {
    return { ...(await openStage(ends)), constant, close };
  } catch (error) {
    await close();
    throw error;
  }
};
