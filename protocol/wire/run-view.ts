/**
 * The fields of a run on the wire that follow from its status.
 *
 * Rule: the switch below is the one place that knows which fields a status sets. Milliseconds become seconds here. Pure.
 * Imports shapes of the wire; the store and the scripted server import it.
 */
import type { Run, RunCommon, RunStatus, WireLastError, WireToolCall, WireUsage } from './objects.ts';

/** A run as it is stored. Times are unix milliseconds. */
export interface RunFacts {
  status: RunStatus;
  createdAt: number;
  expiresAt: number | null;
  cancelledAt: number | null;
  completedAt: number | null;
  failedAt: number | null;
  /** Calls that the caller must answer. */
  required: WireToolCall[];
  lastError: WireLastError | null;
  incompleteReason: string | null;
  usage: WireUsage | null;
}

export const wireSeconds = (ms: number): number => Math.floor(ms / 1000);
export const wireSecondsOrNull = (ms: number | null): number | null => (ms === null ? null : wireSeconds(ms));

const unknownStatus = (status: never): never => {
  throw new Error(`A run has the unknown status ${JSON.stringify(status)}.`);
};

export const viewOfRun = (common: RunCommon, run: RunFacts): Run => {
  const { usage, lastError: last_error } = run;
  const base = {
    ...common,
    required_action: null,
    last_error: null,
    incomplete_details: null,
    expires_at: wireSecondsOrNull(run.expiresAt),
    cancelled_at: null,
    failed_at: null,
    completed_at: null,
    usage: null,
  };
  switch (run.status) {
    case 'queued':
    case 'in_progress':
    case 'cancelling':
      return { ...base, status: run.status };
    case 'requires_action':
      return {
        ...base,
        status: run.status,
        required_action: {
          type: 'submit_tool_outputs',
          submit_tool_outputs: { tool_calls: run.required },
        },
      };
    case 'completed':
      return {
        ...base,
        status: run.status,
        expires_at: null,
        completed_at: wireSeconds(run.completedAt ?? run.createdAt),
        usage,
      };
    case 'incomplete':
      return {
        ...base,
        status: run.status,
        incomplete_details: run.incompleteReason === null ? {} : { reason: run.incompleteReason },
        completed_at: wireSecondsOrNull(run.completedAt),
        usage,
      };
    case 'failed':
      return {
        ...base,
        status: run.status,
        last_error: last_error ?? { code: 'server_error', message: 'The run failed.' },
        failed_at: wireSeconds(run.failedAt ?? run.createdAt),
        usage,
      };
    case 'cancelled':
      return {
        ...base,
        status: run.status,
        last_error,
        cancelled_at: wireSeconds(run.cancelledAt ?? run.createdAt),
        usage,
      };
    case 'expired':
      return { ...base, status: run.status, last_error, usage };
    default:
      return unknownStatus(run.status);
  }
};
