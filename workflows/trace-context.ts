/**
 * Carries the trace of a run from its start to its activities, child workflows and next executions, and reports the span of an
 * execution when it ends.
 *
 * Rule: without a trace in the start's headers nothing happens. It adds no command and no step between promises, so histories
 * replay with it and without it. No span is made here: the worker makes it of what the sink receives, if it has a collector.
 * Listed in `worker/bundle-options.ts`.
 */
import { defaultPayloadConverter } from '@temporalio/common';
import { ContinueAsNew, isCancellation, proxySinks, workflowInfo } from '@temporalio/workflow';
import type { Headers } from '@temporalio/common';
import type { Sinks, WorkflowInterceptors } from '@temporalio/workflow';
import { isRecord } from '../protocol/rules/is-record.ts';
import {
  TRACE_HEADER,
  TRACE_SINK,
  carrierUnder,
  executionSpanId,
  isSampled,
  readCarrier,
  type ExecutionOutcome,
  type ExecutionSpan,
  type TraceCarrier,
} from '../protocol/temporal/trace-carrier.ts';

interface TraceSinks extends Sinks {
  [TRACE_SINK]: { ended(span: ExecutionSpan): void };
}

/** What another program put into the header may be anything. */
const carrierIn = (headers: Headers): TraceCarrier | null => {
  const payload = headers[TRACE_HEADER];
  if (payload === undefined) return null;
  try {
    return readCarrier(defaultPayloadConverter.fromPayload(payload));
  } catch {
    return null;
  }
};

const outcomeOf = (error: unknown): ExecutionOutcome =>
  error instanceof ContinueAsNew ? 'continued_as_new' : isCancellation(error) ? 'cancelled' : 'failed';

const statusIn = (result: unknown): string | null =>
  isRecord(result) && typeof result['status'] === 'string' ? result['status'] : null;

/** Interceptors of one execution; the SDK calls this by its name. */
export const interceptors = (): WorkflowInterceptors => {
  const sinks = proxySinks<TraceSinks>();
  let parent: TraceCarrier | null = null;
  const report = (parentSpan: TraceCarrier, outcome: ExecutionOutcome, status: string | null): void => {
    const { runId, runStartTime } = workflowInfo();
    sinks[TRACE_SINK].ended({
      parent: parentSpan,
      spanId: executionSpanId(runId),
      startedAt: runStartTime.getTime(),
      endedAt: Date.now(),
      outcome,
      status,
    });
  };
  const below = (headers: Headers): Headers =>
    parent === null
      ? headers
      : {
          ...headers,
          [TRACE_HEADER]: defaultPayloadConverter.toPayload(
            carrierUnder(parent, executionSpanId(workflowInfo().runId)),
          ),
        };
  return {
    inbound: [
      {
        // Not async: another promise in between would move the order of what follows it.
        execute(input, next) {
          const found = carrierIn(input.headers);
          parent = found;
          const ending = next(input);
          if (found !== null && isSampled(found))
            ending.then(
              (result) => report(found, 'completed', statusIn(result)),
              (error: unknown) => report(found, outcomeOf(error), null),
            );
          return ending;
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next({ ...input, headers: below(input.headers) }),
        startChildWorkflowExecution: (input, next) => next({ ...input, headers: below(input.headers) }),
        // The next execution stands beside this one, below the span of the start.
        continueAsNew: (input, next) =>
          next(
            parent === null
              ? input
              : {
                  ...input,
                  headers: { ...input.headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload(parent) },
                },
          ),
      },
    ],
  };
};
