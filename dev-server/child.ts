/**
 * Long-lived child servers: started apart from the terminal, ended with us whatever happens.
 *
 * Rule: no server started here outlives this process, not even after `kill -9`. A server runs in its own
 * process group, so Ctrl-C reaches us alone and we decide the order of the shutdown; a watchdog that reads
 * a pipe only we hold open ends the server when that pipe closes. Imported by `cli/` and `test/`.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';

/** How much of a server's last output is kept for the error message when it does not start. */
const TAIL_BYTES = 4096;

export interface ServerProcess {
  readonly pid: number;
  /** Resolves when the process is gone. Never rejects. */
  readonly exited: Promise<Exit>;
  /** The process's exit, or `undefined` while it runs. */
  exit(): Exit | undefined;
  /** The end of what it wrote, at most 4 KB; empty when the output went to a file. */
  tail(): string;
  /** SIGTERM (or `signal`), then SIGKILL after `graceMs`. Resolves when it is gone; may be repeated. */
  stop(options?: { signal?: NodeJS.Signals; graceMs?: number }): Promise<void>;
  /** SIGKILL now, without waiting. */
  kill(): void;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface ServerCommand {
  file: string;
  args: readonly string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** A file that receives stdout and stderr, appended. Default: kept in memory, the tail only. */
  logFile?: string;
  /** Run as this user and group; only root may. */
  user?: { uid: number; gid: number };
}

export async function startServer(command: ServerCommand): Promise<ServerProcess> {
  const child = spawnServer(command);
  const tail = captureTail(child);
  const pid = await spawned(child, command.file);
  let exit: Exit | undefined;
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      exit = { code, signal };
      resolve(exit);
    });
  });
  const kill = (signal: NodeJS.Signals): void => {
    if (exit !== undefined) return;
    // Keeps our event loop alive until the server is gone: a half-stopped server holds its files locked.
    child.ref();
    child.kill(signal);
  };
  const onParentExit = (): void => kill('SIGKILL');
  process.once('exit', onParentExit);
  const watchdog = watch(pid);
  const settled = exited.then((value) => {
    process.removeListener('exit', onParentExit);
    // Killed before its pipe closes: it must not signal a pid that may belong to another process by now.
    watchdog?.kill('SIGKILL');
    watchdog?.stdin?.destroy();
    return value;
  });
  child.unref();
  return {
    pid,
    exited: settled,
    exit: () => exit,
    tail,
    kill: () => kill('SIGKILL'),
    async stop({ signal = 'SIGTERM', graceMs = 10_000 } = {}) {
      if (exit !== undefined) return;
      kill(signal);
      const timer = setTimeout(() => kill('SIGKILL'), graceMs);
      await settled;
      clearTimeout(timer);
    },
  };
}

function spawnServer(command: ServerCommand): ChildProcess {
  const options = {
    detached: true,
    env: command.env ?? process.env,
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    ...command.user,
  };
  if (command.logFile === undefined) {
    return spawn(command.file, [...command.args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  }
  const log = openSync(command.logFile, 'a');
  try {
    return spawn(command.file, [...command.args], { ...options, stdio: ['ignore', log, log] });
  } finally {
    closeSync(log);
  }
}

function spawned(child: ChildProcess, file: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      reject(new Error(`Cannot run ${JSON.stringify(file)}: ${error.message}.`, { cause: error }));
    });
    child.once('spawn', () => {
      if (child.pid === undefined) reject(new Error(`${JSON.stringify(file)} was started without a pid.`));
      else resolve(child.pid);
    });
  });
}

function captureTail(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      text = (text + chunk).slice(-TAIL_BYTES);
    });
    // A pipe would keep our event loop alive for as long as the server lives.
    if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
  }
  return () => text.trim();
}

/**
 * The `exit` event does not fire when this process is killed with -9; the end of a pipe reaches another process.
 * There is no `sh` on Windows, where no server of this project runs natively.
 */
function watch(pid: number): ChildProcess | undefined {
  if (process.platform === 'win32') return undefined;
  // Looks again and again instead of sleeping once: a pid that is gone may soon belong to another process.
  const script = `read _; kill -TERM "$0" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 0.5; kill -0 "$0" 2>/dev/null || exit 0; done
    kill -KILL "$0" 2>/dev/null`;
  const watchdog = spawn('/bin/sh', ['-c', script, String(pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.on('error', () => undefined);
  watchdog.stdin.on('error', () => undefined);
  watchdog.unref();
  if ('unref' in watchdog.stdin && typeof watchdog.stdin.unref === 'function') watchdog.stdin.unref();
  return watchdog;
}
