/**
 * `runs serve`: the HTTP API alone. Workers are other processes on the same PostgreSQL. Prints `ready …` on stderr.
 *
 * With `--worker` a worker runs in the same process: one process for everything, and runs start sooner.
 */
import { defineCommand, NO_RESTART } from '../command.ts';
import { readConfig } from '../config.ts';

export interface ServeFlags {
  worker?: boolean;
}

export const serve = defineCommand<ServeFlags>({
  name: 'serve',
  summary: 'serve the HTTP API; stays until stopped',
  stays: true,
  configure: (command) =>
    command
      .option('--worker', 'run a worker in this process, too: it takes the runs created here at once')
      .option(...NO_RESTART),
  run: async (context, _args, flags) => {
    if (flags.worker === true) {
      const config = await readConfig(context, 'serve', 'worker');
      const { serveWithWorker } = await import('../serve-with-worker.ts');
      return serveWithWorker(context, config);
    }
    const config = await readConfig(context, 'serve');
    const { serveDurable } = await import('../serve-api.ts');
    return serveDurable(context, config);
  },
});
