/**
 * PostgreSQL behind the store: one pool for statements, one connection that listens.
 *
 * Rule: every wait is bounded (connect, statement, lock, a transaction that its process forgot), so a frozen worker
 * can't hold a run's row for ever. The pool heals itself; errors of idle connections are not ours to die of.
 * Imported by `store/index.ts`.
 */
import { Pool, types as pgTypes, type ClientConfig, type CustomTypesConfig, type PoolClient } from 'pg';
import { StoreError } from '../protocol/ports/run-store.ts';
import { Announcements, type Database, type Param, type Sql } from './database.ts';
import { toStoreError } from './errors.ts';
import { listen } from './listener.ts';

export interface PostgresOptions {
  databaseUrl: string;
  /** Connections in the pool. Default 10. */
  maxConnections?: number;
  /** One statement may take this long. Default 15 s. */
  statementTimeoutMs?: number;
  /**
   * Hear at once of other processes' events. Default true; a process whose own readers are none saves a connection, and being
   * woken by every event of every run.
   */
  listens?: boolean;
}

const INT8 = 20;
interface Parsers {
  getTypeParser(oid: number, format?: 'text'): (value: string) => unknown;
}
// The package's own types want an enum that exists in types only.
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
    // Our statements name rows by their keys: a plan made for the values at hand is never better, and planning a start
    // anew takes as long as carrying it out. (Options of the URL's own stand instead of these.)
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
    // The server's own timeout speaks first; this one is for a connection that went silent.
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
        // Travels with the body's first statement. If it fails, so does everything behind it.
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
