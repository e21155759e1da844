/**
 * One change of one run: locks the row, changes it, and writes it with the events of the change.
 *
 * Rule: every write of a run's row or events goes through this file (except deltas, `events.ts`). Sequence numbers are
 * thus assigned under the row's lock and have no gaps, and an event becomes visible together with its state. Lock order
 * everywhere: thread, then run.
 * Imported within `store/` only.
 */
import type { StreamEvent } from '../protocol/wire/events.ts';
import { StoreError } from '../protocol/ports/store-error.ts';
import type { RunLease } from '../protocol/ports/turn-store.ts';
import { isTerminal } from '../protocol/wire/objects.ts';
import { APPROVALS, CHANNEL, WEBHOOKS, type Database, type Param, type Sql } from './database.ts';
import { countTurnParams, countTurnSql, endReservation, type TurnCount } from './count-turn.ts';
import type { RunRow } from './schema.ts';

export interface RunUpdate {
  sql: Sql;
  /** The locked row: the body changes it in place, and it is written at the end. */
  row: RunRow;
  emit: (event: StreamEvent) => void;
  /** A write that only the commit waits for: it shares the round trip of the row's write. */
  later: (write: Promise<unknown>) => void;
  /** A turn of the model has ended: its usage is counted in the statement that writes the row. null = not known. */
  count: (turn: TurnCount | null) => void;
  /** Notifies the readers of approvals with the commit. */
  approvalsChanged: () => void;
}

/** Columns that change during a run's life. */
const MUTABLE = [
  'status',
  'started_at',
  'expires_at',
  'cancelled_at',
  'failed_at',
  'completed_at',
  'ended_at',
  'cancel_asked_at',
  'metadata',
  'required',
  'awaiting',
  'last_error',
  'incomplete_reason',
  'usage',
  'models_used',
  'round',
  'epoch',
  'event_seq',
] as const satisfies readonly (keyof RunRow)[];
const JSON_COLUMNS: ReadonlySet<string> = new Set([
  'metadata',
  'required',
  'awaiting',
  'last_error',
  'usage',
]);

const param = (row: RunRow, column: (typeof MUTABLE)[number]): Param => {
  const value = row[column];
  if (value === null) return null;
  return JSON_COLUMNS.has(column) || typeof value === 'object' ? JSON.stringify(value) : value;
};

const ASSIGNMENTS = MUTABLE.map((column, index) => `${column} = $${index + 2}`).join(', ');
const n = MUTABLE.length;
/** Row, events and notification in one round trip. `$n+2`: event_seq before; then names and data. */
const WRITE = `
  with changed as (update runs set ${ASSIGNMENTS} where id = $1),
  logged as (
    insert into run_events (run_id, seq, event, data)
    select $1, $${n + 2}::bigint + e.ord, e.event, e.data::json
    from unnest($${n + 3}::text[], $${n + 4}::text[]) with ordinality as e (event, data, ord)
  )
  select pg_notify('${CHANNEL}', $1 || ' ' || $${n + 5}::text)`;

/** The same, committed by itself, if the row still has the version that was read. Returns no row otherwise. */
const WRITE_IF = `
  with changed as (update runs set ${ASSIGNMENTS} where id = $1 and xmin::text = $${n + 6} returning id),
  logged as (
    insert into run_events (run_id, seq, event, data)
    select changed.id, $${n + 2}::bigint + e.ord, e.event, e.data::json
    from changed, unnest($${n + 3}::text[], $${n + 4}::text[]) with ordinality as e (event, data, ord)
  )
  select pg_notify('${CHANNEL}', changed.id || ' ' || $${n + 5}::text) from changed`;

/** The same as `WRITE`, and the turn is counted: its usage is added to the day, and its reservation ends. */
const WRITE_TURN = WRITE.replace('\n  select pg_notify', `,\n  ${countTurnSql(n + 6)}\n  select pg_notify`);

const writeParams = (row: RunRow, seqBefore: number, events: readonly StreamEvent[]): Param[] => [
  row.id,
  ...MUTABLE.map((column) => param(row, column)),
  seqBefore,
  events.map(({ event }) => event),
  events.map(({ data }) => JSON.stringify(data)),
  String(row.event_seq),
];

/** For a change that needs no lock in between; false: another transaction has changed the row. */
export const writeRunUpdateIf = async (
  sql: Sql,
  version: string,
  ...[row, seqBefore, events]: [row: RunRow, seqBefore: number, events: readonly StreamEvent[]]
): Promise<boolean> => {
  const params = [...writeParams(row, seqBefore, events), version];
  return (await sql.query(WRITE_IF, params, 'write-unit-if')).length > 0;
};

