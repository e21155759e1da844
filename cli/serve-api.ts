/**
 * `runs serve` as a process of its own: database and Temporal from the environment, until a signal.
 *
 * Rule: no worker code is loaded here.
 */
import { RunsClient } from '../client/index.ts';
import { RunsError } from '../protocol/errors.ts';
import { openStore } from '../store/index.ts';
import { storeFor, type Config } from '../worker/config.ts';
import { makeLog } from '../worker/log.ts';
import type { CommandContext } from './command.ts';
import { temporalChoice } from './connections.ts';
import { startApi } from '../app/api.ts';
import { Disposables } from '../worker/disposables.ts';
import { startTelemetry } from '../worker/telemetry/index.ts';
import { writeProcessRecord } from '../app/process-file.ts';
import { stopRequested } from '../app/run-until-signal.ts';

/** Scripts wait for this line on stderr. */
export const readyLine = ({
  url,
  open,
  consoleUrl,
}: {
  url: string;
  open: boolean;
  consoleUrl: string | null;
}): string =>
  `ready api at ${url}, ${open ? 'without keys: for this machine only' : 'keys needed'}${consoleUrl === null ? '' : `; console at ${consoleUrl}`}`;

export const serveDurable = async (context: CommandContext, config: Config): Promise<undefined> => {
  const { io, say, announce } = context;
  const log = makeLog(config.logLevel);
  const endings = new Disposables(log);
  const where = storeFor(config, 'serve');
  if (where.kind !== 'postgres')
    throw new RunsError(
      'config',
      where.kind === 'refused' ? where.problem : 'runs serve needs DATABASE_URL.',
    );
  // Before the database, because opening the store may change its schema.
  const temporal = await temporalChoice(io);
  try {
    const telemetry = await startTelemetry(config.telemetry, log);
    if (telemetry !== null) endings.add('telemetry', () => telemetry.close());
    const store = await openStore({ databaseUrl: where.databaseUrl });
    endings.add('store', () => store.close());
    const client = await RunsClient.connect({
      ...temporal,
      ...(telemetry === null ? {} : { interceptors: telemetry.clientInterceptors }),
    });
    endings.add('client', () => client.close());
    const api = await startApi({ config, store, client, log, telemetry });
    endings.add('API', () => api.close());
    const record = await writeProcessRecord(config.dataDir, io.env, {
      role: 'serve',
      temporal: client.place,
      apiUrl: api.url,
    });
    endings.add('process file', () => record.remove());
    announce({ ready: true, url: api.url, open: api.open, consoleUrl: api.consoleUrl });
    say(readyLine(api));
    await stopRequested(io.signal);
    say('stopping: finishing running work');
  } finally {
    await endings.run();
  }
  return undefined;
};
