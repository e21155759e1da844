/**
 * The file that `runs dev` writes to its data directory, so that commands in other terminals find its servers:
 * addresses, backend and pid.
 *
 * Rule: the file counts only while the process that wrote it holds the directory's lock. Without that process the
 * commands stop instead of using another server; explicit environment variables always win. Imported by `cli/` only.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CliError, EXIT } from './exit.ts';

export interface DevState {
  pid: number;
  /** Pid of the embedded Temporal server; null = `runs dev` did not start the server. */
  temporalPid: number | null;
  /** Temporal's gRPC address. */
  temporalAddress: string;
  namespace: string;
  uiUrl: string | null;
  /** Base URL of the API, with `/v1`; null where none is served. */
  apiUrl: string | null;
  backend: string;
  taskQueue: string;
  /** The process has ended in order: its ports are not probed. */
  stopped?: true;
}

/** What the data directory says about its `runs dev`. */
export type FolderDev =
  /** No `runs dev` runs here, and none was ever started. */
  | { kind: 'none' }
  | { kind: 'running'; state: DevState }
  /** It has ended, or (`starting`) holds the lock and is not ready yet. */
  | { kind: 'not-running'; state: DevState | undefined; file: string; starting: boolean };

type Env = Readonly<Record<string, string | undefined>>;

const FILE = 'dev.json';
/** Created by `runs dev` only: Temporal's database, and the embedded store. */
const DATA = ['temporal.db', 'store'] as const;
export const dataDir = (env: Env): string => nonEmpty(env['RUNS_DATA_DIR']) ?? '.runs';
export const nonEmpty = (value: string | undefined): string | undefined =>
  value === undefined || value.trim() === '' ? undefined : value.trim();

export const writeDevState = async (dir: string, state: DevState): Promise<void> => {
  const path = join(dir, FILE);
  // Written to another name and renamed: a reader never sees half a file.
  await writeFile(`${path}.${process.pid}`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.${process.pid}`, path);
};

/** The file as it is, whether or not its process lives; undefined when it can't be read. */
export const lastDevState = async (dir: string): Promise<DevState | undefined> => {
  try {
    const read: unknown = JSON.parse(await readFile(join(dir, FILE), 'utf8'));
    return isDevState(read) ? read : undefined;
  } catch {
    return undefined;
  }
};

/** A start that failed half-way leaves data and no file: the folder still belongs to a `runs dev`. */
const wasStarted = (dir: string): boolean => DATA.some((name) => existsSync(join(dir, name)));

export const folderDev = async (dir: string): Promise<FolderDev> => {
  const { lockHolder } = await import('../store/lock-file.ts');
  const holder = await lockHolder(dir);
  const state = await lastDevState(dir);
  if (state === undefined && holder === null && !wasStarted(dir)) return { kind: 'none' };
  return state !== undefined && state.pid === holder && state.stopped !== true
    ? { kind: 'running', state }
    : { kind: 'not-running', state, file: join(dir, FILE), starting: holder !== null };
};

/**
 * Why a command that finds its servers by the folder can't continue. `setting`: the variable that names another server.
 */
export const devNotRunning = (
  { state, file, starting }: Extract<FolderDev, { kind: 'not-running' }>,
  setting: 'TEMPORAL_ADDRESS' | 'RUNS_URL',
): CliError => {
  const ended =
    state === undefined
      ? 'it was started here and did not become ready'
      : `${JSON.stringify(file)} names process ${state.pid}, which has ended`;
  return new CliError(
    EXIT.unavailable,
    'dev_not_running',
    starting
      ? `the "runs dev" of this folder is not ready. Try again when it says "ready", or set ${setting} to use another server.`
      : `the "runs dev" of this folder is not running: ${ended}. Start it again ("runs dev" or npm start), or set ${setting} to use another server.`,
    { details: { file, pid: state?.pid ?? null } },
  );
};

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: the process belongs to another user, and lives.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
};

const text = (item: unknown): boolean => typeof item === 'string';
const textOrNull = (item: unknown): boolean => item === null || text(item);

const isDevState = (value: unknown): value is DevState => {
  if (typeof value !== 'object' || value === null) return false;
  const state: Partial<Record<keyof DevState, unknown>> = value;
  return (
    Number.isInteger(state.pid) &&
    (state.temporalPid === null || Number.isInteger(state.temporalPid)) &&
    text(state.temporalAddress) &&
    text(state.namespace) &&
    textOrNull(state.uiUrl) &&
    textOrNull(state.apiUrl) &&
    text(state.backend) &&
    text(state.taskQueue)
  );
};
