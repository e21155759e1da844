/**
 * `runs worker`: reads the environment, checks it, starts the worker, and runs it until a signal.
 *
 * Rule: a bad configuration is refused at start; all output goes to stderr, and one line that begins with `ready` says
 * that the worker polls. Effects begin when `runWorker` is called, never at import.
 * Imported by the CLI and by drills.
 */
import { startWorker, type RunningWorker, type WorkerDependencies } from './start-worker.ts';
import { describeConfig } from './describe-config.ts';
import { configFromEnv, type Config } from './config.ts';
import type { Telemetry } from './telemetry/types.ts';
import { configWarnings } from './config-warnings.ts';
import { makeLog } from './log.ts';
import { guardProcess } from './process-guard.ts';
import { throwConfigErrors } from './config-errors.ts';
import { productionBackends } from './backends.ts';
import { startTelemetry } from './telemetry/index.ts';

/** The parts of a worker that `runWorker` shall not build itself, and what it reports. */
export interface RunWorkerOptions extends Partial<WorkerDependencies> {
  /** Writes lines for people. Default stderr. */
  write?: (line: string) => void;
  /** Called once, when the worker polls. */
  onReady?: (worker: RunningWorker) => void;
  /** Abort = drain and end. SIGINT and SIGTERM do the same. */
  signal?: AbortSignal;
}

/** Runs a worker until SIGINT, SIGTERM or `signal`, then drains. Throws `RunsError` when it can't start or breaks. */
export const runWorker = async (
  config: Config = configFromEnv(process.env),
  options: RunWorkerOptions = {},
): Promise<void> => {
  const write = options.write ?? ((line: string) => void process.stderr.write(`${line}\n`));
  throwConfigErrors(config, 'worker');
  for (const note of configWarnings(config, 'worker')) write(`note: ${note}.`);
  const log = options.log ?? makeLog(config.logLevel);
  log.debug(describeConfig(config), 'configuration');

  const made = options.backends === undefined ? await productionBackends(config) : null;
  const guard = guardProcess({ log });
  let telemetry: Telemetry | null = null;
  try {
    telemetry = options.telemetry ?? (await startTelemetry(config.telemetry, log));
    const worker = await startWorker(config, {
      ...options,
      telemetry,
      log,
      backends: options.backends ?? made?.backends ?? {},
      ...(made?.webhookStore === undefined ? {} : { webhookStore: made.webhookStore }),
      ...(made?.startFollowUpRun === undefined ? {} : { startFollowUpRun: made.startFollowUpRun }),
    });
    const stop = stopper();
    const onAbort = () => stop.now();
    options.signal?.addEventListener('abort', onAbort, { once: true });
    if (options.signal?.aborted === true) stop.now();
    try {
      write(
        `ready worker on task queue ${JSON.stringify(worker.taskQueue)}, namespace ${JSON.stringify(worker.namespace)} at ${worker.address}, ${worker.tools.length === 0 ? 'no tools' : `tools ${worker.tools.join(', ')}`}`,
      );
      options.onReady?.(worker);
      await Promise.race([worker.done, stop.asked]);
      if (stop.reason() !== null) write(`${stop.reason()}: finishing running work`);
      await worker.stop();
    } finally {
      options.signal?.removeEventListener('abort', onAbort);
      stop.dispose();
    }
  } finally {
    await made?.dispose();
    // Of the caller, who passed it in, otherwise.
    if (options.telemetry == null) await telemetry?.close();
    guard.dispose();
  }
};

const nothing = (): void => undefined;

/** Waits for a signal of the process. Node handles a second one, and ends the process at once. */
const stopper = () => {
  let reason: string | null = null;
  let resolve: () => void = nothing;
  const asked = new Promise<void>((done) => {
    resolve = done;
  });
  const stop = (why: string) => {
    reason ??= why;
    resolve();
  };
  const onSignal = (name: NodeJS.Signals) => stop(name);
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  return {
    asked,
    reason: () => reason,
    now: () => stop('asked to stop'),
    dispose: () => {
      process.removeListener('SIGINT', onSignal);
      process.removeListener('SIGTERM', onSignal);
    },
  };
};
