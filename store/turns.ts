/**
 * The worker's side of runs: one turn of the model at a time, under a lease.
 *
 * Rule: what an attempt leaves behind when it dies is closed by the next one before it opens anything, under new ids, and
 * stays out of the context: message `incomplete`, steps `failed`. A turn leaves its trace in the context only by settling.
 * Imported within `store/` only.
 */
import { mintId } from '../protocol/ids.ts';
import type { Claim, ContextItem, Lease, SaidMessage, TurnStore } from '../protocol/store.ts';
import { isTerminal, type StepDetails, type WireLastError } from '../protocol/wire.ts';
import { closeOpenObjects } from './closing.ts';
import type { Database } from './database.ts';
import type { MessageRow, RoundRow, RunRow } from './schema.ts';
import {
  currentRound,
  endMessage,
  endStep,
  insertMessage,
  insertStep,
  messageDetails,
  openSteps,
} from './parts.ts';
import { settleTurn } from './settling.ts';
import { changeExistingRun, changeRun, type RunUnit } from './unit.ts';
import { runState, runView, wireCall } from './views.ts';

const ABANDONED: WireLastError = {
  code: 'server_error',
  message: 'The request to the model broke off and was repeated.',
};

const claim = (db: Database, runId: string, now: number): Promise<Claim | null> =>
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

const openMessage = (
  db: Database,
  lease: Lease,
  now: number,
): Promise<{ messageId: string; stepId: string }> =>
  changeExistingRun(db, lease.runId, lease, async (unit) => {
    const messageId = mintId('msg');
    const round = unit.row.round + 1;
    const step = await insertStep(unit, 'message', messageDetails(messageId), round, now);
    await insertMessage(unit, messageId, round, now);
    return { messageId, stepId: step.id };
  });

const openCalls = (
  db: Database,
  lease: Lease,
  said: SaidMessage | null,
  now: number,
): Promise<{ stepId: string }> =>
  changeExistingRun(db, lease.runId, lease, async (unit) => {
    if (said !== null) {
      await endMessage(unit, said.id, said.content, { status: 'completed' }, now);
      for (const step of await openSteps(unit))
        await endStep(unit, step, { status: 'completed', completed_at: now });
    }
    const details: StepDetails = { type: 'tool_calls', tool_calls: [] };
    return { stepId: (await insertStep(unit, 'calls', details, unit.row.round + 1, now)).id };
  });

const readContext = async (db: Database, threadId: string, limit: number): Promise<ContextItem[]> => {
  // Two connections at once: this is on the way of every turn.
  const [messages, rounds] = await Promise.all([
    db.query<MessageRow>(
      `select * from messages where thread_id = $1
         and (status = 'completed' or (status = 'incomplete' and incomplete_reason = 'max_tokens'))
       order by position desc limit $2`,
      [threadId, limit],
      'context-messages',
    ),
    db.query<RoundRow>(
      'select * from rounds where thread_id = $1 and done order by position desc limit $2',
      [threadId, limit],
      'context-rounds',
    ),
  ]);
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

export const turnStore = (
  db: Database,
): Pick<TurnStore, 'claim' | 'readState' | 'readContext' | 'openMessage' | 'openCalls' | 'settleTurn'> => ({
  claim: (runId, now) => claim(db, runId, now),
  async readState(runId) {
    const [row] = await db.query<RunRow>('select * from runs where id = $1', [runId]);
    return row === undefined ? null : runState(row, await currentRound(db, row));
  },
  readContext: (threadId, limit) => readContext(db, threadId, limit),
  openMessage: (lease, now) => openMessage(db, lease, now),
  openCalls: (lease, said, now) => openCalls(db, lease, said, now),
  settleTurn: (lease, turn, now) => settleTurn(db, lease, turn, now),
});
