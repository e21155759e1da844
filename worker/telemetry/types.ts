/**
 * What the parts of a process may ask of its telemetry. `open.ts` implements it with OpenTelemetry.
 *
 * Rule: types only, so that a process without a collector loads nothing of OpenTelemetry.
 * Imported by the composition roots.
 */
import type { ActivityInterceptorsFactory, InjectedSinks } from '@temporalio/worker';
import type { Sinks } from '@temporalio/workflow';
import type { ClientInterceptors } from '@temporalio/client';
import type { Registry } from 'prom-client';
import type { Metrics } from '../../activities/index.ts';
import type { TraceRequest } from '../../api/index.ts';

export interface WorkerTelemetry {
  /** Spans of attempts at activities, and of tools within them. */
  activityInterceptors: ActivityInterceptorsFactory;
  /** Spans of workflow executions. */
  sinks: InjectedSinks<Sinks>;
  /** The same metrics; what they observe of models becomes spans, too. */
  tracing(metrics: Metrics): Metrics;
}

export interface Telemetry extends WorkerTelemetry {
  /** Spans of starts, and the trace in their headers. */
  clientInterceptors: ClientInterceptors;
  /** Spans of requests to the API; an incoming `traceparent` is their parent. */
  traceRequest: TraceRequest;
  /** Metrics are exported, so that a registry is worth having. */
  readonly exportsMetrics: boolean;
  /** Exports what the registry holds, each time after `refresh`, until `close`. */
  exportMetrics(registry: Registry, refresh?: () => Promise<void>): void;
  /** Sends what is left, for some seconds at most. Never throws; idempotent. */
  close(): Promise<void>;
}
