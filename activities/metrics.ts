/**
 * The port for metrics of activities: the worker implements it with Prometheus, tests with a recorder.
 *
 * Rule: labels are names from a fixed or configured set (statuses, tools, routes), never ids, since a label per run
 * would grow without bound. Nothing here may throw.
 * Imported by the activities and the worker.
 */
import type { BackendObservation } from '../protocol/index.ts';

export type ToolAttemptOutcome =
  /** An output of the tool. */
  | 'ok'
  /** An error output for the model: invalid arguments or output. */
  | 'rejected'
  /** Threw, or took too long: retried if the policy says so. */
  | 'failed'
  | 'cancelled'
  /** At-most-once and lost: the outcome is unknown. */
  | 'unknown';

export interface Metrics {
  /** A run ended, as this worker saw it settle. */
  runEnded(backend: string, status: string): void;
  /** A run requested tool calls. */
  roundBegan(backend: string, calls: number): void;
  /** An attempt began. `ms`: since it was scheduled, by Temporal's clock and this worker's; the pause before a retry not counted. */
  started(kind: 'backend' | 'tool', ms: number): void;
  /** How long a round waited for answers, in milliseconds. */
  waited(ms: number): void;
  toolAttempt(tool: string, outcome: ToolAttemptOutcome, ms: number): void;
  backendActivity(activity: string, outcome: 'ok' | 'failed' | 'cancelled', ms: number): void;
  observe(backend: string, what: BackendObservation): void;
}

export const noMetrics: Metrics = {
  runEnded: () => undefined,
  roundBegan: () => undefined,
  started: () => undefined,
  waited: () => undefined,
  toolAttempt: () => undefined,
  backendActivity: () => undefined,
  observe: () => undefined,
};
