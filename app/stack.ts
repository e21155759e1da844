/**
 * Everything in one process tree: Temporal, what the backend needs, a worker and, on native backends, the API.
 *
 * Rule: what was started is ended, in the reverse order, whatever fails on the way; nothing started here outlives the
 * process. `runs dev`, the demo and `runs serve --worker` are this and their own words around it.
 */
import type { ConnectOptions, TemporalTarget } from '../client/index.ts';
import { startWorker, type RunningWorker } from '../worker/start-worker.ts';
import { loadTools } from '../worker/tools-file.ts';
import { dataConverterOf } from '../worker/data-converter.ts';
import { openBackend } from './open-backend.ts';
import { Disposables } from '../worker/disposables.ts';
import { openTemporal, type StackTemporal } from './temporal.ts';
import type { PartsOptions, StackOptions } from './types.ts';

export interface Stack {
  temporal: TemporalTarget;
  /** How a client finds it. */
  connect: ConnectOptions;
  /** Of the embedded Temporal server; null = somebody else's. */
  temporalPid: number | null;
  uiUrl: string | null;
  /** Ends in `/v1`; null where no API is served. */
  apiUrl: string | null;
  /** Nobody needs a key for it. */
  apiOpen: boolean;
  assistantId: string | null;
  worker: RunningWorker;
  /** Resolves with the reason when a part ends by itself. */
  broken: Promise<string>;
  close(): Promise<void>;
}

export const startStack = (options: StackOptions): Promise<Stack> => {
  const { config, env, say } = options;
  return startOn(() => openTemporal({ ...options.temporal, env, taskQueue: config.taskQueue, say }), options);
};

/** The same on the Temporal that `open` gives; it is ended with the rest. */
export const startOn = async (open: () => Promise<StackTemporal>, options: PartsOptions): Promise<Stack> => {
  const { config, env, log } = options;
  const endings = new Disposables(log);
  try {
    // The user's own file first: what is wrong with it should not need a server to be found out.
    const tools =
      options.tools ?? (config.toolsFile === null ? undefined : await loadTools(config.toolsFile));
    const temporal = await open();
    endings.add('Temporal', () => temporal.stop());
    // The same as the worker's: a client without it could not read what the worker wrote.
    const connect = { ...temporal.connect, ...(await dataConverterOf(env)) };
    const backend = await openBackend({
      ...options,
      connect,
      embedded: temporal.pid !== null,
      ...(tools === undefined ? {} : { tools }),
    });
    endings.add('backend', () => backend.close());
    const worker = await startWorker(config, {
      env,
      temporal: temporal.target,
      backends: backend.backends,
      log,
      ...(backend.startFollowUpRun === undefined ? {} : { startFollowUpRun: backend.startFollowUpRun }),
      ...(tools === undefined ? {} : { tools }),
    });
    endings.add('worker', () => worker.stop());
    const served = await backend.serve(worker.client);
    // Requests that are under way may start runs, which takes the worker's client.
    if (served !== null) endings.add('API', () => served.close());
    return {
      temporal: temporal.target,
      connect,
      temporalPid: temporal.pid,
      uiUrl: temporal.uiUrl,
      apiUrl: served?.url ?? null,
      apiOpen: served?.open ?? false,
      assistantId: served?.assistantId ?? null,
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
