/**
 * Ends a turn: the model's text and calls become the state of the run.
 *
 * Rule: one transaction closes message and step, adds usage, and writes status and events.
 * Imported within `store/` only.
 */
import { sumUsage, wireTurnUsage } from '../protocol/rules/usage.ts';
import { mintId } from '../protocol/wire/ids.ts';
import type {
  RunLease,
  StoredRunState,
  StreamedMessage,
  TurnOutcome,
  TurnStore,
} from '../protocol/ports/turn-store.ts';
import type { MessageContent, WireUsage } from '../protocol/wire/objects.ts';
import { beginWait } from './approval-rows.ts';
import type { Database, Sql } from './database.ts';
import {
  callDetails,
  endMessage,
  endStep,
  insertMessage,
  insertStep,
  isExternal,
  messageDetails,
  writeStep,
  writeStepEnd,
} from './steps.ts';
import { newestRound } from './rounds.ts';
import type { RoundRow, StepRow } from './schema.ts';
import { changeExistingRun, type RunUpdate } from './update-run.ts';
import { awaitedNow, runState, runView, wireCall } from './views.ts';

type SettledTurn = Parameters<TurnStore['settleTurn']>[1];

const json = (value: unknown): string => JSON.stringify(value);

const INCOMPLETE_MESSAGE = {
  max_completion_tokens: 'max_tokens',
  max_prompt_tokens: 'max_tokens',
  max_cost: 'max_tokens',
  content_filter: 'content_filter',
} as const;

/**
 * The turn's message gets all its content, and is completed if it is open. Text after the calls becomes a message
 * without a step: while the step of the calls is open, clients accept no other.
 */
const settleMessage = async (
  unit: RunUpdate,
  said: StreamedMessage | { id: null; content: MessageContent[] },
  end: Parameters<typeof endMessage>[3],
  { now, model }: { now: number; model: string | null },
): Promise<void> => {
  const { sql, row, emit } = unit;
  if (said.id === null) {
    const id = mintId('msg');
    const round = row.round + 1;
    const step = await writeStep(unit, 'message', messageDetails(id), { round, now, model });
    await writeStepEnd(unit, step, { status: 'completed', completed_at: now });
    await insertMessage(unit, id, round, now);
    emit({
      event: 'thread.message.delta',
      data: {
        id,
        object: 'thread.message.delta',
        delta: { content: said.content.map((part, index) => ({ index, ...part })) },
      },
    });
    await endMessage(unit, id, said.content, end, now);
    return;
  }
  const completed = await sql.query(
    "update messages set content = $2::json where id = $1 and status = 'completed' returning id",
    [said.id, json(said.content)],
  );
  if (completed.length === 0) await endMessage(unit, said.id, said.content, end, now);
};

/**
 * The calls of a settled turn become its round: the step is filled (opened first, if nothing was streamed), then row
 * and events.
 */
const settleCalls = async (
  unit: RunUpdate,
  outcome: Extract<TurnOutcome, { kind: 'calls' }>,
  { providerTurn = null, model = null }: Pick<SettledTurn, 'providerTurn' | 'model'>,
  streamed: StepRow | undefined,
  usage: WireUsage | null,
  now: number,
): Promise<RoundRow> => {
  const { row, sql, emit } = unit;
  row.round += 1;
  row.expires_at =
    outcome.expiresAt === null ? row.expires_at : Math.max(outcome.expiresAt, row.expires_at ?? 0);
  const [round] = await sql.query<RoundRow>(
    `insert into rounds (run_id, round, thread_id, calls, outputs, provider_turn, listed)
     values ($1, $2, $3, $4::json, '{}'::json, $5::json, true) returning *`,
    [
      row.id,
      row.round,
      row.thread_id,
      json(outcome.calls),
      providerTurn === null ? null : json(providerTurn),
    ],
  );
  if (round === undefined) throw new Error('insert into rounds returned no row');
  beginWait(unit, round, now);
  const details = callDetails(outcome.calls, {}, { awaiting: awaitedNow(row) });
  const step =
    streamed ??
    (await insertStep(
      unit,
      'calls',
      { type: 'tool_calls', tool_calls: [] },
      { round: row.round, now, model },
    ));
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
    usage === null ? null : json(usage),
    row.expires_at,
  ]);
  const external = outcome.calls.filter(isExternal);
  if (row.status !== 'cancelling' && external.length > 0) {
    row.status = 'requires_action';
    row.required = external.map(wireCall);
    emit({ event: 'thread.run.requires_action', data: runView(row) });
  } else if (row.awaiting !== null) emit({ event: 'thread.run.in_progress', data: runView(row) });
  return round;
};

/** The rows that the end of a turn needs: the newest round, and the open steps. */
interface Begun {
  round: RoundRow | null;
  steps: StepRow[];
}

const readBegun = async (sql: Sql, runId: string): Promise<Begun> => {
  const [round, steps] = await Promise.all([
    newestRound(sql, runId),
    sql.query<StepRow>(
      "select * from steps where run_id = $1 and status = 'in_progress' order by position",
      [runId],
      'begun-steps',
    ),
  ]);
  return { round, steps };
};

const settle = async (
  unit: RunUpdate,
  begun: Begun,
  turn: SettledTurn,
  now: number,
): Promise<StoredRunState> => {
  const { row, emit, later } = unit;
  const { outcome, message, model = null } = turn;
  const usage = wireTurnUsage(turn.usage);
  row.usage = sumUsage(row.usage, turn.usage);
  unit.count(turn.usage === null ? null : { usage: turn.usage, now });
  if (model !== null && row.models_used?.includes(model) !== true)
    row.models_used = [...(row.models_used ?? []), model];
  const open = begun.steps.filter(({ round }) => round === row.round + 1);
  if (message !== null)
    await settleMessage(
      unit,
      message,
      outcome.kind === 'incomplete'
        ? { status: 'incomplete', reason: INCOMPLETE_MESSAGE[outcome.reason] }
        : { status: 'completed' },
      { now, model },
    );
  for (const step of open.filter(({ kind }) => kind === 'message'))
    later(
      endStep(unit, step, {
        status: 'completed',
        completed_at: now,
        usage: outcome.kind === 'calls' ? null : usage,
      }),
    );
  const callStep = open.find(({ kind }) => kind !== 'message');
  if (outcome.kind === 'calls')
    return runState(row, await settleCalls(unit, outcome, turn, callStep, usage, now));

  // Calls that the model began and did not finish cannot run.
  if (callStep !== undefined)
    later(
      endStep(unit, callStep, {
        status: 'failed',
        failed_at: now,
        last_error: { code: 'server_error', message: 'The model stopped in the middle of its calls.' },
      }),
    );
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
  return runState(row, begun.round);
};

export const settleTurn = (
  db: Database,
  lease: RunLease,
  turn: SettledTurn,
  now: number,
): Promise<StoredRunState> =>
  changeExistingRun<StoredRunState, Begun>(
    db,
    lease.runId,
    lease,
    (unit, begun) => settle(unit, begun, turn, now),
    (sql) => readBegun(sql, lease.runId),
  );
