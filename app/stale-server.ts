/**
 * Ends a Temporal server that an earlier `runs dev` left behind. Its watchdog ends it within seconds after a kill -9;
 * until then it holds its ports and its database file, and two servers on one file would damage it.
 *
 * Rule: only a process that still runs this program on this file is ended; a pid alone proves nothing.
 * Imported by `runs dev`.
 */
import { execFile } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isAlive } from './dev-state.ts';

const run = promisify(execFile);

const POLL_INTERVAL_MS = 50;
const TERM_MS = 8_000;
const KILL_MS = 5_000;

/** Resolves when no such server is left, to whether there was one. */
export const endStaleServer = async (pid: number, dbFilename: string): Promise<boolean> => {
  if (!(await isOurServer(pid, dbFilename))) return false;
  signal(pid, 'SIGTERM');
  if (!(await gone(pid, TERM_MS))) {
    if (await isOurServer(pid, dbFilename)) signal(pid, 'SIGKILL');
    if (!(await gone(pid, KILL_MS)))
      throw new Error(
        `The Temporal server ${pid} of an earlier "runs dev" does not stop and still uses ${JSON.stringify(dbFilename)}. End it by hand: kill -9 ${pid}`,
      );
  }
  return true;
};

const isOurServer = async (pid: number, dbFilename: string): Promise<boolean> => {
  if (!isAlive(pid)) return false;
  try {
    const { stdout } = await run('ps', ['-o', 'command=', '-ww', '-p', String(pid)]);
    return stdout.includes('start-dev') && stdout.includes(dbFilename);
  } catch {
    // `ps` finds no such process, or there is no `ps`.
    return false;
  }
};

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name);
  } catch {
    // It ended in between.
  }
};

const gone = async (pid: number, withinMs: number): Promise<boolean> => {
  for (const deadline = Date.now() + withinMs; Date.now() < deadline; await pause(POLL_INTERVAL_MS)) {
    if (!isAlive(pid)) return true;
  }
  return !isAlive(pid);
};
