/**
 * Writes of steps, messages and rounds within a run update, each with its event.
 *
 * Rule: the function that writes an object also emits its event, so that neither is forgotten.
 * Imported within `store/` only.
 */
import type { PlannedCall } from '../protocol/tool-calls.ts';
import { mintId } from '../protocol/wire/ids.ts';
import type { MessageContent, StepDetails } from '../protocol/wire/objects.ts';
import type { AwaitedCall, StepDecision, StepToolCall } from '../protocol/wire/decisions.ts';
import type { Sql } from './database.ts';
import type { MessageRow, RoundRow, RunRow, StepRow } from './schema.ts';
import { newestRound, roundOfCall } from './rounds.ts';
import type { RunUpdate } from './update-run.ts';
import { messageView, stepView } from './views.ts';

const json = (value: unknown): string => JSON.stringify(value);

export const currentRound = async (sql: Sql, row: RunRow): Promise<RoundRow | null> => {
  if (row.round === 0) return null;
  const [round] = await sql.query<RoundRow>('select * from rounds where run_id = $1 and round = $2', [
    row.id,
    row.round,
  ]);
  return round ?? null;
};

/** The rows that a change of a round may need: the newest round, the round of a call, and the open steps. */
export interface OpenRounds {
  newest: RoundRow | null;
  round: RoundRow | null;
  steps: StepRow[];
}

export const readOpen = async (sql: Sql, runId: string, callId: string | null): Promise<OpenRounds> => {
  const [newest, steps] = await Promise.all([
    newestRound(sql, runId),
    sql.query<StepRow>(
      "select * from steps where run_id = $1 and kind <> 'message' and status = 'in_progress' order by position",
      [runId],
      'open-steps',
    ),
  ]);
  return { newest, round: await roundOfCall(sql, runId, newest, callId), steps };
};

export const messageDetails = (messageId: string): StepDetails => ({
  type: 'message_creation',
  message_creation: { message_id: messageId },
});

/** Steps of the current turn, oldest first. */
export const openSteps = ({ sql, row }: RunUpdate): Promise<StepRow[]> =>
  sql.query<StepRow>(
    "select * from steps where run_id = $1 and round = $2 and status = 'in_progress' order by position",
    [row.id, row.round + 1],
  );

/** The turn that a step belongs to. */
export interface StepOrigin {
  round: number;
  now: number;
  /** The id of the model that speaks; null = not known. */
  model: string | null;
}

/** Writes a step without an event. The current turn is the one after the newest round. */
export const writeStep = async (
  { sql, row }: RunUpdate,
  kind: StepRow['kind'],
  details: StepDetails,
  { round, now, model }: StepOrigin,
): Promise<StepRow> => {
  const [step] = await sql.query<StepRow>(
    `insert into steps (id, run_id, tenant, thread_id, assistant_id, created_at, kind, round, status, details, expires_at, model)
     values ($1, $2, $3, $4, $5, $6, $7, $8, 'in_progress', $9::json, $10, $11::json) returning *`,
    [
      mintId('step'),
      row.id,
      row.tenant,
      row.thread_id,
      row.assistant_id,
      now,
      kind,
      round,
      json(details),
      row.expires_at,
      model === null ? null : json(model),
    ],
  );
  if (step === undefined) throw new Error('insert into steps returned no row');
  return step;
};

/** Writes a step and emits its event. */
export const insertStep = async (
  unit: RunUpdate,
  ...what: [StepRow['kind'], StepDetails, StepOrigin]
): Promise<StepRow> => {
  const step = await writeStep(unit, ...what);
  const view = stepView(step);
  unit.emit({ event: 'thread.run.step.created', data: view });
  unit.emit({ event: 'thread.run.step.in_progress', data: view });
  return step;
};

