/**
 * Applies `store/migrations` in order, each once.
 *
 * Rule: all migrations run in one transaction under an advisory lock: processes that start together wait for one of
 * them, and a migration that fails leaves nothing. A database with unknown migrations belongs to a newer version and is
 * refused, since its tables may have another meaning.
 * Imported by `store/index.ts`.
 */
import { readFile } from 'node:fs/promises';
import { RunsError } from '../protocol/errors.ts';
import type { Database } from './database.ts';

interface Journal {
  entries: { idx: number; tag: string }[];
}

const FOLDER = new URL('./migrations/', import.meta.url);
/** Arbitrary, but the same in every version. */
const LOCK_KEY = 7_283_410_551;

export interface Migration {
  tag: string;
  text: string;
}

export const readMigrations = async (folder: URL = FOLDER): Promise<Migration[]> => {
  const journal = JSON.parse(await readFile(new URL('meta/_journal.json', folder), 'utf8')) as Journal;
  return Promise.all(
    journal.entries.map(async ({ tag }) => ({
      tag,
      text: await readFile(new URL(`${tag}.sql`, folder), 'utf8'),
    })),
  );
};

export const migrate = async (db: Database, migrations: readonly Migration[]): Promise<string[]> =>
  db.transaction(async (sql) => {
    await sql.query('select pg_advisory_xact_lock($1::bigint)', [LOCK_KEY]);
    await sql.query(
      'create table if not exists runs_migrations (tag text primary key, applied_at timestamptz not null default now())',
    );
    const applied = new Set(
      (await sql.query<{ tag: string }>('select tag from runs_migrations')).map(({ tag }) => tag),
    );
    const unknown = [...applied].filter((tag) => !migrations.some((one) => one.tag === tag));
    if (unknown.length > 0)
      throw new RunsError(
        'config',
        `The database has migrations that this version does not know: ${JSON.stringify(unknown)}. Run a version at least as new as the one that made them, or use another database.`,
      );
    const done: string[] = [];
    for (const { tag, text } of migrations) {
      if (applied.has(tag)) continue;
      for (const statement of text.split('--> statement-breakpoint')) await sql.query(statement);
      await sql.query('insert into runs_migrations (tag) values ($1)', [tag]);
      done.push(tag);
    }
    return done;
  });
