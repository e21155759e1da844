/**
 * Reads from Temporal what a run's snapshot lacks: attempts, retries, last failures, workers.
 *
 * Rule: for display only. Snapshot and Temporal are two reads, so they may disagree for a moment. `toPendingWork` is
 * pure. Imported by `show`, `watch` and the demo.
 */
import type { RunsClient } from '../../client/index.ts';
import { TOOL_ACTIVITY_PREFIX } from '../../protocol/temporal/names.ts';
import type { RunSnapshot } from '../../protocol/temporal/messages.ts';
import type { PendingWork } from './view.ts';

/** A 64-bit number as the SDK hands it out. */
export type WireNumber = number | { toNumber(): number };
export const toNumber = (value: WireNumber | null | undefined): number =>
  typeof value === 'object' && value !== null ? value.toNumber() : (value ?? 0);

/** The part of Temporal's reply that is used here. */
export interface RawPending {
  activityId?: string | null;
  activityType?: { name?: string | null } | null;
  attempt?: number | null;
  maximumAttempts?: number | null;
  lastFailure?: { message?: string | null; cause?: { message?: string | null } | null } | null;
  lastWorkerIdentity?: string | null;
  state?: number | null;
  lastStartedTime?: { seconds?: WireNumber | null; nanos?: number | null } | null;
  nextAttemptScheduleTime?: { seconds?: WireNumber | null; nanos?: number | null } | null;
}

/** Empty when the run has ended or Temporal can't answer: a missing progress is no failure. */
export const pendingWork = async (client: RunsClient, run: RunSnapshot): Promise<PendingWork[]> => {
  if (run.result !== null) return [];
  try {
    const { raw } = await client.temporal.workflow.getHandle(run.runId).describe();
    return toPendingWork(raw.pendingActivities ?? [], run);
  } catch {
    return [];
  }
};

export const toPendingWork = (raw: readonly RawPending[], run: Pick<RunSnapshot, 'calls'>): PendingWork[] => {
  // Activities are numbered in the order of their start, and calls of one tool start in the model's order.
  const inOrder = raw.toSorted((a, b) => Number(a.activityId ?? 0) - Number(b.activityId ?? 0));
  const running = run.calls.filter((call) => call.state === 'running');
  return inOrder.map((item) => {
    const type = item.activityType?.name ?? 'activity';
    const at = type.startsWith(TOOL_ACTIVITY_PREFIX)
      ? running.findIndex((call) => call.name === type.slice(TOOL_ACTIVITY_PREFIX.length))
      : -1;
    const [call] = at < 0 ? [] : running.splice(at, 1);
    return {
      type,
      callId: call?.callId ?? null,
      attempt: Math.max(1, item.attempt ?? 1),
      maximumAttempts: item.maximumAttempts ?? 0,
      nextAttemptAt: milliseconds(item.nextAttemptScheduleTime),
      lastFailure: item.lastFailure?.message ?? item.lastFailure?.cause?.message ?? null,
      worker: item.lastWorkerIdentity === '' ? null : (item.lastWorkerIdentity ?? null),
      startedAt: item.state === STARTED ? milliseconds(item.lastStartedTime) : null,
    };
  });
};

/** `PENDING_ACTIVITY_STATE_STARTED` */
const STARTED = 2;

const milliseconds = (time: RawPending['nextAttemptScheduleTime']): number | null => {
  if (time === null || time === undefined) return null;
  const seconds = toNumber(time.seconds);
  return seconds > 0 ? seconds * 1_000 + (time.nanos ?? 0) / 1e6 : null;
};
