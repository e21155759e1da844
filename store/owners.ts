/**
 * The tenant of an object, for principals that see every tenant.
 *
 * Rule: the only reads for a request that are not scoped to a tenant; they return the tenant's name and nothing of the
 * object.
 * Imported within `store/` only.
 */
import type { ThreadStore } from '../protocol/ports/thread-store.ts';
import type { Database } from './database.ts';

const STATEMENTS = {
  // Decisions about the calls of a thread outlive it.
  thread: `select tenant from threads where id = $1
    union all select tenant from decisions where thread_id = $1 limit 1`,
  assistant: 'select tenant from assistants where id = $1',
  run: 'select tenant from runs where id = $1',
} as const;

export const ownerOf =
  (db: Database): ThreadStore['ownerOf'] =>
  async (kind, id) => {
    const [row] = await db.query<{ tenant: string }>(STATEMENTS[kind], [id]);
    return row?.tenant ?? null;
  };
