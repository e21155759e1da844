/**
 * A lock file for a directory that one process may use. It names the owner; a lock whose owner is gone is stale.
 *
 * Rule: refuse when in doubt. An owner on this machine is identified by pid and start time (in a container the pid is
 * always 1, so the pid alone proves nothing); an owner on another machine counts as alive while it touches its file.
 * After kill -9 the next process takes over by itself.
 * Imported by the PGlite driver and by the commands that look for a `runs dev`.
 */
import { link, mkdir, readFile, rename, rm, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { RunsError } from '../protocol/errors.ts';
import { mintId } from '../protocol/wire/ids.ts';

export const LOCK_FILE = 'store.lock';
const TOUCH_EVERY_MS = 5_000;
const OTHER_HOST_STALE_MS = 30_000;
/**
 * A supervised process notices its supervisor's death at once, and stops; a machine under load needs seconds for it.
 */
const ORPHAN_GRACE_MS = 10_000;
const ORPHAN_POLL_MS = 50;
/** Far longer than replacing a file takes. */
const LOCK_REPLACE_STALE_MS = 10_000;

interface Owner {
  pid: number;
  host: string;
  /** Start time of the process, as exact as the platform reports it. */
  started: string;
  /** The parent process; null in files of earlier releases. */
  parent: number | null;
  /** The creation time of this lock, not of the process. */
  nonce: string;
}

export interface ProcessFacts {
  /** False for a zombie: it has ended, and its parent has not collected it yet. */
  running: boolean;
  parent: number | null;
  started: string | null;
}

/** Of a process of this machine. Exported for files that name a process, as this one does. */
export const processFacts = async (pid: number): Promise<ProcessFacts> => {
  try {
    // Fields 3, 4 and 22 of /proc/<pid>/stat; the second field may hold spaces and ends at the last parenthesis.
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return {
      running: fields[0] !== 'Z' && fields[0] !== 'X',
      parent: Number(fields[1]),
      started: fields[19] ?? null,
    };
  } catch {
    const started = pid === process.pid ? String(Math.round(performance.timeOrigin)) : null;
    return { running: true, parent: null, started };
  }
};

const exists = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

const parse = (text: string): Owner | null => {
  try {
    const { pid, host, started, parent, nonce } = JSON.parse(text) as Partial<Owner>;
    return typeof pid === 'number' && typeof host === 'string' && typeof started === 'string'
      ? { pid, host, started, parent: parent ?? null, nonce: typeof nonce === 'string' ? nonce : '' }
      : null;
  } catch {
    return null;
  }
};

const isAlive = async (path: string, owner: Owner | null): Promise<boolean> => {
  if (owner === null || owner.host !== hostname()) {
    const age = Date.now() - (await stat(path)).mtimeMs;
    return age < OTHER_HOST_STALE_MS;
  }
  if (!exists(owner.pid)) return false;
  const { running, started } = await processFacts(owner.pid);
  return running && (started === null || started === owner.started);
};

/** True when the parent of the owner has ended. A supervised process ends by itself soon after its supervisor. */
const isOrphan = async ({ pid, parent }: Owner): Promise<boolean> =>
  parent !== null && (await processFacts(pid)).parent !== parent;

/** Like `isAlive`, but gives an owner without supervisor the time to end. */
const isAliveAfterGrace = async (path: string, owner: Owner | null): Promise<boolean> => {
  const until = Date.now() + ORPHAN_GRACE_MS;
  while (await isAlive(path, owner).catch(() => true)) {
    if (owner === null || owner.host !== hostname() || !(await isOrphan(owner)) || Date.now() > until)
      return true;
    await setTimeout(ORPHAN_POLL_MS);
  }
  return false;
};

/** Pid of the live process that holds the lock of `dir`; null = none. */
export const lockHolder = async (dir: string): Promise<number | null> => {
  const path = join(dir, LOCK_FILE);
  try {
    const owner = parse(await readFile(path, 'utf8'));
    return owner !== null && (await isAlive(path, owner)) ? owner.pid : null;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
};

const isCode = (error: unknown, code: string): boolean => (error as NodeJS.ErrnoException).code === code;

/** Creates `path` with its whole content or not at all; false when it exists. */
const createWhole = async (path: string, text: string): Promise<boolean> => {
  const draft = `${path}.${mintId('req')}`;
  await writeFile(draft, text);
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await unlink(draft);
  }
};

const refusal = (dir: string, owner: Owner | null): RunsError =>
  new RunsError(
    'config',
    `The data directory ${JSON.stringify(dir)} is in use by ${
      owner === null ? 'another process' : `process ${owner.pid} on ${owner.host}`
    }. Stop that process, or choose another directory (RUNS_DATA_DIR).`,
  );

/** Takes the lock of `dir`, or throws `RunsError` (code `config`) that names the owner. */
export const lockDirectory = async (dir: string): Promise<{ release(): Promise<void> }> => {
  await mkdir(dir, { recursive: true });
  const path = join(dir, LOCK_FILE);
  const mine: Owner = {
    pid: process.pid,
    host: hostname(),
    started: (await processFacts(process.pid)).started ?? '',
    parent: process.ppid,
    nonce: mintId('req'),
  };
  const text = `${JSON.stringify(mine)}\n`;

  const read = async (): Promise<Owner | null> => {
    try {
      return parse(await readFile(path, 'utf8'));
    } catch (error) {
      if (isCode(error, 'ENOENT')) return null;
      throw error;
    }
  };

  if (!(await createWhole(path, text))) {
    const owner = await read();
    if (await isAliveAfterGrace(path, owner)) throw refusal(dir, owner);
    // Two processes may find the same stale lock: only the holder of the second file may replace it.
    const takeover = `${path}.takeover`;
    const age = await stat(takeover).then(
      (entry) => Date.now() - entry.mtimeMs,
      () => 0,
    );
    if (age > LOCK_REPLACE_STALE_MS) await rm(takeover, { force: true });
    if (!(await createWhole(takeover, text))) throw refusal(dir, null);
    try {
      const again = await read();
      if (again !== null && (await isAlive(path, again))) throw refusal(dir, again);
      const draft = `${path}.${mine.nonce}`;
      await writeFile(draft, text);
      await rename(draft, path);
    } finally {
      await rm(takeover, { force: true });
    }
  }

  const touch = setInterval(() => {
    const now = new Date();
    void utimes(path, now, now).catch(() => {});
  }, TOUCH_EVERY_MS);
  touch.unref();
  return {
    async release() {
      clearInterval(touch);
      if ((await read())?.nonce === mine.nonce) await rm(path, { force: true });
    },
  };
};
