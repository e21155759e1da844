/**
 * The driver for the embedded PGlite: PostgreSQL in this process, in memory or in a directory.
 *
 * Rule: one process at a time. PGlite does not notice a second one and corrupts the directory, so the directory is
 * locked first. One connection serves all statements; transactions wait for each other.
 * Imported by `store/index.ts`.
 */
import { PGlite } from '@electric-sql/pglite';
import { Announcements, type Database, type Param, type Sql } from './database.ts';
import { toStoreError } from './errors.ts';
import { lockDirectory } from './lock-file.ts';

type Queryable = Pick<PGlite, 'query'>;

const sqlOf = (queryable: Queryable): Sql => ({
  async query<Row>(text: string, params: readonly Param[] = []): Promise<Row[]> {
    try {
      return (await queryable.query<Row>(text, [...params])).rows;
    } catch (error) {
      throw toStoreError(error);
    }
  },
});

export type PgliteOptions =
  | { dataDir: string }
  /** `image`: an empty database that PGlite dumped (`emptyImage`), which is faster than creating one. */
  | { memory: true; image?: Blob };

/** Creating a database takes 3.5 s of CPU, loading its image 0.4 s. About 40 MB; for this version of PGlite only. */
export const emptyImage = async (): Promise<Blob> => {
  const db = await PGlite.create();
  try {
    return await db.dumpDataDir('none');
  } finally {
    await db.close();
  }
};

export const openPglite = async (options: PgliteOptions): Promise<Database> => {
  const lock = 'dataDir' in options ? await lockDirectory(options.dataDir) : null;
  let db: PGlite;
  try {
    db = await PGlite.create(
      'dataDir' in options
        ? { dataDir: `${options.dataDir}/pg` }
        : options.image === undefined
          ? {}
          : { loadDataDir: options.image },
    );
  } catch (error) {
    await lock?.release();
    throw error;
  }
  return {
    ...sqlOf(db),
    announcements: new Announcements(true),
    transaction: (body) =>
      db
        .transaction((tx) => body(sqlOf(tx as Queryable)))
        .catch((error: unknown) => {
          throw toStoreError(error);
        }),
    // PostgreSQL has autovacuum; here is one process.
    tidy: async () => {
      // One statement at a time: several in one text form a transaction, and VACUUM cannot run in one.
      for (const table of ['run_events', 'runs', 'messages', 'steps', 'rounds'])
        await db.exec(`vacuum ${table}`);
    },
    async close() {
      try {
        await db.close();
      } finally {
        await lock?.release();
      }
    },
  };
};
