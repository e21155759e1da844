/**
 * The jobs of docker-compose.yml, run for real: the script that prepares Postgres and the one that prepares Temporal.
 * Not here: temporal-schema.sh, whose tool comes with Temporal's own image only; `test/cluster` runs it.
 */
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Client as PgClient } from 'pg';
import { describe, expect, test } from 'vitest';
import { findTemporalCli } from '../../../dev-server/find-temporal.ts';
import { startTemporal } from '../../../dev-server/temporal-server.ts';
import { checkSearchAttributes } from '../../../client/index.ts';
import { startPostgres } from '../../support/postgres.ts';
import { ROOT } from '../../support/sources.ts';
import { liveTemporal } from '../../support/temporal.ts';

const run = promisify(execFile);
const script = (name: string): string => join(ROOT, 'deploy', name);
const PATH = process.env['PATH'] ?? '';

const query = async (url: string, sql: string): Promise<unknown[]> => {
  const client = new PgClient({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
};

describe('postgres-init.sh', () => {
  test('gives each of the two its own databases, and neither the other’s', async () => {
    const server = await startPostgres({ durable: false, superuser: 'postgres' });
    try {
      const as = (user: string, database: string): string =>
        `postgres://${user}@127.0.0.1:${server.port}/${database}`;
      await run(script('postgres-init.sh'), [], {
        env: {
          PATH,
          PGHOST: '127.0.0.1',
          PGPORT: String(server.port),
          TEMPORAL_DB_PASSWORD: `it's "one"`,
          RUNS_DB_PASSWORD: 'two',
        },
      });
      await query(as('runs', 'durable_runs'), 'CREATE TABLE mine (id int)');
      await query(as('temporal', 'temporal'), 'CREATE TABLE mine (id int)');
      // What the visibility schema needs, without being superuser.
      await query(as('temporal', 'temporal_visibility'), 'CREATE EXTENSION btree_gin');
      await expect(query(as('runs', 'temporal'), 'SELECT 1')).rejects.toThrow(/permission denied/);
      await expect(query(as('temporal', 'durable_runs'), 'SELECT 1')).rejects.toThrow(/permission denied/);
      const powerful = await query(
        as('postgres', 'postgres'),
        `SELECT rolname FROM pg_roles WHERE rolname IN ('runs', 'temporal') AND (rolsuper OR rolcreatedb OR rolcreaterole)`,
      );
      expect(powerful).toEqual([]);
    } finally {
      await server.remove();
    }
  });
});

describe('temporal-namespace.sh', () => {
  test('creates namespace and search attributes, and may run again', async () => {
    const cli = await findTemporalCli();
    const server = await startTemporal({ executable: cli });
    const env = {
      PATH: `${dirname(cli.path)}:${PATH}`,
      HOME: '/nonexistent',
      TEMPORAL_ADDRESS: server.address,
      TEMPORAL_NAMESPACE: 'fresh',
    };
    // The downloaded binary is not always called `temporal`.
    const alias = `temporal() { ${JSON.stringify(cli.path)} "$@"; }; . ${JSON.stringify(script('temporal-namespace.sh'))}`;
    try {
      await run('/bin/sh', ['-c', alias], { env });
      const again = await run('/bin/sh', ['-c', alias], { env });
      expect(again.stdout).toContain('RunsWaitingFor: there');
      const temporal = await liveTemporal(server.address);
      try {
        expect(await checkSearchAttributes(temporal.connection, 'fresh')).toMatchObject({ available: true });
      } finally {
        await temporal.close();
      }
    } finally {
      await server.stop();
    }
  });
});