/** Writes the message of a turn and emits its event. */
export const insertMessage = async (
  { sql, row, emit }: RunUpdate,
  id: string,
  round: number,
  now: number,
): Promise<void> => {
  const [message] = await sql.query<MessageRow>(
    `insert into messages (id, tenant, thread_id, created_at, role, status, content, metadata, assistant_id, run_id, round)
     values ($1, $2, $3, $4, 'assistant', 'in_progress', '[]'::json, '{}'::json, $5, $6, $7) returning *`,
    [id, row.tenant, row.thread_id, now, row.assistant_id, row.id, round],
  );
  if (message === undefined) throw new Error('insert into messages returned no row');
  const view = messageView(message);
  emit({ event: 'thread.message.created', data: view });
  emit({ event: 'thread.message.in_progress', data: view });
};

export const isExternal = (call: PlannedCall): boolean => call.plan.kind === 'external';

export const awaitingMark = ({
  kind,
  on_deadline,
  answer_by,
}: AwaitedCall): NonNullable<StepToolCall['awaiting']> => ({
  kind,
  on_deadline,
  answer_by,
});

/** Outputs that exist are shown, others are null; so are decisions by call id, and the calls that wait. */
export const callDetails = (
  calls: readonly PlannedCall[],
  outputs: Readonly<Record<string, string>>,
  {
    decisions,
    awaiting,
  }: { decisions?: ReadonlyMap<string, StepDecision>; awaiting: readonly AwaitedCall[] },
): StepDetails => ({
  type: 'tool_calls',
  tool_calls: calls.map((call) => {
    const decision = decisions?.get(call.callId);
    const waits = awaiting.find(({ call_id: id }) => id === call.callId);
    return {
      id: call.callId,
      type: 'function',
      function: {
        name: call.name,
        arguments: call.arguments,
        output: Object.hasOwn(outputs, call.callId) ? (outputs[call.callId] ?? null) : null,
      },
      ...(decision === undefined ? {} : { decision }),
      ...(waits === undefined ? {} : { awaiting: awaitingMark(waits) }),
    };
  }),
});

type StepEnd = Partial<
  Pick<
    StepRow,
    'details' | 'usage' | 'last_error' | 'completed_at' | 'failed_at' | 'cancelled_at' | 'expired_at'
  >
> & { status: 'completed' | 'failed' | 'cancelled' | 'expired' };

/** Ends a step and emits its event. */
export const endStep = async (unit: RunUpdate, step: StepRow, end: StepEnd): Promise<void> => {
  const written = writeStepEnd(unit, step, end);
  // The event comes before the caller's next events; the write need not be awaited.
  unit.emit({ event: `thread.run.step.${end.status}`, data: stepView(step) });
  await written;
};

/** Ends a step without an event. */
export const writeStepEnd = async ({ sql }: RunUpdate, step: StepRow, end: StepEnd): Promise<void> => {
  Object.assign(step, end);
  await sql.query(
    `update steps set status = $2, details = $3::json, usage = $4::json, last_error = $5::json,
       completed_at = $6, failed_at = $7, cancelled_at = $8, expired_at = $9 where id = $1`,
    [
      step.id,
      step.status,
      json(step.details),
      step.usage === null ? null : json(step.usage),
      step.last_error === null ? null : json(step.last_error),
      step.completed_at,
      step.failed_at,
      step.cancelled_at,
      step.expired_at,
    ],
  );
};

export const endMessage = async (
  { sql, emit }: RunUpdate,
  id: string,
  content: MessageContent[],
  end: { status: 'completed' } | { status: 'incomplete'; reason: string },
  now: number,
): Promise<void> => {
  const complete = end.status === 'completed';
  const [row] = await sql.query<MessageRow>(
    `update messages set status = $2, content = $3::json, incomplete_reason = $4, completed_at = $5, incomplete_at = $6
     where id = $1 returning *`,
    [
      id,
      end.status,
      json(content),
      complete ? null : end.reason,
      complete ? now : null,
      complete ? null : now,
    ],
  );
  if (row !== undefined) emit({ event: `thread.message.${end.status}`, data: messageView(row) });
};
