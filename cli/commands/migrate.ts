/**
 * `runs migrate`: brings the database of `DATABASE_URL` up to this version, and ends. For deployments that do so before they replace
 * processes; each process does it at its start, too.
 */
import { RunsError } from '../../protocol/errors.ts';
import { defineCommand } from '../command.ts';

export const migrateCommand = defineCommand<object>({
  name: 'migrate',
  summary: 'apply missing migrations to the database, and end',
  configure: () => undefined,
  run: async ({ io }) => {
    const { configFromEnv } = await import('../../worker/config.ts');
    const { databaseUrl } = configFromEnv(io.env);
    if (databaseUrl === null)
      throw new RunsError(
        'config',
        'DATABASE_URL is not set, so there is no database to migrate. Set it to that of the server; the embedded database of "runs dev" migrates itself.',
      );
    const { migrateDatabase } = await import('../../store/index.ts');
    const applied = await migrateDatabase(databaseUrl);
    const lines =
      applied.length === 0
        ? ['nothing to apply: the database is at this version']
        : applied.map((name) => `applied ${name}`);
    return { json: { applied }, lines };
  },
});
