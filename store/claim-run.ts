/**
 * Claims a run for a worker, and reads the thread's context for the model.
 *
 * Rule: open messages and steps of an earlier attempt are closed before anything else. Usually there are none: then one
 * statement reads run, round and thread in one snapshot, and a second claims the run if its row is still the version
 * that was read. Every change of a run changes its row, so nothing can have come between. Otherwise the second
 * statement does nothing, and a transaction handles all cases.
 * Measured: with the transaction alone, the model is asked 4 to 5 ms later at p50 (bench/README.md).
 * Imported within `store/` only.
 */
import { setImmediate as immediate } from 'node:timers/promises';
import { READ_BYTES } from '../protocol/limits.ts';
import type { StreamEvent } from '../protocol/wire/events.ts';
import type { Claim, ContextItem, TurnStore } from '../protocol/ports/turn-store.ts';
import { isTerminal, type WireLastError } from '../protocol/wire/objects.ts';
import { closeOpenObjects } from './close-run.ts';
import type { Database } from './database.ts';
import { currentRound } from './steps.ts';
import type { MessageRow, RoundRow, RunRow } from './schema.ts';
import { changeRun, writeRunUpdateIf, type RunUpdate } from './update-run.ts';
import { runState, runView, wireCall } from './views.ts';
import { withinBytes, type Counted } from './within-bytes.ts';

const ABANDONED_ERROR: WireLastError = {
  code: 'server_error',
  message: 'The request to the model broke off and was repeated.',
};

/**
 * A message that was completed because calls followed it, and whose turn is repeated, stays out of the context. Readers
 * saw it complete; a second end would be an error to them.
 */
const withdrawMessage = async ({ sql, row }: RunUpdate, now: number): Promise<void> => {
  await sql.query(
    `update messages set status = 'incomplete', incomplete_reason = 'run_failed', incomplete_at = $3, completed_at = null
     where run_id = $1 and round = $2 and status = 'completed'`,
    [row.id, row.round + 1, now],
  );
};

const nextOf = (row: RunRow, round: RoundRow | null): Claim['next'] => {
  if (isTerminal(row.status)) return 'ended';
  if (row.status === 'cancelling') return 'cancel';
  return round === null || round.done ? 'turn' : 'wait';
};

const claimLocked = (db: Database, runId: string, now: number): Promise<Claim | null> =>
  changeRun(db, runId, null, async (unit) => {
    const { row } = unit;
    row.epoch += 1;
    const round = await currentRound(unit.sql, row);
    const next = nextOf(row, round);
    if (next === 'turn') {
      // The first attempt of a run has no earlier one to close.
      if (row.epoch > 1) {
        await closeOpenObjects(unit, { message: 'run_failed', step: 'failed', error: ABANDONED_ERROR }, now);
        await withdrawMessage(unit, now);
      }
      if (row.status !== 'in_progress') {
        row.status = 'in_progress';
        row.started_at = now;
        unit.emit({ event: 'thread.run.in_progress', data: runView(row) });
      }
    }
    return { state: runState(row, round), lease: { runId, epoch: row.epoch }, next };
  });

type ContextMessage = Pick<MessageRow, 'position' | 'role' | 'content' | 'run_id' | 'round'>;
type ContextRound = Pick<RoundRow, 'position' | 'run_id' | 'round' | 'calls' | 'outputs' | 'provider_turn'>;

/** The thread's context: finished messages and rounds, the newest of each. $thread, $limit. */
const contextMessages = (thread: string, limit: string): string => `
  select position, role, content, run_id, round, of_rows, bytes_so_far::float8 as bytes_so_far from (${withinBytes(
    'messages',
    `select * from messages where thread_id = ${thread}
       and (status = 'completed' or (status = 'incomplete' and incomplete_reason = 'max_tokens'))
     order by position desc limit ${limit}`,
    'position desc',
    String(READ_BYTES.prompt),
  )}) m`;
const contextRounds = (thread: string, limit: string): string => `
  select position, run_id, round, calls, outputs, provider_turn, of_rows, bytes_so_far::float8 as bytes_so_far from (${withinBytes(
    'rounds',
    `select * from rounds where thread_id = ${thread} and done order by position desc limit ${limit}`,
    'position desc',
    String(READ_BYTES.prompt),
  )}) o`;

/** Newest first. `bytes_so_far`: this item and newer ones of its kind. */
interface Measured extends Counted {
  position: number;
  bytes_so_far: number;
}

/** Where a shortened list begins. Older items are left out, since the conversation must have no gap. */
const cutAt = (rows: readonly Measured[]): number =>
  rows.length < (rows[0]?.of_rows ?? 0) ? (rows.at(-1)?.position ?? 0) : 0;
const ownBytes = (rows: readonly Measured[], at: number): number =>
  (rows[at]?.bytes_so_far ?? 0) - (rows[at - 1]?.bytes_so_far ?? 0);

