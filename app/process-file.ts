/**
 * The file that `runs dev`, `runs worker` and `runs serve` keep in the data directory while they run: who they are, and the
 * settings and addresses that they use. `runs doctor` checks these, not what its own shell happens to hold.
 *
 * Rule: no secret is written; its name is, so that a reader knows that there is one. A process that can't write runs all the
 * same. A file whose process has ended counts for nothing. Imported by `cli/` only.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { LearnedOfServer } from '../protocol/ports/model.ts';
import type { Role } from '../worker/config.ts';
import { isAlive } from './dev-state.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface ProcessRecord {
  role: Role;
  pid: number;
  /** When the process started, as the platform tells; null = it does not. Another process may get the pid later. */
  started: string | null;
  /** Unix ms. */
  readyAt: number;
  /** What the environment said when the process started, without secrets. Files are absolute. */
  settings: Record<string, string>;
  /** Names of secrets that the process has. */
  secrets: string[];
  temporal: { address: string; namespace: string; taskQueue: string };
  /** Base URL of the API, with `/v1`; null where none is served. */
  apiUrl: string | null;
  /** What the process has learned of its model servers. */
  learned: LearnedOfServer[];
}

export interface KeptRecord {
  /** Never throws. */
  remove(): Promise<void>;
}

const FOLDER = 'processes';

/** Values that are secret, or hold a password or key now and then. */
const SECRETS: ReadonlySet<string> = new Set([
  'OPENAI_API_KEY',
  'DATABASE_URL',
  'RUNS_API_KEYS',
  'RUNS_API_KEY',
  'RUNS_MODEL_HEADERS',
  'RUNS_MODEL_BODY',
  'RUNS_ENCRYPTION_KEYS',
  'RUNS_OIDC_CLIENT_SECRET',
  'RUNS_PROXY_SECRET',
]);
const SECRET_TEMPORAL = /API_KEY|_DATA$|GRPC_META/;
/** Names that are no `RUNS_…` and are read all the same. */
const UNPREFIXED_VARIABLES: ReadonlySet<string> = new Set([
  'OPENAI_API_KEY',
  'OPENAI_BASE_URL',
  'OPENAI_API_VERSION',
  'DATABASE_URL',
  'HOST',
  'PORT',
]);
const FILES: ReadonlySet<string> = new Set(['RUNS_TOOLS', 'RUNS_MODELS', 'RUNS_DATA_CONVERTER']);

const isRead = (name: string): boolean =>
  UNPREFIXED_VARIABLES.has(name) || name.startsWith('RUNS_') || name.startsWith('TEMPORAL_');
const isSecret = (name: string, value: string): boolean =>
  SECRETS.has(name) ||
  (name.startsWith('TEMPORAL_') && SECRET_TEMPORAL.test(name)) ||
  // A key in the address, as some services want it.
  (name === 'OPENAI_BASE_URL' && /[?@]/.test(value));

/** Exported for tests. */
export const settingsOf = (env: Env, cwd: string): Pick<ProcessRecord, 'settings' | 'secrets'> => {
  const settings: Record<string, string> = {};
  const secrets: string[] = [];
  for (const [name, given] of Object.entries(env)) {
    const value = given?.trim() ?? '';
    if (value === '' || name === 'RUNS_DATA_DIR' || !isRead(name)) continue;
    if (isSecret(name, value)) secrets.push(name);
    else settings[name] = FILES.has(name) ? resolve(cwd, value) : value;
  }
  return { settings, secrets };
};

const nothing: KeptRecord = { remove: async () => undefined };

/** Turns teach something once in a while; the file follows within this time. */
const LEARNED_EVERY_MS = 5_000;

