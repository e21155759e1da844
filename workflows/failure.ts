/**
 * The SDK's failures, distilled for the machine.
 *
 * Rule: only what Temporal itself reports as a failure of work is a failure; anything else is a bug of this code and
 * must fail the workflow task, where a fixed worker can take it up again.
 * Workflow glue imports it.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TemporalFailure,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { ActivityFailureInfo } from './run/state.ts';

const TIMEOUTS: Partial<Record<string, NonNullable<ActivityFailureInfo['timeout']>>> = {
  START_TO_CLOSE: 'start_to_close',
  SCHEDULE_TO_CLOSE: 'schedule_to_close',
  SCHEDULE_TO_START: 'schedule_to_start',
  HEARTBEAT: 'heartbeat',
};

/** `details[0].reason`, as a backend's failure carries it. */
const reasonIn = ({ details }: ApplicationFailure): Pick<ActivityFailureInfo, 'reason'> => {
  const first: unknown = details?.[0];
  return typeof first === 'object' && first !== null && 'reason' in first && typeof first.reason === 'string'
    ? { reason: first.reason }
    : {};
};

/** Did Temporal give an activity up because its next attempt would have come too late? */
export const ranOutOfTime = (error: unknown): boolean =>
  error instanceof ActivityFailure && error.retryState === 'TIMEOUT';

export const toActivityFailureInfo = (error: unknown): ActivityFailureInfo | null => {
  if (!(error instanceof TemporalFailure)) return null;
  const cause =
    error instanceof ActivityFailure || error instanceof ChildWorkflowFailure
      ? (error.cause ?? error)
      : error;
  if (cause instanceof ApplicationFailure)
    return { kind: 'application', type: cause.type ?? '', message: cause.message, ...reasonIn(cause) };
  if (cause instanceof CancelledFailure) return { kind: 'cancelled', type: '', message: cause.message };
  if (cause instanceof TimeoutFailure) {
    const timeout = TIMEOUTS[cause.timeoutType ?? ''];
    // When attempts ran out of time, the last one's own failure says more than the timeout.
    const last = cause.cause instanceof ApplicationFailure ? cause.cause : null;
    return {
      kind: 'timeout',
      type: last?.type ?? '',
      message: last?.message ?? '',
      ...(last === null ? {} : reasonIn(last)),
      ...(timeout === undefined ? {} : { timeout }),
    };
  }
  return { kind: 'other', type: '', message: cause.message };
};
