/**
 * The run's event log: append deltas, read, wait, prune.
 *
 * Rule: deltas are the only events that are written without reading the run's row first, because they change nothing
 * else; one statement checks the lease, assigns numbers and appends. Numbers have no gaps until retention removes
 * deltas; a reader that could miss some then gets an error.
 * Imported within `store/` only.
 */
import { apiErrors } from '../protocol/errors.ts';
import { READ_BYTES } from '../protocol/limits.ts';
import { endsRun, type SequencedEvent, type StreamEvent } from '../protocol/wire/events.ts';
import { StoreError } from '../protocol/ports/store-error.ts';
import type { EventBatch, RunStore } from '../protocol/ports/run-store.ts';
import type { RunLease, TurnStore } from '../protocol/ports/turn-store.ts';
import { isTerminal } from '../protocol/wire/objects.ts';
import { CHANNEL, type Database } from './database.ts';
import type { RunRow } from './schema.ts';
import { noSuchRun } from './update-run.ts';
import { withinBytes, type Counted } from './within-bytes.ts';

const APPEND = `
  with head as (
    update runs set event_seq = event_seq + $3
    where id = $1 and epoch = $2 and status in ('in_progress', 'cancelling') returning event_seq
  ),
  logged as (
    insert into run_events (run_id, seq, event, data)
    select $1, head.event_seq - $3 + e.ord, e.event, e.data::json
    from head, unnest($4::text[], $5::text[]) with ordinality as e (event, data, ord)
  )
  select event_seq, pg_notify('${CHANNEL}', $1 || ' ' || event_seq || ' d') from head`;

const appendDeltas = async (db: Database, lease: RunLease, events: readonly StreamEvent[]): Promise<void> => {
  if (events.length === 0) return;
  const [head] = await db.query<{ event_seq: number }>(
    APPEND,
    [
      lease.runId,
      lease.epoch,
      events.length,
      events.map(({ event }) => event),
      events.map(({ data }) => JSON.stringify(data)),
    ],
    'append-deltas',
  );
  if (head === undefined)
    throw new StoreError(
      'lease_lost',
      `Run ${lease.runId} has ended or was claimed by a newer attempt; attempt ${lease.epoch} must stop.`,
    );
  db.announcements.announce(lease.runId, head.event_seq, 'deltas');
};

const READ = withinBytes(
  'run_events',
  'select * from run_events where run_id = $1 and seq > $2 order by seq limit $3',
  'seq',
  '$4',
);

const readEvents = async (
  db: Database,
  runId: string,
  { after, limit, gaps }: { after: number; limit: number; gaps: 'refuse' | 'allow' },
): Promise<EventBatch> => {
  const rows = await db.query<SequencedEvent & Counted>(
    READ,
    [runId, after, limit, READ_BYTES.events],
    'read-events',
  );
  const events = rows.map(({ seq, event, data }) => ({ seq, event, data }) as SequencedEvent);
  if (gaps === 'refuse' && events.some(({ seq }, index) => seq !== after + index + 1))
    throw apiErrors.eventsPruned(after);
  const last = events.at(-1);
  if (last !== undefined) {
    const found = rows[0]?.of_rows ?? 0;
    return { events, ended: endsRun(last.event), more: found > events.length || found >= limit };
  }
  const [row] = await db.query<Pick<RunRow, 'status' | 'event_seq' | 'pruned'>>(
    'select status, event_seq, pruned from runs where id = $1',
    [runId],
  );
  if (row === undefined) throw noSuchRun(runId);
  if (row.pruned > 0 && after < row.event_seq) throw apiErrors.eventsPruned(after);
  return { events, ended: isTerminal(row.status) && after >= row.event_seq, more: false };
};

/** One batch of ended runs whose events are not yet pruned to `level`: 1 = deltas, 2 = all. */
const pruneRuns = (db: Database, level: 1 | 2, endedBefore: number, limit: number): Promise<number> =>
  db.transaction(async (sql) => {
    const runs = await sql.query<{ id: string }>(
      `update runs set pruned = $1 where id in (
         select id from runs where ended_at < $2 and ended_at is not null and pruned < 2 and pruned < $1
         order by ended_at limit $3 for update skip locked
       ) returning id`,
      [level, endedBefore, limit],
    );
    if (runs.length > 0)
      await sql.query(
        `delete from run_events where run_id = any ($1::text[])${level === 1 ? " and event like '%.delta'" : ''}`,
        [runs.map(({ id }) => id)],
      );
    return runs.length;
  });

export const eventStore = (
  db: Database,
): Pick<RunStore, 'readEvents' | 'watchEvents' | 'receivesNotifications' | 'prune'> &
  Pick<TurnStore, 'appendDeltas'> => ({
  appendDeltas: (lease, events) => appendDeltas(db, lease, events),
  readEvents: (runId, options) => readEvents(db, runId, options),
  watchEvents: (runId) => db.announcements.watch(runId),
  receivesNotifications: () => db.announcements.healthy,
  async prune(options) {
    const deltas = await pruneRuns(db, 1, options.deltasOfRunsEndedBefore, options.limit);
    const all = await pruneRuns(db, 2, options.eventsOfRunsEndedBefore, options.limit);
    const keys = await db.query(
      'delete from idempotency_keys where (tenant, key) in (select tenant, key from idempotency_keys where created_at < $1 limit $2) returning 1',
      [options.keysBefore, options.limit],
    );
    if (deltas + all > 0) await db.tidy();
    return { runs: deltas + all, keys: keys.length };
  },
});
