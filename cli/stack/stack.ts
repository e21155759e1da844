/**
 * Everything in one process tree: Temporal, what the backend needs, a worker and, on native backends, the API.
 *
 * Rule: what was started is ended, in the reverse order, whatever fails on the way; nothing started here outlives the
 * process. Both `runs dev` and the demo are this and their own words around it.
 */
import type { ToolRegistry } from '../../activities/index.ts';
import type { ConnectOptions, TemporalTarget } from '../../client/index.ts';
import type { Logger } from '../../protocol/backend.ts';
import { startWorker, type RunningWorker } from '../../worker/compose.ts';
import type { Config } from '../../worker/config.ts';
import { dataConverterOf } from '../../worker/data-converter.ts';
import { openBackend } from './backend.ts';
import { Endings } from './endings.ts';
import { openTemporal, type TemporalWish } from './temporal.ts';

export interface StackOptions {
  config: Config;
  env: Readonly<Record<string, string | undefined>>;
  temporal: Pick<TemporalWish, 'ports' | 'dbFilename' | 'logFile'>;
  /** Where the native store lives; null = in memory. */
  storeDir: string | null;
  /** Default: the file that the configuration names, else none. */
  tools?: ToolRegistry;
  /** Ports of the API in order of preference. One that the user named is taken or refused. */
  apiPort: { named: number } | { preferred: readonly number[] };
  log: Logger;
  say: (line: string) => void;
}

export interface Stack {
  temporal: TemporalTarget;
  /** How a client finds it. */
  connect: ConnectOptions;
  /** Of the embedded Temporal server; null = somebody else's. */
  temporalPid: number | null;
  uiUrl: string | null;
  temporalHttpUrl: string | null;
  /** Ends in `/v1`; null where no API is served. */
  apiUrl: string | null;
  worker: RunningWorker;
  /** Resolves with the reason when a part ends by itself. */
  broken: Promise<string>;
  close(): Promise<void>;
}

export const startStack = async (options: StackOptions): Promise<Stack> => {
  const endings = new Endings(options.log);
  try {
    const { config, env, log, say } = options;
    const temporal = await openTemporal({ ...options.temporal, env, taskQueue: config.taskQueue, say });
    endings.add('Temporal', () => temporal.stop());
    // The same as the worker's: a client without it could not read what the worker wrote.
    const connect = { ...temporal.connect, ...(await dataConverterOf(env)) };
    const backend = await openBackend({ ...options, connect });
    endings.add('backend', () => backend.close());
    const worker = await startWorker(config, {
      env,
      temporal: temporal.target,
      backends: backend.backends,
      log,
      ...(backend.startLinkedRun === undefined ? {} : { startLinkedRun: backend.startLinkedRun }),
      ...(options.tools === undefined ? {} : { tools: options.tools }),
    });
    endings.add('worker', () => worker.stop());
    const apiUrl = await backend.serve();
    return {
      temporal: temporal.target,
      connect,
      temporalPid: temporal.pid,
      uiUrl: temporal.uiUrl,
      temporalHttpUrl: temporal.httpUrl,
      apiUrl,
      worker,
      broken: Promise.race([
        temporal.exited.then(() => 'the Temporal server has ended'),
        worker.done.then(
          () => 'the worker has ended',
          (error: unknown) => `the worker broke: ${error instanceof Error ? error.message : String(error)}`,
        ),
      ]),
      close: () => endings.run(),
    };
  } catch (error) {
    await endings.run();
    throw error;
  }
};
