/**
 * What activities count and time, as a port: the worker puts Prometheus behind it, tests a recorder.
 *
 * Rule: labels are names from a fixed or configured set (statuses, tools, routes), never ids: a label per run would
 * grow without bound. Nothing here may throw.
 * Imported by the activities and the worker.
 */
import type { BackendObservation } from '../protocol/index.ts';

export type ToolAttemptOutcome =
  /** An output of the tool. */
  | 'ok'
  /** An error output for the model: invalid arguments or output. */
  | 'rejected'
  /** Threw, or took too long: tried again if the policy says so. */
  | 'failed'
  | 'cancelled'
  /** At-most-once and lost: nobody knows. */
  | 'unknown';

export interface Metrics {
  /** A run reached an end, as this worker saw it settle. */
  runEnded(backend: string, status: string): void;
  /** A run asked for tool calls. */
  roundBegan(backend: string, calls: number): void;
  /** How long a round waited for somebody outside, in milliseconds. */
  waited(ms: number): void;
  toolAttempt(tool: string, outcome: ToolAttemptOutcome, ms: number): void;
  backendActivity(activity: string, outcome: 'ok' | 'failed' | 'cancelled', ms: number): void;
  observe(backend: string, what: BackendObservation): void;
}

export const noMetrics: Metrics = {
  runEnded: () => undefined,
  roundBegan: () => undefined,
  waited: () => undefined,
  toolAttempt: () => undefined,
  backendActivity: () => undefined,
  observe: () => undefined,
};
