/**
 * The embedded PGlite behind the store: PostgreSQL in this process, in memory or in a directory.
 *
 * Rule: one process at a time. PGlite does not notice a second one and corrupts the directory, so ours is locked first.
 * One connection serves everything; transactions wait for each other.
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
  /** `image`: an empty database as PGlite dumped it (`emptyImage`), which saves making one. */
  | { memory: true; image?: Blob };

/** A new database takes 3.5 s of CPU, loading the image of one 0.4 s. About 40 MB; of use to this version of PGlite only. */
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
    // PostgreSQL has a process for this; here there is one process.
    tidy: async () => {
      // One at a time: several in one text would be a transaction, in which there is no vacuum.
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
