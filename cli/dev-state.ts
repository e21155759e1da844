/**
 * What `runs dev` leaves in its data directory, so that the other commands in the next terminal find it without a word:
 * addresses, backend and the pid they belong to.
 *
 * Rule: a note, not a lock. It counts only while its process lives; explicit environment variables always win.
 * Imported by `cli/` only.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface DevState {
  pid: number;
  /** Of the embedded Temporal server; null = somebody else's. */
  temporalPid: number | null;
  /** Temporal's gRPC address. */
  temporalAddress: string;
  namespace: string;
  uiUrl: string | null;
  /** Base URL of our API, with `/v1`; null where none is served. */
  apiUrl: string | null;
  backend: string;
  taskQueue: string;
}

type Env = Readonly<Record<string, string | undefined>>;

const FILE = 'dev.json';
export const dataDir = (env: Env): string => nonEmpty(env['RUNS_DATA_DIR']) ?? '.runs';
export const nonEmpty = (value: string | undefined): string | undefined =>
  value === undefined || value.trim() === '' ? undefined : value.trim();

export const writeDevState = async (dir: string, state: DevState): Promise<void> => {
  const path = join(dir, FILE);
  // Renamed into place: a reader never sees half a file.
  await writeFile(`${path}.${process.pid}`, `${JSON.stringify(state, null, 2)}\n`);
  await rename(`${path}.${process.pid}`, path);
};

export const removeDevState = (dir: string): Promise<void> => rm(join(dir, FILE), { force: true });

/** The note as it was left, whether or not its process lives; undefined when there is none to read. */
export const lastDevState = async (dir: string): Promise<DevState | undefined> => {
  try {
    const read: unknown = JSON.parse(await readFile(join(dir, FILE), 'utf8'));
    return isDevState(read) ? read : undefined;
  } catch {
    return undefined;
  }
};

/** The note of a `runs dev` that runs now. */
export const liveDevState = async (dir: string): Promise<DevState | undefined> => {
  const state = await lastDevState(dir);
  return state !== undefined && isAlive(state.pid) ? state : undefined;
};

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process lives too.
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
