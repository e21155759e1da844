/**
 * How much a tenant holds.
 *
 * Rule: sums over covering indexes, so that rows are not read. Older rows without a size count with their overhead
 * only.
 * Imported within `store/` only.
 */
import type { RunStore } from '../protocol/ports/run-store.ts';
import type { Database } from './database.ts';
import { LIVE } from './threads.ts';

/** Approximate bytes of a row and its index entries. */
const ROW_OVERHEAD = 512;
const MEASURED = ['assistants', 'messages', 'runs', 'steps'] as const;

const STORED_BYTES = `
  select (${[
    `(select count(*) * ${ROW_OVERHEAD} from threads where tenant = $1)`,
    ...MEASURED.map(
      (table) =>
        `(select coalesce(sum(coalesce(bytes, 0) + ${ROW_OVERHEAD}), 0) from ${table} where tenant = $1)`,
    ),
  ].join(' + ')})::bigint as stored`;

export const usageStore = (db: Database): Pick<RunStore, 'countLiveRunsOf' | 'storedBytesOf'> => ({
  async countLiveRunsOf(tenant) {
    const [row] = await db.query<{ count: number }>(
      `select count(*) from runs where tenant = $1 and ${LIVE}`,
      [tenant],
      'live-runs-of-tenant',
    );
    return row?.count ?? 0;
  },
  async storedBytesOf(tenant) {
    const [row] = await db.query<{ stored: number }>(STORED_BYTES, [tenant], 'stored-bytes-of-tenant');
    return row?.stored ?? 0;
  },
});
