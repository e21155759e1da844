/**
 * Ends what is open: a whole run, or only the open objects of an attempt that died.
 *
 * Rule: monotone. An ended run is returned as it is; an ended message or step never changes. A message that is cut off
 * keeps what its readers saw: its content is rebuilt from the deltas in the log.
 * Imported within `store/` only.
 */
import type { CloseHow } from '../protocol/ports/backend.ts';
import type { Decision } from '../protocol/decisions.ts';
import type { MessageDelta } from '../protocol/wire/events.ts';
import type { StoredRunState } from '../protocol/ports/turn-store.ts';
import { isTerminal, type MessageContent, type WireLastError } from '../protocol/wire/objects.ts';
import { endApprovals } from './approval-rows.ts';
import type { Database } from './database.ts';
import { insertDecisions } from './decisions.ts';
import { currentRound, endMessage, endStep, readOpen } from './steps.ts';
import type { MessageRow, StepRow } from './schema.ts';
import { changeRun, type RunUpdate } from './update-run.ts';
import { runState, runView } from './views.ts';

export interface CloseObjects {
  message: 'run_cancelled' | 'run_expired' | 'run_failed';
  step: 'cancelled' | 'expired' | 'failed';
  error: WireLastError | null;
}

/** The content of a message, rebuilt from its deltas. */
export const messageContentOf = (deltas: readonly MessageDelta[]): MessageContent[] => {
  const parts: MessageContent[] = [];
  for (const { delta } of deltas)
    for (const piece of delta.content) {
      const before = parts[piece.index];
      if (piece.type === 'refusal') {
        const text = (before?.type === 'refusal' ? before.refusal : '') + (piece.refusal ?? '');
        parts[piece.index] = { type: 'refusal', refusal: text };
      } else {
        const text = (before?.type === 'text' ? before.text.value : '') + (piece.text?.value ?? '');
        parts[piece.index] = { type: 'text', text: { value: text, annotations: [] } };
      }
    }
  // A skipped part would leave a hole.
  return parts.filter(() => true);
};

/** Ends every message and step of the run that is still in progress. */
export const closeOpenObjects = async (unit: RunUpdate, how: CloseObjects, now: number): Promise<void> => {
  const { sql, row } = unit;
  const messages = await sql.query<MessageRow>(
    "select * from messages where run_id = $1 and status = 'in_progress' order by position",
    [row.id],
  );
  if (messages.length > 0) {
    // Filtered here: JSON operators of PostgreSQL refuse U+0000, which a delta may contain.
    const deltas = await sql.query<{ data: MessageDelta }>(
      "select data from run_events where run_id = $1 and event = 'thread.message.delta' order by seq",
      [row.id],
    );
    for (const message of messages) {
      const own = deltas.map(({ data }) => data).filter(({ id }) => id === message.id);
      await endMessage(
        unit,
        message.id,
        messageContentOf(own),
        { status: 'incomplete', reason: how.message },
        now,
      );
    }
  }
  const steps = await sql.query<StepRow>(
    "select * from steps where run_id = $1 and status = 'in_progress' order by position",
    [row.id],
  );
  for (const step of steps)
    await endStep(unit, step, {
      status: how.step,
      [`${how.step}_at`]: now,
      last_error: how.step === 'failed' ? how.error : null,
    });
};

export const closeRun = (
  db: Database,
  runId: string,
  how: CloseHow,
  now: number,
  decisions: readonly Decision[] = [],
): Promise<StoredRunState | null> =>
  changeRun(db, runId, null, async (unit) => {
    const { row, emit, sql } = unit;
    if (decisions.length > 0) await insertDecisions(unit, await readOpen(sql, runId, null), decisions);
    const round = await currentRound(sql, row);
    if (isTerminal(row.status)) return runState(row, round);
    // The turn that extended the expiry was settled, and its report was lost.
    if (how.kind === 'expire' && (row.expires_at ?? 0) > (how.expiresAt ?? Infinity))
      return runState(row, round);
    row.epoch += 1;
    row.required = null;
    row.ended_at = now;
    unit.count(null);
    endApprovals(unit, how.kind === 'expire' ? 'expired' : 'cancelled', how.kind !== 'cancel');
    switch (how.kind) {
      case 'cancel':
        if (row.status !== 'cancelling') {
          row.status = 'cancelling';
          row.cancel_asked_at ??= now;
          emit({ event: 'thread.run.cancelling', data: runView(row) });
        }
        await closeOpenObjects(unit, { message: 'run_cancelled', step: 'cancelled', error: null }, now);
        row.status = 'cancelled';
        row.cancelled_at = now;
        emit({ event: 'thread.run.cancelled', data: runView(row) });
        break;
      case 'expire':
        await closeOpenObjects(unit, { message: 'run_expired', step: 'expired', error: null }, now);
        row.status = 'expired';
        row.last_error = how.error ?? null;
        emit({ event: 'thread.run.expired', data: runView(row) });
        break;
      case 'fail':
        await closeOpenObjects(unit, { message: 'run_failed', step: 'failed', error: how.error }, now);
        row.status = 'failed';
        row.last_error = how.error;
        row.failed_at = now;
        emit({ event: 'thread.run.failed', data: runView(row) });
        break;
    }
    return runState(row, round);
  });
