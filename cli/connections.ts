/**
 * Where a command finds Temporal and our API.
 *
 * Rule: what the environment names wins; then the `runs dev` of this directory; then the usual local addresses, but only
 * where no `runs dev` was ever started: one that has ended is an error, since another server's runs are not the ones meant.
 * Imported by the commands; loads Temporal only when a client is asked for.
 */
import type { ConnectOptions, RunsClient } from '../client/index.ts';
import type { CliIo } from './command.ts';
import { usageError } from '../app/exit.ts';
import { dataDir, devNotRunning, folderDev, nonEmpty } from '../app/dev-state.ts';
import { NO_FILE, TEMPORAL_CHOICE } from '../app/temporal-env.ts';

const BACKENDS: readonly string[] = ['sandbox', 'chat', 'assistants'];
const DEFAULT_API_URL = 'http://127.0.0.1:8787';

export interface ApiPlace {
  /** Base URL of the API, without `/v1` and without a slash at the end. */
  apiUrl: string;
  apiKey: string | undefined;
}

export interface Connections {
  /** `assistants`, `chat` or `sandbox`: who executes runs started from here. */
  backend: string;
  /** Where the API is. Throws exit 5 when that is known only by a `runs dev` that is not running. */
  api(): ApiPlace;
}

export const connections = async (io: CliIo): Promise<Connections> => {
  const dev = await folderDev(dataDir(io.env));
  const state = dev.kind === 'none' ? undefined : dev.state;
  const named = nonEmpty(io.env['RUNS_URL']);
  if (named !== undefined && (!/^https?:\/\//.test(named) || !URL.canParse(named)))
    throw usageError(
      `RUNS_URL must be the URL of the API, such as ${JSON.stringify(DEFAULT_API_URL)}; got ${JSON.stringify(named)}.`,
    );
  const backend = nonEmpty(io.env['RUNS_BACKEND']) ?? state?.backend ?? 'sandbox';
  if (!BACKENDS.includes(backend))
    throw usageError(
      `RUNS_BACKEND must be ${BACKENDS.map((name) => JSON.stringify(name)).join(', ')}; got ${JSON.stringify(backend)}.`,
    );
  return {
    backend,
    api: () => {
      if (named === undefined && dev.kind === 'not-running') throw devNotRunning(dev, 'RUNS_URL');
      return {
        // `OPENAI_BASE_URL` habits: with or without the version, it means the same server.
        apiUrl: (named ?? state?.apiUrl ?? DEFAULT_API_URL).replace(/\/+$/, '').replace(/\/v1$/, ''),
        apiKey: nonEmpty(io.env['RUNS_API_KEY']),
      };
    },
  };
};

/** How Temporal is found from here. Throws exit 5 when only a `runs dev` that is not running tells. */
export const temporalChoice = async (io: CliIo): Promise<ConnectOptions> => {
  const chosen = TEMPORAL_CHOICE.some((name) => nonEmpty(io.env[name]) !== undefined);
  const dev = chosen ? { kind: 'none' as const } : await folderDev(dataDir(io.env));
  if (dev.kind === 'not-running') throw devNotRunning(dev, 'TEMPORAL_ADDRESS');
  const { dataConverterOf } = await import('../worker/data-converter.ts');
  const converter = await dataConverterOf(io.env);
  if (dev.kind === 'none') return { env: { ...io.env }, ...converter };
  return {
    ...converter,
    env: { TEMPORAL_CONFIG_FILE: NO_FILE },
    address: dev.state.temporalAddress,
    namespace: dev.state.namespace,
    taskQueue: nonEmpty(io.env['RUNS_TASK_QUEUE']) ?? dev.state.taskQueue,
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
