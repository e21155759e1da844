/**
 * How a worker takes a run over, and what it reads of the thread to ask the model.
 *
 * Rule: what an earlier attempt left behind is closed before anything else happens. The usual case leaves nothing behind:
 * then one statement reads run, round and thread in one snapshot, and a second one takes the run over if its row is still
 * the one that was read. Whoever changes anything of a run changes its row, so nothing can have come between; if its row has
 * changed, or there is something to close, the transaction that knows all cases does it.
 * Imported within `store/` only.
 */
import type { StreamEvent } from '../protocol/events.ts';
import type { Claim, ContextItem, TurnStore } from '../protocol/store.ts';
import { isTerminal, type WireLastError } from '../protocol/wire.ts';
import { closeOpenObjects } from './closing.ts';
import type { Database } from './database.ts';
import { currentRound } from './parts.ts';
import type { MessageRow, RoundRow, RunRow } from './schema.ts';
import { changeRun, writeUnitIf, type RunUnit } from './unit.ts';
import { runState, runView, wireCall } from './views.ts';

const ABANDONED: WireLastError = {
  code: 'server_error',
  message: 'The request to the model broke off and was repeated.',
};

/**
 * A message that was completed because calls followed it, and whose turn is repeated: it stays out of the context. Its
 * readers were told that it is complete; a second end of it would be an error to them.
 */
const withdrawMessage = async ({ sql, row }: RunUnit, now: number): Promise<void> => {
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

const claimWhatever = (db: Database, runId: string, now: number): Promise<Claim | null> =>
  changeRun(db, runId, null, async (unit) => {
    const { row } = unit;
    row.epoch += 1;
    const round = await currentRound(unit.sql, row);
    const next = nextOf(row, round);
    if (next === 'turn') {
      // The first to have the run finds nothing of others.
      if (row.epoch > 1) {
        await closeOpenObjects(unit, { message: 'run_failed', step: 'failed', error: ABANDONED }, now);
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
type ContextRound = Pick<RoundRow, 'position' | 'run_id' | 'round' | 'calls' | 'outputs'>;

/** What of a thread is read: finished messages and rounds, the newest of each. $thread, $limit. */
const contextMessages = (thread: string, limit: string): string => `
  select position, role, content, run_id, round from messages where thread_id = ${thread}
     and (status = 'completed' or (status = 'incomplete' and incomplete_reason = 'max_tokens'))
   order by position desc limit ${limit}`;
const contextRounds = (thread: string, limit: string): string => `
  select position, run_id, round, calls, outputs from rounds where thread_id = ${thread} and done
   order by position desc limit ${limit}`;

/** Oldest first. Pure. */
const contextOf = (
  messages: readonly ContextMessage[],
  rounds: readonly ContextRound[],
  limit: number,
): ContextItem[] => {
  const items: { position: number; item: ContextItem }[] = [
    ...messages.map((row) => ({
      position: row.position,
      item: {
        kind: 'message' as const,
        role: row.role,
        content: row.content,
        runId: row.run_id,
        round: row.round,
      },
    })),
    ...rounds.map((row) => ({
      position: row.position,
      item: {
        kind: 'round' as const,
        runId: row.run_id,
        round: row.round,
        calls: row.calls.map(wireCall),
        outputs: row.outputs,
      },
    })),
  ];
  items.sort((a, b) => a.position - b.position);
  return items.slice(-limit).map(({ item }) => item);
};

const readContext = async (db: Database, threadId: string, limit: number): Promise<ContextItem[]> => {
  const [messages, rounds] = await Promise.all([
    db.query<ContextMessage>(contextMessages('$1', '$2'), [threadId, limit], 'context-messages'),
    db.query<ContextRound>(contextRounds('$1', '$2'), [threadId, limit], 'context-rounds'),
  ]);
  return contextOf(messages, rounds, limit);
};

type Look = RunRow & {
  version: string;
  current: RoundRow | null;
  leftovers: boolean;
  said: ContextMessage[] | null;
  done: ContextRound[] | null;
};

/** A run as a worker needs it, in one snapshot. `leftovers`: an earlier attempt of this turn has begun something. */
const LOOK = `
  select r.*, r.xmin::text as version,
    (select row_to_json(o) from rounds o where o.run_id = r.id and o.round = r.round) as current,
    exists (select 1 from steps s where s.run_id = r.id and s.status = 'in_progress')
      or exists (select 1 from messages m where m.run_id = r.id
        and (m.status = 'in_progress' or (m.round = r.round + 1 and m.status = 'completed'))) as leftovers,
    (select json_agg(c) from (${contextMessages('r.thread_id', '$2')}) c) as said,
    (select json_agg(c) from (${contextRounds('r.thread_id', '$2')}) c) as done
  from runs r where r.id = $1`;

/** null: not the usual case, or no longer as it was read; nothing was done. */
const claimAtOnce = async (
  db: Database,
  runId: string,
  now: number,
  limit: number,
): Promise<Claim | null> => {
  const [look] = await db.query<Look>(LOOK, [runId, limit], 'look-run');
  if (look === undefined) return null;
  const { version, current, leftovers, said, done, ...row } = look;
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
  if (!(await writeUnitIf(db, version, row, seqBefore, events))) return null;
  if (events.length > 0) db.announcements.announce(runId, row.event_seq);
  return {
    state: runState(row, current),
    lease: { runId, epoch: row.epoch },
    next: 'turn',
    context: contextOf(said ?? [], done ?? [], limit),
  };
};

export const claimStore = (db: Database): Pick<TurnStore, 'claim' | 'readContext'> => ({
  claim: async (runId, now, contextItems) =>
    (contextItems === undefined ? null : await claimAtOnce(db, runId, now, contextItems)) ??
    claimWhatever(db, runId, now),
  readContext: (threadId, limit) => readContext(db, threadId, limit),
});
