/**
 * `runs serve --worker`: API and worker in one process, with one store and, for starts, one connection to Temporal.
 *
 * Rule: the worker polls before the API accepts requests, and ends after it, so that accepted runs find a worker.
 */
import { RunsError } from '../protocol/errors.ts';
import type { Config } from '../worker/config.ts';
import { makeLog } from '../worker/log.ts';
import { guardProcess } from '../worker/process-guard.ts';
import type { CommandContext } from './command.ts';
import { temporalChoice } from './connections.ts';
import { readyLine } from './serve-api.ts';
import { writeProcessRecord } from '../app/process-file.ts';
import { startOn } from '../app/stack.ts';
import { runUntilSignal } from '../app/run-until-signal.ts';
import { temporalAtAddress } from '../app/temporal.ts';

export const serveWithWorker = async (
  { io, say, announce }: CommandContext,
  config: Config,
): Promise<undefined> => {
  const elsewhere = temporalAtAddress(await temporalChoice(io), config.taskQueue);
  const log = makeLog(config.logLevel);
  const guard = guardProcess({ log });
  const stack = await startOn(async () => elsewhere, {
    config,
    env: io.env,
    storeDir: null,
    sample: false,
    apiPort: { named: config.port },
    log,
    say,
  });
  const { temporal, worker, apiUrl: url, apiOpen: open, consoleUrl } = stack;
  const { address, namespace, taskQueue } = temporal;
  const own = { role: 'serve', temporal: { address, namespace, taskQueue }, apiUrl: url } as const;
  const record = await writeProcessRecord(config.dataDir, io.env, own, () => worker.learned());
  try {
    if (url === null) throw new RunsError('config', 'There is nothing to serve with this RUNS_BACKEND.');
    announce({
      ready: true,
      url,
      open,
      consoleUrl,
      temporal: address,
      namespace,
      taskQueue,
      tools: worker.tools,
    });
    say(
      `${readyLine({ url, open, consoleUrl })}; worker on task queue ${JSON.stringify(taskQueue)}, ${worker.tools.length === 0 ? 'no tools' : `tools ${worker.tools.join(', ')}`}`,
    );
    await runUntilSignal(io.signal, stack.broken, 'Start it again.');
    say('stopping: finishing running work');
  } finally {
    await record.remove();
    await stack.close();
    guard.dispose();
  }
  return undefined;
};
