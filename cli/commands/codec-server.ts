/**
 * `runs codec-server`: decrypts payloads for Temporal's Web UI, for operators who sign in. Prints `ready …` on stderr.
 */
import { defineCommand } from '../command.ts';
import { nonEmpty } from '../../app/dev-state.ts';
import { stopRequested } from '../../app/run-until-signal.ts';

/** Where Temporal's dev server has its Web UI. */
const DEFAULT_ORIGINS = 'http://localhost:8233 http://127.0.0.1:8233';
const DEFAULT_PORT = 8788;

export const codecServer = defineCommand<object>({
  name: 'codec-server',
  summary: "decrypt payloads for Temporal's Web UI; stays until stopped",
  stays: true,
  configure: () => undefined,
  run: async ({ io, say, announce }) => {
    const { startCodecServer } = await import('../../app/codec-server/index.ts');
    const { dataConverterOf } = await import('../../worker/data-converter.ts');
    const { parseOrigins } = await import('../../api/index.ts');
    const { configFromEnv } = await import('../../worker/config.ts');
    const { makeLog } = await import('../../worker/log.ts');
    const config = configFromEnv(io.env);
    const server = await startCodecServer({
      dataConverter: (await dataConverterOf(io.env)).dataConverter,
      apiKeys: config.apiKeys,
      origins: parseOrigins(nonEmpty(io.env['RUNS_CODEC_ORIGINS']) ?? DEFAULT_ORIGINS, 'RUNS_CODEC_ORIGINS'),
      host: config.host,
      port: nonEmpty(io.env['PORT']) === undefined ? DEFAULT_PORT : config.port,
      publicUrl: nonEmpty(io.env['RUNS_CODEC_URL']) ?? null,
      log: makeLog(config.logLevel),
    });
    try {
      announce({ ready: true, url: server.url, open: server.open });
      say(
        `ready codec endpoint at ${server.url}, ${server.open ? 'without keys: for this machine only' : 'an operator signs in there'}`,
      );
      await stopRequested(io.signal);
    } finally {
      await server.close();
    }
    return undefined;
  },
});
