/**
 * The processes of a benchmark: server, zero backend, both workers. Each is forked with IPC and ends with its parent.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startTemporal, type TemporalServer } from '../dev-server/temporal-server.ts';
import { SEARCH_ATTRIBUTES } from '../protocol/temporal/names.ts';

const READY_MS = 120_000;

/** Forks a TypeScript file of this folder; resolves with what it says under `ready`. */
export const forked = (
  file: string,
  env: Record<string, string>,
): Promise<{ child: ChildProcess; ready: unknown }> =>
  new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL(file, import.meta.url)), {
      // BENCH_EXEC_ARGV="--cpu-prof --cpu-prof-dir=/tmp/prof" shows where the time goes, thread by thread.
      execArgv: [
        '--expose-gc',
        '--import',
        'tsx',
        ...(process.env['BENCH_EXEC_ARGV'] ?? '').split(' ').filter(Boolean),
      ],
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const late = setTimeout(
      () => reject(new Error(`${file} was not ready within ${READY_MS / 1000} s.`)),
      READY_MS,
    );
    child.once('exit', (code) => reject(new Error(`${file} ended with code ${code} before it was ready.`)));
    child.on('message', (message: { ready?: unknown }) => {
      if (message.ready === undefined) return;
      clearTimeout(late);
      resolve({ child, ready: message.ready });
    });
  });

/** Asks a forked process to end, and waits until it has. */
export const gone = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.disconnect();
  });

export interface Stage {
  temporal: TemporalServer;
  /** Base URL of the zero backend. */
  backend: string;
  bare: ChildProcess;
  ours: ChildProcess;
  close(): Promise<void>;
}

export const BARE_QUEUE = 'bench-bare';
export const OUR_QUEUE = 'bench-ours';

/** One in-memory Temporal server for both workers, so that the machine's mood is the same for both. */
export const setStage = async (): Promise<Stage> => {
  const temporal = await startTemporal({ searchAttributes: SEARCH_ATTRIBUTES });
  const zero = await forked('./zero-backend.ts', {});
  const backend = String(zero.ready);
  const bare = await forked('./bare/worker.ts', {
    BENCH_BACKEND: backend,
    BENCH_TEMPORAL: temporal.address,
    BENCH_QUEUE: BARE_QUEUE,
  });
  const ours = await forked('./worker.ts', {
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: 'default',
    RUNS_BACKEND: 'assistants',
    OPENAI_BASE_URL: backend,
    OPENAI_API_KEY: 'none',
    RUNS_TASK_QUEUE: OUR_QUEUE,
    RUNS_MAX_CACHED_RUNS: '2000',
  });
  return {
    temporal,
    backend,
    bare: bare.child,
    ours: ours.child,
    close: async () => {
      await Promise.all([gone(ours.child), gone(bare.child), gone(zero.child)]);
      await temporal.stop();
    },
  };
};
