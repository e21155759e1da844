/**
 * A real PostgreSQL on this machine, in its own directory: for the live tests and for drills that kill it.
 *
 * Rule: PostgreSQL refuses to run as root, so root starts it as user `postgres` (or `nobody`); TCP on 127.0.0.1 only,
 * no unix socket. It ends with this process. Imported by `test/` and `scripts/`.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { startServer, type ServerProcess } from '../../dev-server/child.ts';
import { onPath } from '../../dev-server/find-temporal.ts';
import { freePort } from '../../dev-server/ports.ts';

const run = promisify(execFile);

const READY_MS = 60_000;
const LOOK_EVERY_MS = 25;
/** Debian keeps the server's programs off PATH. */
const DEBIAN = '/usr/lib/postgresql';

export interface StartPostgresOptions {
  /** Data directory; created and initialised when it is empty or absent. Default: a new temporary one. */
  dir?: string;
  /** Default: a free one. It stays the same over `restart()`. */
  port?: number;
  /** `false` turns fsync off: faster, and still safe against kill -9 (not against a power cut). Default true. */
  durable?: boolean;
  /** Name of the superuser. Default `runs`. */
  superuser?: string;
  /** Default 200. */
  maxConnections?: number;
}

export interface PostgresServer {
  /** The superuser's, database `postgres`. */
  url: string;
  port: number;
  dir: string;
  /** Of the process that runs now; changes with `restart()`. */
  pid(): number;
  /** Ends it in good order, aborting open transactions. */
  stop(): Promise<void>;
  /** SIGKILL for it and its sessions, as a crash; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same directory and port, after `stop()` or `kill()`. */
  restart(): Promise<void>;
  /** Ends it and deletes a temporary directory. */
  remove(): Promise<void>;
}

export async function startPostgres(options: StartPostgresOptions = {}): Promise<PostgresServer> {
  const bin = await postgresPrograms();
  const user = await unprivileged();
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'durable-runs-pg-')));
  if (user !== undefined) await chown(dir, user.uid, user.gid);
  const data = join(dir, 'data');
  const superuser = options.superuser ?? 'runs';
  if (!existsSync(join(data, 'PG_VERSION'))) await initialise(bin, data, superuser, user);
  const port = options.port ?? (await freePort());
  const url = `postgres://${superuser}@127.0.0.1:${port}/postgres`;
  const command = {
    file: join(bin, 'postgres'),
    args: postgresArgs(data, port, options),
    cwd: dir,
    ...(user === undefined ? {} : { user }),
  };
  const start = (): Promise<ServerProcess> => startAndWait(command, url);
  let server = await start();
  const stop = (): Promise<void> => server.stop({ signal: 'SIGINT' });
  return {
    url,
    port,
    dir,
    pid: () => server.pid,
    stop,
    async kill() {
      // A session's process outlives the postmaster for a moment, and may still answer: a crash takes all of them.
      const sessions = childrenOf(server.pid);
      server.kill();
      for (const pid of sessions) killHard(pid);
      await server.exited;
    },
    async restart() {
      if (server.exit() === undefined) await stop();
      server = await start();
    },
    async remove() {
      await stop();
      if (options.dir === undefined) await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Process ids of a process's children; none where the system has no `/proc`. */
function childrenOf(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8').split(' ').map(Number).filter(Boolean);
}

function killHard(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It noticed by itself.
  }
}

type Command = Parameters<typeof startServer>[0];

async function initialise(
  bin: string,
  data: string,
  superuser: string,
  user: Command['user'],
): Promise<void> {
  const args = ['-D', data, '-U', superuser, '-A', 'trust', '-E', 'UTF8', '--locale', 'C', '--no-sync'];
  await run(join(bin, 'initdb'), args, { ...user, cwd: tmpdir(), timeout: READY_MS });
}

function postgresArgs(
  data: string,
  port: number,
  { durable = true, maxConnections = 200 }: StartPostgresOptions,
): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    max_connections: maxConnections,
    shared_buffers: '64MB',
    fsync: durable ? 'on' : 'off',
    full_page_writes: durable ? 'on' : 'off',
    log_min_messages: 'warning',
  };
  return ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

/**
 * After kill -9 the children of the dead server need a moment to notice, and hold the shared memory until
 * then: a start that ends at once is repeated until the deadline.
 */
async function startAndWait(command: Command, url: string): Promise<ServerProcess> {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    const server = await startServer(command);
    while (server.exit() === undefined) {
      if (await answers(url)) return server;
      if (Date.now() > deadline) {
        await server.stop({ signal: 'SIGQUIT', graceMs: 1_000 });
        break;
      }
      await Promise.race([server.exited, pause(LOOK_EVERY_MS)]);
    }
    if (Date.now() > deadline || !/shared memory|lock file/i.test(server.tail())) {
      throw new Error(
        `PostgreSQL ${JSON.stringify(command.file)} did not start. It wrote:\n${server.tail()}`,
      );
    }
    await pause(LOOK_EVERY_MS);
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** The directory of `initdb` and `postgres`; the newest version when there are several. */
async function postgresPrograms(): Promise<string> {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).toSorted((a, b) => Number(b) - Number(a)) : [];
  const debian = versions.map((version) => join(DEBIAN, version, 'bin')).find(isComplete);
  if (debian !== undefined) return debian;
  const initdb = await onPath('initdb');
  const dir = initdb === undefined ? undefined : join(initdb, '..');
  if (dir !== undefined && isComplete(dir)) return dir;
  throw new Error(
    `Cannot find PostgreSQL: no \`initdb\` and \`postgres\` in ${DEBIAN}/*/bin or on PATH. ` +
      'To fix it, install the PostgreSQL server (Debian: apt-get install postgresql).',
  );
}

const isComplete = (dir: string): boolean =>
  existsSync(join(dir, 'initdb')) && existsSync(join(dir, 'postgres'));

/** The user to run as when we are root; `undefined` when we are somebody else already. */
async function unprivileged(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const entry = users.find(([user]) => user === name);
    if (entry !== undefined) return { uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  throw new Error(
    'PostgreSQL refuses to run as root, and /etc/passwd has neither "postgres" nor "nobody". ' +
      'To fix it, run the tests as another user.',
  );
}