/** Oldest first; the newest item is returned whatever its size. Pure. */
const contextOf = (
  messages: readonly (ContextMessage & Measured)[],
  rounds: readonly (ContextRound & Measured)[],
  limit: number,
): ContextItem[] => {
  const items: { position: number; bytes: number; item: ContextItem }[] = [
    ...messages.map((row, at) => ({
      position: row.position,
      bytes: ownBytes(messages, at),
      item: {
        kind: 'message' as const,
        role: row.role,
        content: row.content,
        runId: row.run_id,
        round: row.round,
      },
    })),
    ...rounds.map((row, at) => ({
      position: row.position,
      bytes: ownBytes(rounds, at),
      item: {
        kind: 'round' as const,
        runId: row.run_id,
        round: row.round,
        calls: row.calls.map(wireCall),
        outputs: row.outputs,
        providerTurn: row.provider_turn,
      },
    })),
  ];
  items.sort((a, b) => b.position - a.position);
  const oldest = Math.max(cutAt(messages), cutAt(rounds));
  let bytes = 0;
  const fitting = items
    .filter(({ position }) => position >= oldest)
    .slice(0, limit)
    .filter((item, at) => (bytes += item.bytes) <= READ_BYTES.prompt || at === 0);
  return fitting.map(({ item }) => item).toReversed();
};

const readContext = async (db: Database, threadId: string, limit: number): Promise<ContextItem[]> => {
  const [messages, rounds] = await Promise.all([
    db.query<ContextMessage & Measured>(contextMessages('$1', '$2'), [threadId, limit], 'context-messages'),
    db.query<ContextRound & Measured>(contextRounds('$1', '$2'), [threadId, limit], 'context-rounds'),
  ]);
  return contextOf(messages, rounds, limit);
};

type ClaimCandidate = RunRow & {
  version: string;
  current: RoundRow | null;
  leftovers: boolean;
  said: (ContextMessage & Measured)[] | null;
  done: (ContextRound & Measured)[] | null;
};

/**
 * A run with all that a worker needs, in one snapshot. `leftovers`: an earlier attempt of this turn has opened
 * something.
 */
const CLAIM_CANDIDATE_SQL = `
  select r.*, r.xmin::text as version,
    (select row_to_json(o) from rounds o where o.run_id = r.id and o.round = r.round) as current,
    exists (select 1 from steps s where s.run_id = r.id and s.status = 'in_progress')
      or exists (select 1 from messages m where m.run_id = r.id
        and (m.status = 'in_progress' or (m.round = r.round + 1 and m.status = 'completed'))) as leftovers,
    (select json_agg(c) from (${contextMessages('r.thread_id', '$2')}) c) as said,
    (select json_agg(c) from (${contextRounds('r.thread_id', '$2')}) c) as done
  from runs r where r.id = $1`;

const readCandidate = async (
  db: Database,
  runId: string,
  limit: number,
): Promise<ClaimCandidate | undefined> =>
  (await db.query<ClaimCandidate>(CLAIM_CANDIDATE_SQL, [runId, limit], 'look-run'))[0];

/**
 * null: not the usual case, and nothing was done. The write is in flight when this resolves: the model need not wait
 * for it.
 */
const claimOptimistic = async (
  db: Database,
  runId: string,
  now: number,
  limit: number,
): Promise<Claim | null> => {
  const candidate = await readCandidate(db, runId, limit);
  if (candidate === undefined) return null;
  const { version, current, leftovers, said, done, ...row } = candidate;
  if (leftovers || nextOf(row, current) !== 'turn') return null;
  const seqBefore = row.event_seq;
  const events: StreamEvent[] = [];
  row.epoch += 1;
  if (row.status !== 'in_progress') {
    row.status = 'in_progress';
    row.started_at = now;
    row.event_seq += 1;
    events.push({ event: 'thread.run.in_progress', data: runView(row) });
  }
  const taking = async (): Promise<boolean> => {
    const taken = await writeRunUpdateIf(db, version, row, seqBefore, events);
    if (taken && events.length > 0) db.announcements.announce(runId, row.event_seq, 'change');
    return taken;
  };
  // Runs after the caller's synchronous code, so that its request leaves first.
  const taken = immediate().then(taking);
  // The caller sees the rejection through `taken`; a turn that needs no model may end before.
  taken.catch(ignore);
  return {
    state: runState(row, current),
    lease: { runId, epoch: row.epoch },
    next: 'turn',
    context: contextOf(said ?? [], done ?? [], limit),
    taken,
  };
};

const ignore = (): void => {};

export const claimStore = (db: Database): Pick<TurnStore, 'claim' | 'readContext'> => ({
  claim: async (runId, now, contextItems) =>
    (contextItems === undefined ? null : await claimOptimistic(db, runId, now, contextItems)) ??
    claimLocked(db, runId, now),
  readContext: (threadId, limit) => readContext(db, threadId, limit),
});
