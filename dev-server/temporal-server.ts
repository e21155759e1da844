/**
 * Starts a Temporal dev server on this machine and waits until it takes work.
 *
 * Rule: "started" means that a client connected, the namespace answers and every search attribute is there;
 * a workflow that upserts an attribute the server does not know would be retried for ever. The server ends
 * with this process. Callers look at `TEMPORAL_ADDRESS` first. Imported by `cli/` and `test/`.
 */
import { connect } from 'node:net';
import { closedHttpApi, unguessableLoopback } from './hidden-doors.ts';
import { Connection } from '@temporalio/client';
import { startServer, type ServerProcess } from './child.ts';
import { findTemporalCli, type BinarySource } from './find-temporal.ts';
import { freePorts } from './ports.ts';
import {
  temporalServerArgs,
  type SearchAttributeTypes,
  type TemporalServerSettings,
} from './temporal-args.ts';

/** A cold start on a loaded machine took 4 s at worst; a server that needs longer is not going to come. */
const READY_MS = 60_000;
const POLL_INTERVAL_MS = 25;
/** How often other ports are chosen when another process took one in between. */
const PORT_ATTEMPTS = 3;

export interface StartTemporalOptions {
  /** The CLI to run. Default: `findTemporalCli()`. */
  executable?: { path: string; source: BinarySource };
  /** SQLite file that keeps the state. Default: memory. */
  dbFilename?: string;
  /** gRPC port. Default: a free one; likewise `uiPort` and `httpPort`. */
  port?: number;
  uiPort?: number;
  httpPort?: number;
  /** Serve the Web UI. Default: true when `uiPort` is given, otherwise false. */
  ui?: boolean;
  /**
   * Close the doors that any page in a browser could use: the HTTP API answers no request, and the Web UI listens at an
   * address that is not guessed, for `startUiProxy`. Default false.
   */
  guarded?: boolean;
  /** URL at which the Web UI decrypts payloads. Default: none. */
  codecEndpoint?: string;
  /** Default: `default`. */
  namespace?: string;
  searchAttributes?: SearchAttributeTypes;
  dynamicConfig?: Readonly<Record<string, unknown>>;
  /** File that receives the server's log (errors only), appended. Default: kept for error messages only. */
  logFile?: string;
}

export interface TemporalServer {
  /** `127.0.0.1:port`, for `TEMPORAL_ADDRESS`. */
  address: string;
  namespace: string;
  /** Temporal's HTTP API, e.g. `${httpUrl}/api/v1/namespaces/default/workflows/...`. */
  httpUrl: string;
  /** The Web UI, when it is served. */
  uiUrl: string | undefined;
  pid: number;
  /** Where the binary came from. */
  source: BinarySource;
  path: string;
  /** Resolves when the server is gone, asked for or not. */
  exited: Promise<unknown>;
  /** Ends the server in good order. */
  stop(): Promise<void>;
  /** SIGKILL, for drills. */
  kill(): void;
}

export async function startTemporal(options: StartTemporalOptions = {}): Promise<TemporalServer> {
  const { path, source } = options.executable ?? (await findTemporalCli());
  for (let attempt = 1; ; attempt++) {
    const settings = await settingsOf(options);
    const server = await startServer({
      file: path,
      args: temporalServerArgs(settings),
      env: stripTemporalVariables(process.env),
      ...(options.logFile === undefined ? {} : { logFile: options.logFile }),
    });
    const address = `127.0.0.1:${settings.port}`;
    try {
      await ready(server, settings);
    } catch (error) {
      await server.stop({ graceMs: 1_000 });
      if (attempt < PORT_ATTEMPTS && choosesPorts(options) && /address already in use/i.test(server.tail())) {
        continue;
      }
      throw startError(path, server, error);
    }
    return {
      address,
      namespace: settings.namespace,
      httpUrl: `http://127.0.0.1:${settings.httpPort}`,
      uiUrl: settings.uiPort === undefined ? undefined : `http://${settings.uiHost}:${settings.uiPort}`,
      pid: server.pid,
      source,
      path,
      exited: server.exited,
      stop: () => server.stop(),
      kill: () => server.kill(),
    };
  }
}

async function settingsOf(options: StartTemporalOptions): Promise<TemporalServerSettings> {
  const [port = 0, httpPort = 0, uiPort = 0, metricsPort = 0] = await freePorts(4);
  const ui = options.ui ?? options.uiPort !== undefined;
  return {
    port: options.port ?? port,
    httpPort: options.httpPort ?? httpPort,
    metricsPort,
    uiPort: ui ? (options.uiPort ?? uiPort) : undefined,
    uiHost: options.guarded === true ? await unguessableLoopback() : '127.0.0.1',
    codecEndpoint: options.codecEndpoint,
    dbFilename: options.dbFilename,
    namespace: options.namespace ?? 'default',
    searchAttributes: options.searchAttributes ?? {},
    dynamicConfig: { ...(options.guarded === true ? closedHttpApi() : {}), ...options.dynamicConfig },
  };
}

/** The CLI reads client settings from these; a server for this machine must not follow the user's profile. */
function stripTemporalVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_')));
}

const choosesPorts = (options: StartTemporalOptions): boolean =>
  options.port === undefined || options.httpPort === undefined || options.uiPort === undefined;

function startError(path: string, server: ServerProcess, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  const output = server.tail();
  const printed = output === '' ? 'It wrote nothing.' : `It wrote:\n${output}`;
  return new Error(`The Temporal dev server ${JSON.stringify(path)} did not start: ${reason}. ${printed}`, {
    cause: error,
  });
}

/** Resolves when the server takes work; throws when it ended or took longer than `READY_MS`. */
async function ready(server: ServerProcess, settings: TemporalServerSettings): Promise<void> {
  const deadline = Date.now() + READY_MS;
  await until(server, deadline, () => accepts(settings.port));
  let connection: Connection | undefined;
  try {
    await until(server, deadline, async () => {
      connection = await connected(settings.port);
      return connection !== undefined;
    });
    const open = connection;
    if (open === undefined) return;
    await until(server, deadline, () => hasNamespace(open, settings.namespace));
    await until(server, deadline, () => hasAttributes(open, settings));
  } finally {
    await connection?.close();
  }
}

async function until(server: ServerProcess, deadline: number, holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) {
    const exit = server.exit();
    if (exit !== undefined) throw new Error(`it ended (code ${exit.code}, signal ${exit.signal})`);
    if (Date.now() > deadline) throw new Error(`it was not ready within ${READY_MS / 1000} s`);
    await Promise.race([server.exited, pause(POLL_INTERVAL_MS)]);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const settle = (open: boolean): void => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

async function connected(port: number): Promise<Connection | undefined> {
  try {
    return await Connection.connect({
      address: `127.0.0.1:${port}`,
      connectTimeout: '2 seconds',
      // A proxy of the environment has no way to this machine.
      channelArgs: { 'grpc.enable_http_proxy': 0 },
    });
  } catch {
    return undefined;
  }
}

async function hasNamespace(connection: Connection, namespace: string): Promise<boolean> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
    return true;
  } catch {
    return false;
  }
}

async function hasAttributes(connection: Connection, settings: TemporalServerSettings): Promise<boolean> {
  const wanted = Object.keys(settings.searchAttributes);
  if (wanted.length === 0) return true;
  try {
    const known = await connection.operatorService.listSearchAttributes({ namespace: settings.namespace });
    return wanted.every((name) => name in (known.customAttributes ?? {}));
  } catch {
    return false;
  }
}
