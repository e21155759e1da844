/** A database on the shared PostgreSQL for one test file. `postgres-server.ts` has servers that a test may kill. */
import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { inject } from 'vitest';
import { available } from './available.ts';

export { startPostgres, type PostgresServer } from './postgres-server.ts';

export interface FreshDatabase {
  /** For `DATABASE_URL`. */
  url: string;
  /** Deletes the database, closing whatever is still connected to it. */
  drop(): Promise<void>;
}

export async function freshDatabase(): Promise<FreshDatabase> {
  const server = available('PostgreSQL', inject('postgresUrl'));
  const name = `test_${randomBytes(6).toString('hex')}`;
  await query(server, `create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => query(server, `drop database if exists ${name} with (force)`) };
}

async function query(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
