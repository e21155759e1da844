/**
 * The driver for PostgreSQL: one pool for statements, one connection that listens.
 *
 * Rule: every wait is bounded (connect, statement, lock, idle transaction), so a frozen worker cannot hold a run's row
 * for ever. The pool replaces broken connections; errors of idle connections do not end the process.
 * Imported by `store/index.ts`.
 */
import { Pool, types as pgTypes, type ClientConfig, type CustomTypesConfig, type PoolClient } from 'pg';
import { StoreError } from '../protocol/ports/store-error.ts';
import { Announcements, type Database, type Param, type Sql } from './database.ts';
import { toStoreError } from './errors.ts';
import { listen } from './listener.ts';

export interface PostgresOptions {
  databaseUrl: string;
  /** Connections in the pool. Default 10. */
  maxConnections?: number;
  /** Timeout of one statement. Default 15 s. */
  statementTimeoutMs?: number;
  /**
   * Listen for events of other processes. Default true; a process without readers saves a connection and the wake-ups.
   */
  listens?: boolean;
}

const INT8 = 20;
interface Parsers {
  getTypeParser(oid: number, format?: 'text'): (value: string) => unknown;
}
// The package's types require an enum that exists only as a type.
const builtIn = pgTypes as unknown as Parsers;
const parsers: Parsers = {
  // Positions, sequence numbers and milliseconds stay far below 2^53.
  getTypeParser: (oid, format) => (oid === INT8 ? Number : builtIn.getTypeParser(oid, format)),
};
const types = parsers as unknown as CustomTypesConfig;

/** Without a listener, a connection that breaks between two statements would be an uncaught error. */
const ignore = (): void => {};

const sqlOf = (client: PoolClient | Pool): Sql => ({
  async query<Row>(text: string, params: readonly Param[] = [], name?: string): Promise<Row[]> {
    try {
      const result = await client.query({
        text,
        values: [...params],
        ...(name === undefined ? {} : { name }),
      });
      return result.rows as Row[];
    } catch (error) {
      throw toStoreError(error);
    }
  },
});

export const openPostgres = async (options: PostgresOptions): Promise<Database> => {
  const statementTimeout = options.statementTimeoutMs ?? 15_000;
  const connection = {
    connectionString: options.databaseUrl,
    application_name: 'durable-runs',
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    // Statements select rows by key, so a generic plan is as good as a custom one, and planning the creation of a run
    // takes as long as running it. (Options in the URL replace these.)
    options: '-c plan_cache_mode=force_generic_plan',
    types,
  } satisfies ClientConfig;
  const pool = new Pool({
    ...connection,
    max: options.maxConnections ?? 10,
    // Statements that do not wait for each other share a round trip; the server keeps their order.
    pipeline: true,
    statement_timeout: statementTimeout,
    lock_timeout: statementTimeout,
    idle_in_transaction_session_timeout: statementTimeout,
    // The server's timeout comes first; this one is for a connection that went silent.
    query_timeout: statementTimeout + 5_000,
  });
  pool.on('error', () => {
    // An idle connection broke (server restart, failover). The pool has dropped it already.
  });

  const announcements = new Announcements(false);
  const listener = options.listens === false ? null : listen(connection, announcements);

  const connect = async (): Promise<PoolClient> => {
    try {
      return await pool.connect();
    } catch (error) {
      throw toStoreError(error);
    }
  };

  return {
    ...sqlOf(pool),
    announcements,
    async transaction<T>(body: (sql: Sql) => Promise<T>): Promise<T> {
      const client = await connect();
      const sql = sqlOf(client);
      client.on('error', ignore);
      let broken: Error | undefined;
      try {
        // Travels with the body's first statement. If it fails, all later ones fail too.
        const begun = sql.query('begin');
        begun.catch(ignore);
        const result = await body(sql);
        await begun;
        await sql.query('commit');
        return result;
      } catch (error) {
        if (error instanceof StoreError && error.code === 'unavailable') broken = error;
        else
          await sql.query('rollback').catch((failure: unknown) => {
            broken = failure instanceof Error ? failure : new Error('rollback failed');
          });
        throw error;
      } finally {
        client.off('error', ignore);
        client.release(broken);
      }
    },
    tidy: async () => undefined,
    async close() {
      await listener?.close();
      await pool.end();
    },
  };
};
