/**
 * Whose an object is, for principals that see every tenant.
 *
 * Rule: the only reads that name no tenant on behalf of a request; they return the owner's name and nothing of the object.
 * Imported within `store/` only.
 */
import type { ThreadStore } from '../protocol/ports/run-store.ts';
import type { Database } from './database.ts';

const TABLES = { thread: 'threads', assistant: 'assistants' } as const;

export const ownerOf =
  (db: Database): ThreadStore['ownerOf'] =>
  async (kind, id) => {
    const [row] = await db.query<{ tenant: string }>(`select tenant from ${TABLES[kind]} where id = $1`, [
      id,
    ]);
    return row?.tenant ?? null;
  };