export const writeRunUpdate = async (
  sql: Sql,
  row: RunRow,
  seqBefore: number,
  events: readonly StreamEvent[],
): Promise<void> => {
  await sql.query(WRITE, writeParams(row, seqBefore, events), 'write-unit');
};

const writeTurn = async (
  sql: Sql,
  turn: TurnCount,
  ...[row, seqBefore, events]: [row: RunRow, seqBefore: number, events: readonly StreamEvent[]]
): Promise<void> => {
  const params = [...writeParams(row, seqBefore, events), ...countTurnParams(row, turn)];
  await sql.query(WRITE_TURN, params, 'write-turn');
};

/** The first failure rejects the update; later ones are ignored. */
const ignore = (): void => {};

/**
 * `lease`: fails with `lease_lost` when a newer attempt has the run, or it has ended. `along`: reads that travel with
 * the lock statement and run when the lock is held.
 */
export const changeRun = async <T, Read = undefined>(
  db: Database,
  runId: string,
  lease: RunLease | null,
  body: (unit: RunUpdate, read: Read) => Promise<T>,
  along?: (sql: Sql) => Promise<Read>,
): Promise<T | null> => {
  let announced = 0;
  let approvalsChange = false;
  let ended = false;
  const result = await db.transaction(async (sql) => {
    const locking = sql.query<RunRow>('select * from runs where id = $1 for update', [runId], 'lock-run');
    const reading = along?.(sql);
    reading?.catch(ignore);
    const [row] = await locking;
    // No statement may be in flight on the connection when the transaction ends.
    const read = (await reading) as Read;
    if (row === undefined) return null;
    if (lease !== null) checkLease(row, lease);
    const before = JSON.stringify(row);
    const seqBefore = row.event_seq;
    const events: StreamEvent[] = [];
    const writes: Promise<unknown>[] = [];
    const later = (write: Promise<unknown>): void => {
      write.catch(ignore);
      writes.push(write);
    };
    const counted: { turn: TurnCount | null } = { turn: null };
    const count = (turn: TurnCount | null): void => {
      counted.turn = turn;
      if (turn === null) later(endReservation(sql, runId));
    };
    const approvalsChanged = (): void => {
      if (!approvalsChange) later(sql.query(`select pg_notify('${CHANNEL}', '${APPROVALS} 0')`));
      approvalsChange = true;
    };
    const emit = (event: StreamEvent): void => void events.push(event);
    const value = await body({ sql, row, emit, later, count, approvalsChanged }, read);
    row.event_seq = seqBefore + events.length;
    if (counted.turn !== null) later(writeTurn(sql, counted.turn, row, seqBefore, events));
    else if (events.length > 0 || JSON.stringify(row) !== before)
      later(writeRunUpdate(sql, row, seqBefore, events));
    await Promise.all(writes);
    if (events.length > 0) announced = row.event_seq;
    ended = row.ended_at !== null;
    return value;
  });
  if (announced > 0) db.announcements.announce(runId, announced, 'change');
  if (approvalsChange) db.announcements.announce(APPROVALS, 0, 'change');
  // The database may have written events of webhooks.
  if (approvalsChange || ended) db.announcements.announce(WEBHOOKS, 0, 'change');
  return result;
};

const checkLease = (row: RunRow, lease: RunLease): void => {
  if (row.epoch !== lease.epoch)
    throw new StoreError(
      'lease_lost',
      `Run ${row.id} was claimed by attempt ${row.epoch}; attempt ${lease.epoch} must stop.`,
    );
  if (isTerminal(row.status))
    throw new StoreError('lease_lost', `Run ${row.id} has ended ("${row.status}"); this attempt must stop.`);
};

/** For writers that need the row to exist. */
export const changeExistingRun = async <T, Read = undefined>(
  db: Database,
  runId: string,
  lease: RunLease | null,
  body: (unit: RunUpdate, read: Read) => Promise<T>,
  along?: (sql: Sql) => Promise<Read>,
): Promise<T> => {
  let found = false;
  const result = await changeRun<T, Read>(
    db,
    runId,
    lease,
    async (unit, read) => {
      found = true;
      return body(unit, read);
    },
    along,
  );
  if (!found) throw noSuchRun(runId);
  return result as T;
};

export const noSuchRun = (runId: string): StoreError =>
  new StoreError('no_such_run', `There is no run ${JSON.stringify(runId)} in the store.`);
