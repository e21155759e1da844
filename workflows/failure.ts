/**
 * Translates failures of the SDK into the plain values that the machine reads.
 *
 * Rule: only a failure that Temporal reports is a failure of work. Any other error is a bug in this code: it fails the
 * workflow task, which Temporal retries until a worker has the fix. Imported by `temporal-runtime.ts` and the follow-up
 * workflow.
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

/** `details[0].reason` of a backend's failure. */
const reasonIn = ({ details }: ApplicationFailure): Pick<ActivityFailureInfo, 'reason'> => {
  const first: unknown = details?.[0];
  return typeof first === 'object' && first !== null && 'reason' in first && typeof first.reason === 'string'
    ? { reason: first.reason }
    : {};
};

/**
 * True when Temporal scheduled no further attempt because it would have started after the activity's schedule-to-close
 * timeout.
 */
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
    // When attempts ran out of time, the failure of the last attempt says more than the timeout.
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
