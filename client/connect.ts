/**
 * How to reach Temporal: options first, then environment and config file (addresses, TLS, API keys, profiles), then
 * localhost. One function for client and worker, so that both always mean the same server.
 *
 * Rule: secrets pass through and are never shown; a connection that cannot be made says where it was looked for.
 * Imported by the client and the worker.
 */
import { Connection, NamespaceNotFoundError, type ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig, type ClientConnectConfig } from '@temporalio/envconfig';
import { DEFAULT_TASK_QUEUE, RunsError } from '../protocol/index.ts';
import { GRPC, grpcCode, toRunsError } from './errors.ts';

export interface TemporalTarget {
  address: string;
  namespace: string;
  taskQueue: string;
  /** For `NativeConnection.connect` and, with interceptors added, `Connection.connect`. */
  connectionOptions: Pick<
    ClientConnectConfig['connectionOptions'],
    'address' | 'tls' | 'metadata' | 'apiKey'
  >;
}

export interface TargetOptions {
  address?: string;
  namespace?: string;
  taskQueue?: string;
  profile?: string;
  env?: Record<string, string | undefined>;
}

/** Throws `RunsError('config')` when the Temporal config file or the TEMPORAL_… variables can't be read. */
export const temporalTarget = (options: TargetOptions = {}): TemporalTarget => {
  const env = options.env ?? process.env;
  const overrideEnvVars = Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  let loaded: ReturnType<typeof loadClientConnectConfig>;
  try {
    loaded = loadClientConnectConfig({
      overrideEnvVars,
      ...(options.profile === undefined ? {} : { profile: options.profile }),
    });
  } catch (error) {
    throw new RunsError(
      'config',
      `Temporal's configuration can't be read: ${error instanceof Error ? error.message : String(error)}. Check TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE and the other TEMPORAL_… variables.`,
      { cause: error },
    );
  }
  const { address: configured, tls, metadata, apiKey } = loaded.connectionOptions;
  const address = options.address ?? configured ?? 'localhost:7233';
  return {
    address,
    namespace: options.namespace ?? loaded.namespace ?? 'default',
    // Set to nothing is not set, as everywhere.
    taskQueue: options.taskQueue ?? (env['RUNS_TASK_QUEUE']?.trim() || DEFAULT_TASK_QUEUE),
    connectionOptions: {
      address,
      ...(tls == null ? {} : { tls }),
      ...(metadata === undefined ? {} : { metadata }),
      ...(apiKey === undefined ? {} : { apiKey }),
    },
  };
};

/** Connects and checks that the server answers. Throws `temporal_unavailable`, or `config` for an invalid address. */
export const openConnection = async (
  target: TemporalTarget,
  more: Pick<ConnectionOptions, 'interceptors'> & { timeoutMs?: number } = {},
): Promise<Connection> => {
  const { timeoutMs = 5_000, ...rest } = more;
  const connection = prepared({ ...target.connectionOptions, ...rest, connectTimeout: timeoutMs });
  try {
    await connection.ensureConnected();
    return connection;
  } catch (error) {
    // Otherwise its channel would go on trying for as long as the process lives.
    await connection.close();
    throw unreachable(error, target);
  }
};

/**
 * `http_proxy` and its like are not read: the worker's connection knows none of them, and a proxy would see Temporal's
 * traffic of this machine.
 */
const DIRECT = { 'grpc.enable_http_proxy': 0 };

/** Nothing is sent yet: what fails here is an address, a certificate or a key that can't be right. */
const prepared = (options: ConnectionOptions): Connection => {
  try {
    return Connection.lazy({ ...options, channelArgs: DIRECT });
  } catch (error) {
    throw new RunsError(
      'config',
      `Temporal can't be connected to as configured: ${error instanceof Error ? error.message : String(error)}. Check TEMPORAL_ADDRESS (such as "localhost:7233") and the TLS settings.`,
      { cause: error },
    );
  }
};

/** What to say when no connection comes about. Anything that isn't Temporal's is wrapped too: there is no server here. */
export const unreachable = (error: unknown, target: TemporalTarget): RunsError => {
  const mapped = toRunsError(error, { what: 'Connecting', ...target });
  if (mapped instanceof RunsError) return mapped;
  return new RunsError(
    'temporal_unavailable',
    `Temporal at ${JSON.stringify(target.address)} can't be reached (${error instanceof Error ? error.message : String(error)}). Start one ("runs dev", or "temporal server start-dev") or set TEMPORAL_ADDRESS.`,
    { cause: error },
  );
};

/** Throws `RunsError('temporal_unavailable')` when the server has no such namespace. Takes either kind of connection. */
export const requireNamespace = async (
  connection: Pick<Connection, 'workflowService'>,
  target: TemporalTarget,
): Promise<void> => {
  try {
    await connection.workflowService.describeNamespace({ namespace: target.namespace });
  } catch (error) {
    const missing = grpcCode(error) === GRPC.notFound;
    throw unreachable(missing ? new NamespaceNotFoundError(target.namespace) : error, target);
  }
};
