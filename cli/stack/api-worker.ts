/**
 * `runs serve --worker`: API and worker in one process, over one store and, for starts, one connection to Temporal.
 *
 * Rule: the worker takes work before the API takes requests, and ends after it, so what was accepted here finds somebody.
 */
import { RunsError } from '../../protocol/errors.ts';
import type { Config } from '../../worker/config.ts';
import { makeLog } from '../../worker/log.ts';
import { loadTools } from '../../worker/tools-file.ts';
import type { CommandContext } from '../command.ts';
import { CliError, EXIT } from '../exit.ts';
import { asked, readyLine } from './api-server.ts';
import { startOn } from './stack.ts';
import { temporalElsewhere } from './temporal.ts';

export const serveWithWorker = async (
  { io, say, announce }: CommandContext,
  config: Config,
): Promise<undefined> => {
  const tools = config.toolsFile === null ? undefined : await loadTools(config.toolsFile);
  const stack = await startOn(temporalElsewhere({ env: io.env, taskQueue: config.taskQueue }), {
    config,
    env: io.env,
    storeDir: null,
    sample: false,
    ...(tools === undefined ? {} : { tools }),
    apiPort: { named: config.port },
    log: makeLog(config.logLevel),
    say,
  });
  try {
    const { temporal, worker, apiUrl: url, apiOpen: open } = stack;
    const { address, namespace, taskQueue } = temporal;
    if (url === null) throw new RunsError('config', 'There is nothing to serve with this RUNS_BACKEND.');
    announce({ ready: true, url, open, temporal: address, namespace, taskQueue, tools: worker.tools });
    say(
      `${readyLine({ url, open })}; worker on task queue ${JSON.stringify(taskQueue)}, ${worker.tools.length === 0 ? 'no tools' : `tools ${worker.tools.join(', ')}`}`,
    );
    const broken = await Promise.race([asked(io.signal).then(() => null), stack.broken]);
    if (broken !== null) throw new CliError(EXIT.unavailable, 'part_ended', `${broken}. Start it again.`);
    say('stopping: finishing what is under way');
  } finally {
    await stack.close();
  }
  return undefined;
};
