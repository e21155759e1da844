/**
 * Everything in one process tree: Temporal, the backend's parts, a worker and, on `chat`, the API.
 *
 * Rule: every part that was started is closed, in reverse order, also after an error; nothing started here outlives the
 * process. `runs dev`, the demo and `runs serve --worker` use it.
 */
import type { ConnectOptions, TemporalTarget } from '../client/index.ts';
import { startWorker, type RunningWorker } from '../worker/start-worker.ts';
import { loadTools } from '../worker/tools-file.ts';
import { dataConverterOf } from '../worker/data-converter.ts';
import { startTelemetry } from '../worker/telemetry/index.ts';
import { openBackend } from './open-backend.ts';
import { Disposables } from '../worker/disposables.ts';
import { openTemporal, type StackTemporal } from './temporal.ts';
import type { PartsOptions, StackOptions } from './types.ts';

export interface Stack {
  temporal: TemporalTarget;
  /** How a client connects to it. */
  connect: ConnectOptions;
  /** Pid of the embedded Temporal server; null = the stack did not start the server. */
  temporalPid: number | null;
  uiUrl: string | null;
  /** Ends in `/v1`; null where no API is served. */
  apiUrl: string | null;
  /** The API requires no key. */
  apiOpen: boolean;
  /** Of the console; null where none is served. */
  consoleUrl: string | null;
  assistantId: string | null;
  worker: RunningWorker;
  /** Resolves with the reason when a part ends by itself. */
  broken: Promise<string>;
  close(): Promise<void>;
}

export const startStack = (options: StackOptions): Promise<Stack> => {
  const { config, env, log, say } = options;
  return startOn(
    () => openTemporal({ ...options.temporal, env, taskQueue: config.taskQueue, log, say }),
    options,
  );
};

/** The same on the Temporal server that `open` returns; it is closed with the rest. */
export const startOn = async (open: () => Promise<StackTemporal>, options: PartsOptions): Promise<Stack> => {
  const { config, env, log } = options;
  const endings = new Disposables(log);
  try {
    // The user's file comes first: its problems should be reported without starting a server.
    const tools =
      options.tools ?? (config.toolsFile === null ? undefined : await loadTools(config.toolsFile));
    const telemetry = await startTelemetry(config.telemetry, log);
    if (telemetry !== null) endings.add('telemetry', () => telemetry.close());
    const temporal = await open();
    endings.add('Temporal', () => temporal.stop());
    // The worker's data converter: a client without it could not read the worker's data.
    const connect = { ...temporal.connect, ...(await dataConverterOf(env)) };
    const backend = await openBackend({
      ...options,
      connect,
      uiUrl: temporal.uiUrl,
      embedded: temporal.pid !== null,
      telemetry,
      ...(tools === undefined ? {} : { tools }),
    });
    endings.add('backend', () => backend.close());
    const worker = await startWorker(config, {
      env,
      temporal: temporal.target,
      backends: backend.backends,
      telemetry,
      log,
      ...(backend.webhookStore === undefined ? {} : { webhookStore: backend.webhookStore }),
      ...(backend.startFollowUpRun === undefined ? {} : { startFollowUpRun: backend.startFollowUpRun }),
      ...(tools === undefined ? {} : { tools }),
    });
    endings.add('worker', () => worker.stop());
    const served = await backend.serve(worker.client);
    // Requests in flight may start runs, and these need the worker's client.
    if (served !== null) endings.add('API', () => served.close());
    return {
      temporal: temporal.target,
      connect,
      temporalPid: temporal.pid,
      uiUrl: temporal.uiUrl,
      apiUrl: served?.url ?? null,
      apiOpen: served?.open ?? false,
      consoleUrl: served?.consoleUrl ?? null,
      assistantId: served?.assistantId ?? null,
      worker,
      broken: Promise.race([
        temporal.exited.then(() => 'the Temporal server has ended'),
        worker.done.then(
          () => 'the worker has ended',
          (error: unknown) => `the worker failed: ${error instanceof Error ? error.message : String(error)}`,
        ),
      ]),
      close: () => endings.run(),
    };
  } catch (error) {
    await endings.run();
    throw error;
  }
};
