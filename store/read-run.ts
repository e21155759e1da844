/**
 * Reads one run, which pollers do all the time: concurrent reads share a statement, and a run that has not changed
 * since this process last read it is not sent again.
 *
 * Rule: a statement that was sent after the read was requested answers it. A cached run is returned only when that
 * statement found the row in the cached version (`xmin`: the transaction that wrote it), so processes need no
 * coordination, and a reader sees every earlier commit.
 * Imported within `store/` only.
 */
import { apiErrors } from '../protocol/errors.ts';
import type { RunStore } from '../protocol/ports/run-store.ts';
import type { Run } from '../protocol/wire/objects.ts';
import type { Database } from './database.ts';
import { batchLoader } from './batch-loader.ts';
import type { RunRow } from './schema.ts';
import { runView } from './views.ts';

/** Size of the cache; the run whose newest state was read longest ago is dropped first. */
const CACHE_SIZE = 1_000;
/** A run with larger settings (texts, tools) is read every time. */
const MAX_CACHED_CHARS = 16_384;
/** A value that no transaction has as its number. */
const UNKNOWN = '0';

interface Kept {
  id: string;
  tenant: string;
  threadId: string;
  version: string;
  run: Run;
}

/** `row`: null when the version is unchanged, or there is no such run. */
interface Found {
  asked: string;
  version: string | null;
  row: RunRow | null;
}

// One JSON column instead of two dozen columns, whose descriptions cost the reader more than the row. `limit` keeps the
// planner from scanning the table while it has few rows.
const READ = `
  select k.asked, r.version, r.row from unnest($1::text[], $2::text[]) as k (asked, known)
  left join lateral (
    select xmin::text as version, case when xmin::text is distinct from k.known then to_json(runs) end as row
    from runs where id = k.asked limit 1
  ) r on true
  where r.version is distinct from k.known`;

const sizeOf = ({ instructions, tools, metadata }: Run): number =>
  (instructions?.length ?? 0) + JSON.stringify([tools, metadata]).length;

export const runReader = (db: Database): RunStore['getRun'] => {
  const kept = new Map<string, Kept>();

  const keep = (one: Kept): void => {
    kept.delete(one.id);
    if (sizeOf(one.run) > MAX_CACHED_CHARS) return;
    if (kept.size >= CACHE_SIZE)
      for (const [oldest] of kept) if (kept.size >= CACHE_SIZE) kept.delete(oldest);
    kept.set(one.id, one);
  };

  const load = async (ids: string[]): Promise<Kept[]> => {
    const current = new Map<string, Kept>();
    for (const id of ids) {
      const known = kept.get(id);
      if (known !== undefined) current.set(id, known);
    }
    const versions = ids.map((id) => current.get(id)?.version ?? UNKNOWN);
    for (const found of await db.query<Found>(READ, [ids, versions], 'read-runs')) {
      current.delete(found.asked);
      const { row, version } = found;
      if (row === null || version === null) {
        kept.delete(found.asked);
        continue;
      }
      const one: Kept = {
        id: row.id,
        tenant: row.tenant,
        threadId: row.thread_id,
        version,
        run: Object.freeze(runView(row)),
      };
      current.set(one.id, one);
      keep(one);
    }
    return [...current.values()];
  };

  const find = batchLoader(load, ({ id }) => id);
  return async (tenant, threadId, runId) => {
    const one = await find(runId);
    if (one === undefined || one.tenant !== tenant || one.threadId !== threadId)
      throw apiErrors.notFound('run', runId);
    return one.run;
  };
};
