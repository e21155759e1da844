/**
 * Where a command finds Temporal and our API.
 *
 * Rule: what the environment names wins; then a `runs dev` that runs in this directory; then the usual local addresses.
 * Imported by the commands; loads Temporal only when a client is asked for.
 */
import type { ConnectOptions, RunsClient } from '../client/index.ts';
import type { CliIo } from './command.ts';
import { usageError } from './exit.ts';
import { dataDir, liveDevState, nonEmpty, type DevState } from './dev-state.ts';

/** A config file that does not exist: the user's profile (TLS, keys, another server) is not for a server of ours. */
export const NO_FILE = '/nonexistent/durable-runs.toml';

const BACKENDS: readonly string[] = ['sandbox', 'chat', 'assistants'];
const DEFAULT_API_URL = 'http://127.0.0.1:8787';
/** Any of these means: the user has said where Temporal is. */
export const TEMPORAL_CHOICE = ['TEMPORAL_ADDRESS', 'TEMPORAL_PROFILE', 'TEMPORAL_CONFIG_FILE'] as const;

export interface Places {
  dev: DevState | undefined;
  /** `assistants`, `chat` or `sandbox`: who executes runs started from here. */
  backend: string;
  /** Base URL of the API, without `/v1` and without a slash at the end. */
  apiUrl: string;
  apiKey: string | undefined;
}

export const places = async (io: CliIo): Promise<Places> => {
  const dev = await liveDevState(dataDir(io.env));
  const apiUrl = nonEmpty(io.env['RUNS_URL']) ?? dev?.apiUrl ?? DEFAULT_API_URL;
  if (!/^https?:\/\//.test(apiUrl) || !URL.canParse(apiUrl))
    throw usageError(
      `RUNS_URL must be the URL of the API, such as ${JSON.stringify(DEFAULT_API_URL)}; got ${JSON.stringify(apiUrl)}.`,
    );
  const backend = nonEmpty(io.env['RUNS_BACKEND']) ?? dev?.backend ?? 'sandbox';
  if (!BACKENDS.includes(backend))
    throw usageError(
      `RUNS_BACKEND must be ${BACKENDS.map((name) => JSON.stringify(name)).join(', ')}; got ${JSON.stringify(backend)}.`,
    );
  return {
    dev,
    backend,
    // `OPENAI_BASE_URL` habits: with or without the version, it means the same server.
    apiUrl: apiUrl.replace(/\/+$/, '').replace(/\/v1$/, ''),
    apiKey: nonEmpty(io.env['RUNS_API_KEY']),
  };
};

/** How `RunsClient.connect` finds Temporal from here. */
export const temporalChoice = async (io: CliIo): Promise<ConnectOptions> => {
  const chosen = TEMPORAL_CHOICE.some((name) => nonEmpty(io.env[name]) !== undefined);
  const dev = chosen ? undefined : await liveDevState(dataDir(io.env));
  const { dataConverterOf } = await import('../worker/data-converter.ts');
  const converter = await dataConverterOf(io.env);
  if (dev === undefined) return { env: { ...io.env }, ...converter };
  return {
    ...converter,
    env: { TEMPORAL_CONFIG_FILE: NO_FILE },
    address: dev.temporalAddress,
    namespace: dev.namespace,
    taskQueue: nonEmpty(io.env['RUNS_TASK_QUEUE']) ?? dev.taskQueue,
  };
};

/** Lends a connected client and closes it afterwards, however the work ends. */
export const withClient = async <T>(io: CliIo, work: (client: RunsClient) => Promise<T>): Promise<T> => {
  const { RunsClient } = await import('../client/index.ts');
  const client = await RunsClient.connect(await temporalChoice(io));
  try {
    return await work(client);
  } finally {
    await client.close();
  }
};
