/**
 * Processes of a drill: started, killed, frozen and resumed by their own pid, and none of them outlives the drill.
 *
 * Rule: what a process wrote is in its log file, whatever became of it; a log is read by the auditor too.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startServer, type Exit, type ServerProcess } from '../../dev-server/child.ts';
import { faultsText, type PlannedFault } from './faults.ts';

/** Also for one on hold, which lives as long as its predecessor first, and on a machine that has no time. */
const READY_MS = 240_000;
const LOOK_EVERY_MS = 20;
/** The longest that a process which was asked to end may take. */
const STOP_MS = 20_000;

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const COMMAND = path('../../bin/runs.mjs');
const WORKER = path('./worker.ts');
export const TOOLS_FILE = path('./tools-file.ts');
const TSX = fileURLToPath(import.meta.resolve('tsx'));

export interface DrillProcess {
  readonly label: string;
  readonly pid: number;
  /** Unix ms of its `ready`; null before. */
  readonly readyAt: number | null;
  /** Unix ms of its end; null while it runs. */
  readonly endedAt: number | null;
  /** Unix ms at which `kill` was called on it while it lived; null = never. */
  readonly killedAt: number | null;
  ready: Promise<void>;
  exited: Promise<Exit>;
  /** Lets a process that was started on hold begin. */
  release(): void;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  freeze(): void;
  resume(): void;
  /** SIGTERM, as a deploy does; throws when it does not end, or not in good order. */
  stop(): Promise<void>;
  /** Resolves to false when it has not ended in time. */
  endsWithin(ms: number): Promise<boolean>;
  log(): string;
}

export interface ProcessOptions {
  label: string;
  dir: string;
  env: Readonly<Record<string, string>>;
}

const holdFile = (dir: string, label: string): string => join(dir, `${label}.go`);

const start = async (args: string[], { label, dir, env }: ProcessOptions): Promise<DrillProcess> => {
  const logFile = join(dir, `${label}.log`);
  const log = (): string => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '');
  const server: ServerProcess = await startServer({
    file: process.execPath,
    args,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', DRILL_DIR: dir, ...env },
    logFile,
  });
  let readyAt: number | null = null;
  let endedAt: number | null = null;
  let killedAt: number | null = null;
  const noteEnd = async (): Promise<void> => {
    await server.exited;
    endedAt = Date.now();
  };
  void noteEnd();
  const becomesReady = async (): Promise<void> => {
    const deadline = Date.now() + READY_MS;
    while (!/^ready/m.test(log())) {
      const exit = server.exit();
      if (exit !== undefined) throw new Error(`${label} ended (${exit.code ?? exit.signal}):\n${log()}`);
      if (Date.now() > deadline) throw new Error(`${label} was not ready in time:\n${log()}`);
      await pause(LOOK_EVERY_MS);
    }
    readyAt = Date.now();
  };
  const ready = becomesReady();
  // Whoever kills it before that need not wait for it.
  ready.catch(() => undefined);
  const signal = (name: NodeJS.Signals): void => {
    if (server.exit() === undefined) process.kill(server.pid, name);
  };
  const endsWithin = async (ms: number): Promise<boolean> => {
    const cancel = new AbortController();
    try {
      return await Promise.race([
        server.exited.then(() => true),
        pause(ms, false, { signal: cancel.signal }).catch(() => false),
      ]);
    } finally {
      cancel.abort();
    }
  };
  return {
    label,
    pid: server.pid,
    get readyAt() {
      return readyAt;
    },
    get endedAt() {
      return endedAt;
    },
    get killedAt() {
      return killedAt;
    },
    ready,
    exited: server.exited,
    release: () => writeFileSync(holdFile(dir, label), ''),
    async kill() {
      if (server.exit() === undefined) killedAt ??= Date.now();
      server.kill();
      await server.exited;
    },
    freeze: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    async stop() {
      if (server.exit() !== undefined) return;
      signal('SIGCONT');
      signal('SIGTERM');
      if (!(await endsWithin(STOP_MS))) {
        server.kill();
        await server.exited;
        throw new Error(`${label} did not end within ${STOP_MS} ms of SIGTERM:\n${log()}`);
      }
    },
    endsWithin,
    log,
  };
};

/** `runs worker` with fault points. On hold it loads everything and takes no work before `release`. */
export const startDrillWorker = (
  options: ProcessOptions,
  faults: readonly PlannedFault[] = [],
  hold = false,
): Promise<DrillProcess> =>
  start(['--import', TSX, WORKER], {
    ...options,
    env: {
      DRILL_WORKER: options.label,
      DRILL_FAULTS: faultsText(faults),
      ...(hold ? { DRILL_HOLD: holdFile(options.dir, options.label) } : {}),
      ...options.env,
    },
  });

/** The command itself: `runs worker`, `runs serve`, `runs dev`. */
export const startCommand = (args: string[], options: ProcessOptions): Promise<DrillProcess> =>
  start([COMMAND, ...args], options);