/** Writes the record of this process. To be called when it is ready, and removed when it ends. `learned`: asked again and again. */
export const writeProcessRecord = async (
  dataDir: string,
  env: Env,
  own: Pick<ProcessRecord, 'role' | 'temporal' | 'apiUrl'>,
  learned: () => LearnedOfServer[] = () => [],
): Promise<KeptRecord> => {
  const { processFacts } = await import('../store/lock-file.ts');
  const folder = join(dataDir, FOLDER);
  const file = join(folder, `${own.role}-${process.pid}.json`);
  const { started } = await processFacts(process.pid);
  const record = {
    ...own,
    pid: process.pid,
    started,
    readyAt: Date.now(),
    ...settingsOf(env, process.cwd()),
  };
  let written = '';
  const write = async (): Promise<void> => {
    const text = JSON.stringify({ ...record, learned: learned() } satisfies ProcessRecord, null, 2);
    if (text === written) return;
    await writeFile(`${file}.new`, `${text}\n`, { mode: 0o600 });
    await rename(`${file}.new`, file);
    written = text;
  };
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await write();
  } catch {
    // A read-only disk, as containers have it: the doctor then sees the environment of its own shell.
    return nothing;
  }
  let writing = Promise.resolve();
  const timer = setInterval(() => {
    writing = writing.then(write).catch(() => undefined);
  }, LEARNED_EVERY_MS);
  timer.unref();
  return {
    remove: async () => {
      clearInterval(timer);
      await writing;
      await rm(file, { force: true }).catch(() => undefined);
    },
  };
};

const isText = (value: unknown): value is string => typeof value === 'string';

const isRecordOfProcess = (value: unknown): value is ProcessRecord => {
  if (typeof value !== 'object' || value === null) return false;
  const { role, pid, started, readyAt, settings, secrets, temporal, apiUrl, learned } =
    value as Partial<ProcessRecord>;
  return (
    isText(role) &&
    Number.isInteger(pid) &&
    (started === null || isText(started)) &&
    typeof readyAt === 'number' &&
    typeof settings === 'object' &&
    Array.isArray(secrets) &&
    Array.isArray(learned) &&
    isText(temporal?.address) &&
    isText(temporal.namespace) &&
    isText(temporal.taskQueue) &&
    (apiUrl === null || isText(apiUrl))
  );
};

const readRecord = async (file: string): Promise<ProcessRecord | null> => {
  try {
    const read: unknown = JSON.parse(await readFile(file, 'utf8'));
    return isRecordOfProcess(read) ? read : null;
  } catch {
    return null;
  }
};

const isSameProcessAlive = async ({ pid, started }: ProcessRecord): Promise<boolean> => {
  if (!isAlive(pid)) return false;
  const { processFacts } = await import('../store/lock-file.ts');
  const facts = await processFacts(pid);
  return facts.running && (facts.started === null || started === null || facts.started === started);
};

/** Of the living processes of a data directory, oldest first. */
export const processesOf = async (dataDir: string): Promise<ProcessRecord[]> => {
  const folder = join(dataDir, FOLDER);
  const names = await readdir(folder).catch((): string[] => []);
  const found = await Promise.all(
    names
      .filter((name) => name.endsWith('.json'))
      .map(async (name) => {
        const record = await readRecord(join(folder, name));
        return record !== null && (await isSameProcessAlive(record)) ? record : null;
      }),
  );
  return found.filter((record) => record !== null).toSorted((a, b) => a.readyAt - b.readyAt);
};

/**
 * The environment that a process has, as far as it may be known here: its settings, and those of its secrets that this
 * shell holds, too.
 */
export const environmentOf = ({ settings, secrets }: ProcessRecord, shell: Env): Env => ({
  ...settings,
  ...Object.fromEntries(secrets.map((name) => [name, shell[name]])),
  ...(shell['RUNS_DATA_DIR'] === undefined ? {} : { RUNS_DATA_DIR: shell['RUNS_DATA_DIR'] }),
});

/** Secrets that the process has and this shell lacks. */
export const missingSecrets = ({ secrets }: ProcessRecord, shell: Env): string[] =>
  secrets.filter((name) => (shell[name]?.trim() ?? '') === '');
