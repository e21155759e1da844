/** `runs worker`: runs workflows and activities until a signal. Prints `ready …` on stderr when it polls. */
import { defineCommand, NO_RESTART } from '../command.ts';
import { temporalChoice } from '../connections.ts';

export const worker = defineCommand<object>({
  name: 'worker',
  summary: 'run workflows, tools and backend work; stays until stopped',
  stays: true,
  configure: (command) => command.option(...NO_RESTART),
  run: async ({ io, say, announce }) => {
    const { runWorker } = await import('../../worker/run-worker.ts');
    const { configFromEnv } = await import('../../worker/config.ts');
    const { temporalTarget } = await import('../../client/index.ts');
    const { writeProcessRecord } = await import('../../app/process-file.ts');
    const config = configFromEnv(io.env);
    let record: ReturnType<typeof writeProcessRecord> | undefined;
    try {
      await runWorker(config, {
        env: io.env,
        temporal: temporalTarget(await temporalChoice(io)),
        write: say,
        signal: io.signal,
        onReady: (running) => {
          const { address, namespace, taskQueue, tools, metricsUrl } = running;
          const temporal = { address, namespace, taskQueue };
          const own = { role: 'worker', temporal, apiUrl: null } as const;
          record = writeProcessRecord(config.dataDir, io.env, own, () => running.learned());
          announce({ ready: true, temporal: address, namespace, taskQueue, tools, metricsUrl });
        },
      });
    } finally {
      await (await record)?.remove();
    }
    return undefined;
  },
});
