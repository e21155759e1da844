/**
 * How a command finds Temporal and the API.
 *
 * Rule: the environment wins; then the `runs dev` of this directory; then the usual local addresses, but only where no
 * `runs dev` was ever started: a stopped one is an error, since another server has other runs.
 * Imported by the commands; loads Temporal only for a client.
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
  /** `assistants`, `chat` or `sandbox`: the backend of runs started here. */
  backend: string;
  /** Address of the API. Throws exit 5 when only a `runs dev` that is not running knows it. */
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
        // An `OPENAI_BASE_URL` with or without the version means the same server.
        apiUrl: (named ?? state?.apiUrl ?? DEFAULT_API_URL).replace(/\/+$/, '').replace(/\/v1$/, ''),
        apiKey: nonEmpty(io.env['RUNS_API_KEY']),
      };
    },
  };
};

/** Connection options of Temporal. Throws exit 5 when only a `runs dev` that is not running knows them. */
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

/** Passes a connected client to `work`, and closes it afterwards in any case. */
export const withClient = async <T>(io: CliIo, work: (client: RunsClient) => Promise<T>): Promise<T> => {
  const { RunsClient } = await import('../client/index.ts');
  const client = await RunsClient.connect(await temporalChoice(io));
  try {
    return await work(client);
  } finally {
    await client.close();
  }
};
