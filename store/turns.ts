/**
 * The worker's side of runs: one turn of the model at a time, under a lease.
 *
 * Rule: what an attempt leaves behind when it dies is closed by the next one before it opens anything, under new ids, and
 * stays out of the context: message `incomplete`, steps `failed`. A turn leaves its trace in the context only by settling.
 * Imported within `store/` only.
 */
import type { Usage } from '../protocol/backend.ts';
import { mintId } from '../protocol/ids.ts';
import type { Claim, ContextItem, Lease, RunState, TurnOutcome, TurnStore } from '../protocol/store.ts';
import { isTerminal, type StepDetails, type WireLastError, type WireUsage } from '../protocol/wire.ts';
import { closeOpenObjects } from './closing.ts';
import type { Database } from './database.ts';
import type { MessageRow, RoundRow, RunRow, StepRow } from './schema.ts';
import { callDetails, currentRound, endMessage, endStep, insertStep, stepKindOf } from './parts.ts';
import { changeExistingRun, changeRun, type RunUnit } from './unit.ts';
import { messageView, runState, runView, wireCall } from './views.ts';

const json = (value: unknown): string => JSON.stringify(value);

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
      await closeOpenObjects(unit, { message: 'run_failed', step: 'failed', error: ABANDONED }, now);
      if (row.status !== 'in_progress') {
        row.status = 'in_progress';
        row.started_at = now;
        unit.emit({ event: 'thread.run.in_progress', data: runView(row) });
      }
    }
    return { state: runState(row, round), lease: { runId, epoch: row.epoch }, next };
  });

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
    const { row, sql, emit } = unit;
    const messageId = mintId('msg');
    const round = row.round + 1;
    const details: StepDetails = {
      type: 'message_creation',
      message_creation: { message_id: messageId },
    };
    const step = await insertStep(unit, 'message', details, round, now);
    const [message] = await sql.query<MessageRow>(
      `insert into messages (id, tenant, thread_id, created_at, role, status, content, metadata, assistant_id, run_id, round)
       values ($1, $2, $3, $4, 'assistant', 'in_progress', '[]'::json, '{}'::json, $5, $6, $7) returning *`,
      [messageId, row.tenant, row.thread_id, now, row.assistant_id, row.id, round],
    );
    if (message === undefined) throw new Error('insert into messages returned no row');
    const view = messageView(message);
    emit({ event: 'thread.message.created', data: view });
    emit({ event: 'thread.message.in_progress', data: view });
    return { messageId, stepId: step.id };
  });

const openCalls = (
  db: Database,
  lease: Lease,
  kind: 'worker' | 'external',
  now: number,
): Promise<{ stepId: string }> =>
  changeExistingRun(db, lease.runId, lease, async (unit) => {
    const details: StepDetails = { type: 'tool_calls', tool_calls: [] };
    return { stepId: (await insertStep(unit, kind, details, unit.row.round + 1, now)).id };
  });

const addUsage = (before: WireUsage | null, turn: Usage | null): WireUsage | null =>
  turn === null
    ? before
    : {
        prompt_tokens: (before?.prompt_tokens ?? 0) + turn.promptTokens,
        completion_tokens: (before?.completion_tokens ?? 0) + turn.completionTokens,
        total_tokens: (before?.total_tokens ?? 0) + turn.totalTokens,
      };

const INCOMPLETE_MESSAGE = {
  max_completion_tokens: 'max_tokens',
  max_prompt_tokens: 'max_tokens',
  content_filter: 'content_filter',
} as const;

