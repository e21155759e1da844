/** `runs serve`: the HTTP API on its own. Workers are other processes; both share one PostgreSQL. Says `ready …` on stderr. */
import { defineCommand } from '../command.ts';
import { readConfig } from '../config.ts';

export const serve = defineCommand<object>({
  name: 'serve',
  summary: 'serve the HTTP API; stays until stopped',
  stays: true,
  configure: () => undefined,
  run: async (context) => {
    const config = await readConfig(context, 'serve');
    const { serveDurable } = await import('../stack/api-server.ts');
    return serveDurable(context, config);
  },
});
