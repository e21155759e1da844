/**
 * A real Temporal server whose databases are in a real PostgreSQL, set up as docker-compose.yml sets it up: by the scripts of
 * `deploy/`, with the environment of the service `temporal`.
 *
 * Rule: what differs from the compose file stands in `HERE` and nowhere else: addresses, ports and files of this machine. The server
 * ends with this process. Imported by the cluster's tests.
 */
import { execFile } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Connection, type ConnectionOptions } from '@temporalio/client';
import { startServer, type ServerProcess } from '../../../dev-server/child.ts';
import { findTemporalCli } from '../../../dev-server/find-temporal.ts';
import { containerEnv, parseCompose, type ComposeFile } from '../../support/compose.ts';
import { startPostgres, type PostgresServer } from '../../support/postgres-server.ts';
import { ROOT } from '../../support/sources.ts';
import { temporalPrograms } from './programs.ts';

const run = promisify(execFile);
const READY_MS = 120_000;
const LOOK_EVERY_MS = 250;
/** Four services hold thirty connections each. */
const MAX_CONNECTIONS = 400;
const PASSWORDS = {
  POSTGRES_PASSWORD: randomBytes(8).toString('hex'),
  TEMPORAL_DB_PASSWORD: randomBytes(8).toString('hex'),
  RUNS_DB_PASSWORD: randomBytes(8).toString('hex'),
};

export interface ClusterOptions {
  /** Default `default`. */
  namespace?: string;
  /** Further settings of the server's image, such as `TEMPORAL_TLS_FRONTEND_CERT`. */
  env?: Readonly<Record<string, string>>;
  /** Access is checked: Temporal's own parts need a door of their own, without the check. */
  internalFrontend?: boolean;
  /** How this process and the CLI reach the server, when it is not in clear. */
  access?: { connection: ConnectionOptions; cli: Readonly<Record<string, string>> };
  /** `false` = PostgreSQL without fsync; survives kill -9. Default false. */
  durable?: boolean;
}

export interface TemporalCluster {
  /** `127.0.0.1:port`. */
  address: string;
  /** Of Temporal's HTTP API. */
  httpUrl: string;
  namespace: string;
  postgres: PostgresServer;
  /** Of the product, as its own role. */
  databaseUrl: string;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same ports and databases. */
  restart(): Promise<void>;
  remove(): Promise<void>;
}

const script = (name: string): string => join(ROOT, 'deploy', name);

const serviceEnv = (name: 'temporal' | 'temporal-schema'): Record<string, string> => {
  const { services } = parseCompose() as ComposeFile;
  const service = services[name];
  if (service === undefined) throw new Error(`docker-compose.yml has no service ${JSON.stringify(name)}.`);
  return containerEnv(service, PASSWORDS);
};

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port }, () => server.close(() => resolve(true)));
  });

/** Temporal keeps its services' ports in columns of two bytes; the ports that the kernel chooses are larger. */
const smallPorts = async (count: number): Promise<number[]> => {
  const found = new Set<number>();
  while (found.size < count) {
    const port = randomInt(10_000, 32_000);
    if (await isFree(port)) found.add(port);
  }
  return [...found];
};

interface Ports {
  grpc: number;
  http: number;
  others: Record<string, string>;
}

const OTHER_PORTS = [
  'FRONTEND_MEMBERSHIP_PORT',
  'HISTORY_GRPC_PORT',
  'HISTORY_MEMBERSHIP_PORT',
  'MATCHING_GRPC_PORT',
  'MATCHING_MEMBERSHIP_PORT',
  'WORKER_GRPC_PORT',
  'WORKER_MEMBERSHIP_PORT',
  'INTERNAL_FRONTEND_GRPC_PORT',
  'INTERNAL_FRONTEND_HTTP_PORT',
  'INTERNAL_FRONTEND_MEMBERSHIP_PORT',
];
const SERVICES = ['frontend', 'history', 'matching', 'worker'];

const choosePorts = async (): Promise<Ports> => {
  const [grpc = 0, http = 0, ...rest] = await smallPorts(2 + OTHER_PORTS.length);
  return { grpc, http, others: Object.fromEntries(OTHER_PORTS.map((name, at) => [name, String(rest[at])])) };
};