/** The calls of a settled turn become its round: steps filled (opened, if nothing was streamed), row and events. */
const settleCalls = async (
  unit: RunUnit,
  outcome: Extract<TurnOutcome, { kind: 'calls' }>,
  open: readonly StepRow[],
  usage: WireUsage | null,
  now: number,
): Promise<RoundRow> => {
  const { row, sql, emit } = unit;
  row.round += 1;
  row.expires_at =
    outcome.expiresAt === null ? row.expires_at : Math.max(outcome.expiresAt, row.expires_at ?? 0);
  const [round] = await sql.query<RoundRow>(
    `insert into rounds (run_id, round, thread_id, calls, outputs) values ($1, $2, $3, $4::json, '{}'::json) returning *`,
    [row.id, row.round, row.thread_id, json(outcome.calls)],
  );
  if (round === undefined) throw new Error('insert into rounds returned no row');
  let unreported = usage;
  for (const kind of ['external', 'worker'] as const) {
    const calls = outcome.calls.filter((call) => stepKindOf(call) === kind);
    const streamed = open.find((step) => step.kind === kind);
    if (calls.length === 0) {
      // Streamed under another kind than the final plan's: an empty step is not left open.
      if (streamed !== undefined) await endStep(unit, streamed, { status: 'completed', completed_at: now });
      continue;
    }
    const details = callDetails(calls, {});
    const step =
      streamed ?? (await insertStep(unit, kind, { type: 'tool_calls', tool_calls: [] }, row.round, now));
    if (streamed === undefined && details.type === 'tool_calls')
      emit({
        event: 'thread.run.step.delta',
        data: {
          id: step.id,
          object: 'thread.run.step.delta',
          delta: {
            step_details: {
              type: 'tool_calls',
              tool_calls: details.tool_calls.map((call, index) => ({ index, ...call })),
            },
          },
        },
      });
    await sql.query('update steps set details = $2::json, usage = $3::json, expires_at = $4 where id = $1', [
      step.id,
      json(details),
      unreported === null ? null : json(unreported),
      row.expires_at,
    ]);
    unreported = null;
  }
  const external = outcome.calls.filter((call) => stepKindOf(call) === 'external');
  if (row.status !== 'cancelling' && external.length > 0) {
    row.status = 'requires_action';
    row.required = external.map(wireCall);
    emit({ event: 'thread.run.requires_action', data: runView(row) });
  }
  return round;
};

const settleTurn = (
  db: Database,
  lease: Lease,
  turn: Parameters<TurnStore['settleTurn']>[1],
  now: number,
): Promise<RunState> =>
  changeExistingRun(db, lease.runId, lease, async (unit) => {
    const { row, sql, emit } = unit;
    const { outcome, message } = turn;
    const usage = addUsage(null, turn.usage);
    row.usage = addUsage(row.usage, turn.usage);
    const open = await sql.query<StepRow>(
      "select * from steps where run_id = $1 and round = $2 and status = 'in_progress' order by position",
      [row.id, row.round + 1],
    );
    if (message !== null)
      await endMessage(
        unit,
        message.id,
        message.content,
        outcome.kind === 'incomplete'
          ? { status: 'incomplete', reason: INCOMPLETE_MESSAGE[outcome.reason] }
          : { status: 'completed' },
        now,
      );
    for (const step of open.filter(({ kind }) => kind === 'message'))
      await endStep(unit, step, {
        status: 'completed',
        completed_at: now,
        usage: outcome.kind === 'calls' ? null : usage,
      });
    const callSteps = open.filter(({ kind }) => kind !== 'message');
    if (outcome.kind === 'calls')
      return runState(row, await settleCalls(unit, outcome, callSteps, usage, now));

    // Calls that the model began and did not finish can't be carried out.
    for (const step of callSteps)
      await endStep(unit, step, {
        status: 'failed',
        failed_at: now,
        last_error: { code: 'server_error', message: 'The model stopped in the middle of its calls.' },
      });
    row.required = null;
    row.completed_at = now;
    row.ended_at = now;
    if (outcome.kind === 'completed') {
      row.status = 'completed';
      emit({ event: 'thread.run.completed', data: runView(row) });
    } else {
      row.status = 'incomplete';
      row.incomplete_reason = outcome.reason;
      emit({ event: 'thread.run.incomplete', data: runView(row) });
    }
    return runState(row, await currentRound(sql, row));
  });

const readContext = async (db: Database, threadId: string, limit: number): Promise<ContextItem[]> => {
  const messages = await db.query<MessageRow>(
    `select * from messages where thread_id = $1
       and (status = 'completed' or (status = 'incomplete' and incomplete_reason = 'max_tokens'))
     order by position desc limit $2`,
    [threadId, limit],
    'context-messages',
  );
  const rounds = await db.query<RoundRow>(
    'select * from rounds where thread_id = $1 and done order by position desc limit $2',
    [threadId, limit],
    'context-rounds',
  );
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
  openCalls: (lease, kind, now) => openCalls(db, lease, kind, now),
  settleTurn: (lease, turn, now) => settleTurn(db, lease, turn, now),
});
