/**
 * The trace of a run as it travels in Temporal's headers: W3C trace context in the header that Temporal's own interceptors use.
 *
 * Rule: pure; the workflow sandbox loads it. A carrier that is not W3C trace context is none. The span of an execution has an id
 * that follows from the execution's own, so every worker that replays it names the same parent.
 * Imported by workflow code, `worker/telemetry/` and tests.
 */
import { isRecord } from '../rules/is-record.ts';

/** The header of Temporal's OpenTelemetry interceptors, in every language. */
export const TRACE_HEADER = '_tracer-data';

/** The sink that receives the span of an ended execution. */
export const TRACE_SINK = 'durableRunsTrace';

/** W3C trace context. */
export interface TraceCarrier {
  traceparent: string;
  tracestate?: string;
}

/** How an execution ended. */
export type ExecutionOutcome = 'completed' | 'failed' | 'cancelled' | 'continued_as_new';

/** The span of one execution of a workflow. Times are unix milliseconds. */
export interface ExecutionSpan {
  parent: TraceCarrier;
  spanId: string;
  startedAt: number;
  endedAt: number;
  outcome: ExecutionOutcome;
  /** Of a run: the status that it ended with. */
  status: string | null;
}

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;

/** The carrier in a decoded header; null = there is none. */
export const readCarrier = (value: unknown): TraceCarrier | null => {
  if (!isRecord(value)) return null;
  const { traceparent, tracestate } = value;
  if (typeof traceparent !== 'string' || !TRACEPARENT.test(traceparent)) return null;
  return typeof tracestate === 'string' && tracestate !== '' ? { traceparent, tracestate } : { traceparent };
};

/** The sampled flag: some process records the trace. */
export const isSampled = ({ traceparent }: TraceCarrier): boolean =>
  (Number.parseInt(TRACEPARENT.exec(traceparent)?.[2] ?? '00', 16) & 1) === 1;

/** Id of the span of an execution, from its Temporal run id, a UUID whose last 16 digits hold 62 random bits. */
export const executionSpanId = (temporalRunId: string): string =>
  temporalRunId.replaceAll('-', '').toLowerCase().slice(-16);

/** The same trace, below another span. */
export const carrierUnder = (carrier: TraceCarrier, spanId: string): TraceCarrier => {
  const [version = '', traceId = '', , flags = ''] = carrier.traceparent.split('-');
  return { ...carrier, traceparent: `${version}-${traceId}-${spanId}-${flags}` };
};