const serverEnv = (
  postgres: PostgresServer,
  ports: Ports,
  more: ClusterOptions['env'],
): NodeJS.ProcessEnv => {
  const HERE = {
    POSTGRES_SEEDS: '127.0.0.1',
    DB_PORT: String(postgres.port),
    BIND_ON_IP: '127.0.0.1',
    FRONTEND_GRPC_PORT: String(ports.grpc),
    FRONTEND_HTTP_PORT: String(ports.http),
    ...ports.others,
    DYNAMIC_CONFIG_FILE_PATH: script('temporal-dynamic-config.yaml'),
    LOG_LEVEL: 'error',
  };
  return { PATH: process.env['PATH'], ...serviceEnv('temporal'), ...HERE, ...more };
};

const setUpDatabases = async (postgres: PostgresServer, programs: string): Promise<void> => {
  const PATH = `${programs}:${process.env['PATH'] ?? ''}`;
  const at = { PATH, PGHOST: '127.0.0.1', PGPORT: String(postgres.port) };
  await run(script('postgres-init.sh'), [], { env: { ...at, ...PASSWORDS } });
  const sql = { SQL_HOST: '127.0.0.1', SQL_PORT: String(postgres.port) };
  await run('/bin/sh', [script('temporal-schema.sh')], {
    env: { PATH, ...serviceEnv('temporal-schema'), ...sql },
  });
};

const untilReady = async (server: ServerProcess, options: ConnectionOptions): Promise<void> => {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    const exit = server.exit();
    if (exit !== undefined) throw new Error(`temporal-server ended (code ${exit.code}):\n${server.tail()}`);
    const connection = await Connection.connect({ ...options, connectTimeout: '2 seconds' }).catch(
      () => null,
    );
    await connection?.close();
    if (connection !== null) return;
    if (Date.now() > deadline)
      throw new Error(`temporal-server was not ready within ${READY_MS / 1_000} s:\n${server.tail()}`);
    await pause(LOOK_EVERY_MS);
  }
};

/** Runs `deploy/temporal-namespace.sh`; returns what it printed. The CLI may have another name on this machine than in the image. */
export const prepareNamespace = async (address: string, env: Record<string, string>): Promise<string> => {
  const cli = await findTemporalCli();
  const alias = `temporal() { ${JSON.stringify(cli.path)} "$@"; }; . ${JSON.stringify(script('temporal-namespace.sh'))}`;
  const PATH = `${dirname(cli.path)}:${process.env['PATH'] ?? ''}`;
  const { stdout } = await run('/bin/sh', ['-c', alias], {
    env: { PATH, HOME: '/nonexistent', TEMPORAL_ADDRESS: address, ...env },
  });
  return stdout;
};

export const startTemporalCluster = async (options: ClusterOptions = {}): Promise<TemporalCluster> => {
  const { namespace = 'default', access, durable = false, internalFrontend = false } = options;
  const env = { ...(internalFrontend ? { USE_INTERNAL_FRONTEND: 'true' } : {}), ...options.env };
  const services = internalFrontend ? [...SERVICES, 'internal-frontend'] : SERVICES;
  const args = ['start', ...services.flatMap((name) => ['--service', name])];
  const [programs, postgres, ports] = await Promise.all([
    temporalPrograms(),
    startPostgres({ durable, superuser: 'postgres', maxConnections: MAX_CONNECTIONS }),
    choosePorts(),
  ]);
  const address = `127.0.0.1:${ports.grpc}`;
  const file = join(programs, 'temporal-server');
  const begin = async (): Promise<ServerProcess> => {
    const started = await startServer({ file, args, env: serverEnv(postgres, ports, env) });
    await untilReady(started, { ...access?.connection, address });
    return started;
  };
  let server: ServerProcess | null = null;
  try {
    await setUpDatabases(postgres, programs);
    server = await begin();
    await prepareNamespace(address, { TEMPORAL_NAMESPACE: namespace, ...access?.cli });
  } catch (error) {
    await server?.stop();
    await postgres.remove();
    throw error;
  }
  let running = server;
  return {
    address,
    httpUrl: `http://127.0.0.1:${ports.http}`,
    namespace,
    postgres,
    databaseUrl: `postgres://runs:${PASSWORDS.RUNS_DB_PASSWORD}@127.0.0.1:${postgres.port}/durable_runs`,
    async kill() {
      running.kill();
      await running.exited;
    },
    async restart() {
      running = await begin();
    },
    async remove() {
      await running.stop();
      await postgres.remove();
    },
  };
};
