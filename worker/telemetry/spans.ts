/**
 * The spans of a process: requests to the API, starts, workflow executions, attempts at activities, tools, models.
 *
 * Rule: each is made from what the process already knows of the work; no span changes, delays or fails it. The parent comes from
 * the request's or Temporal's headers, else from the active span.
 * Imported by `open.ts`.
 */
import { context, SpanKind, type Tracer } from '@opentelemetry/api';
import type { Context as ActivityContext } from '@temporalio/activity';
import type { ClientInterceptors } from '@temporalio/client';
import {
  ApplicationFailure,
  CancelledFailure,
  defaultPayloadConverter,
  type Headers,
} from '@temporalio/common';
import type { ActivityInterceptorsFactory, InjectedSinks } from '@temporalio/worker';
import type { Sinks, WorkflowInfo } from '@temporalio/workflow';
import type { TraceRequest } from '../../api/index.ts';
import type { BackendObservation } from '../../protocol/index.ts';
import { isRecord } from '../../protocol/rules/is-record.ts';
import { FAILURES, TOOL_ACTIVITY_PREFIX } from '../../protocol/temporal/names.ts';
import {
  readCarrier,
  TRACE_HEADER,
  TRACE_SINK,
  type ExecutionSpan,
  type TraceCarrier,
} from '../../protocol/temporal/trace-carrier.ts';
import { spanName, type SpanAttributes } from './attributes.ts';
import { activeCarrier, contextOf, endSpan, startSpan, withinSpan } from './tracer.ts';

const FAILURE_TYPES: readonly string[] = Object.values(FAILURES);

/** The type of a thrown error: ours by their names, all others by one word. */
const errorTypeOf = (error: unknown): string => {
  if (error instanceof CancelledFailure) return 'cancelled';
  const type = error instanceof ApplicationFailure ? error.type : null;
  return typeof type === 'string' && FAILURE_TYPES.includes(type) ? type : '_OTHER';
};

const carrierIn = (headers: Headers): TraceCarrier | null => {
  const payload = headers[TRACE_HEADER];
  if (payload === undefined) return null;
  try {
    return readCarrier(defaultPayloadConverter.fromPayload(payload));
  } catch {
    return null;
  }
};

/** A request's own trace context is the parent; a malformed one is none. */
export const requestTracer =
  (tracer: Tracer): TraceRequest =>
  async ({ method, route, headers }, work) =>
    await withinSpan(
      tracer,
      {
        name: spanName.request(method, route),
        kind: SpanKind.SERVER,
        parent: contextOf(
          readCarrier({ traceparent: headers.get('traceparent'), tracestate: headers.get('tracestate') }),
        ),
        attributes: { 'http.request.method': method, 'http.route': route },
      },
      work,
      (ended) => {
        if ('error' in ended) return { errorType: '_OTHER' };
        const { status } = ended.value;
        return {
          errorType: status >= 500 ? String(status) : null,
          attributes: { 'http.response.status_code': status },
        };
      },
    );

/** A start below the active span puts itself into the headers of what it starts. Other starts are left alone. */
export const clientInterceptors = (tracer: Tracer): ClientInterceptors => ({
  workflow: [
    {
      async startWithDetails(input, next) {
        const parent = context.active();
        if (activeCarrier(parent) === null) return await next(input);
        const { workflowId } = input.options;
        const start = {
          name: spanName.start(input.workflowType),
          kind: SpanKind.CLIENT,
          parent,
          attributes: { temporalWorkflowId: workflowId },
        };
        return await withinSpan(
          tracer,
          start,
          async () => {
            const carrier = activeCarrier(context.active());
            const header = { [TRACE_HEADER]: defaultPayloadConverter.toPayload(carrier) };
            return await next({ ...input, headers: { ...input.headers, ...header } });
          },
          (ended) =>
            'error' in ended
              ? { errorType: errorTypeOf(ended.error) }
              : { errorType: null, attributes: { run_id: ended.value.runId } },
        );
      },
    },
  ],
});

/** What a tool's input says of its call. Its arguments are not read. */
const toolAttributes = (tool: string, input: unknown): SpanAttributes => {
  const fields = isRecord(input) ? input : {};
  const id = (attribute: keyof SpanAttributes, field: string): SpanAttributes =>
    typeof fields[field] === 'string' ? { [attribute]: fields[field] } : {};
  return {
    'gen_ai.operation.name': 'execute_tool',
    'gen_ai.tool.name': tool,
    'gen_ai.tool.type': 'function',
    ...id('gen_ai.tool.call.id', 'callId'),
    ...id('gen_ai.conversation.id', 'threadId'),
    ...id('gen_ai.agent.id', 'assistantId'),
  };
};

const toolOf = (activityType: string): string | null =>
  activityType.startsWith(TOOL_ACTIVITY_PREFIX) ? activityType.slice(TOOL_ACTIVITY_PREFIX.length) : null;

/** An attempt at an activity; of a tool's, the tool within it. An attempt without a trace in its headers has no span. */
export const activityInterceptors =
  (tracer: Tracer): ActivityInterceptorsFactory =>
  ({ info }: ActivityContext) => ({
    inbound: {
      async execute(input, next) {
        const carrier = carrierIn(input.headers);
        if (carrier === null) return await next(input);
        const attributes: SpanAttributes = {
          temporalActivityId: info.activityId,
          'durable_runs.attempt': info.attempt,
          ...(info.workflowExecution === undefined
            ? {}
            : {
                temporalWorkflowId: info.workflowExecution.workflowId,
                run_id: info.workflowExecution.runId,
              }),
        };
        const name = spanName.activity(info.activityType);
        const start = { name, kind: SpanKind.INTERNAL, parent: contextOf(carrier), attributes };
        return await withinSpan(
          tracer,
          start,
          async () => {
            const tool = toolOf(info.activityType);
            if (tool === null) return await next(input);
            const inner = {
              name: spanName.tool(tool),
              kind: SpanKind.INTERNAL,
              parent: context.active(),
              attributes: toolAttributes(tool, input.args[0]),
            };
            return await withinSpan(
              tracer,
              inner,
              () => next(input),
              (ended) => {
                if ('error' in ended) return { errorType: errorTypeOf(ended.error) };
                const refused = isRecord(ended.value) && ended.value['ok'] === false;
                return { errorType: refused ? 'rejected' : null };
              },
            );
          },
          (ended) => ({ errorType: 'error' in ended ? errorTypeOf(ended.error) : null }),
        );
      },
    },
  });

/** Starts spans whose ids are given; `next` names the id of the span that is started in its call. */
export interface GivenIds {
  next<T>(spanId: string, work: () => T): T;
}

/** The span of an execution has the id that its activities named as their parent. */
export const executionSinks = (tracer: Tracer, ids: GivenIds): InjectedSinks<Sinks> => ({
  [TRACE_SINK]: {
    ended: {
      fn: ({ workflowId, runId, workflowType }: WorkflowInfo, ended: ExecutionSpan) => {
        const span = ids.next(ended.spanId, () =>
          startSpan(tracer, {
            name: spanName.execution(workflowType),
            kind: SpanKind.INTERNAL,
            parent: contextOf(ended.parent),
            attributes: {
              temporalWorkflowId: workflowId,
              run_id: runId,
              'durable_runs.execution.outcome': ended.outcome,
            },
            startedAt: ended.startedAt,
          }),
        );
        const status: SpanAttributes =
          ended.status === null ? {} : { 'durable_runs.run.status': ended.status };
        const failed =
          ended.outcome === 'failed' ? 'failed' : ended.status === 'failed' ? 'run_failed' : null;
        endSpan(span, failed, status, ended.endedAt);
      },
      callDuringReplay: false,
    },
  },
});

const MODEL_NAME_CHARS = 80;

/** One request to a model, once it has ended, below the attempt that asked. */
export const observeModel = (tracer: Tracer, what: BackendObservation): void => {
  if (what.kind !== 'model' && what.kind !== 'model_failed') return;
  const parent = context.active();
  if (activeCarrier(parent) === null) return;
  const model = what.model.slice(0, MODEL_NAME_CHARS);
  const endedAt = Date.now();
  const span = startSpan(tracer, {
    name: spanName.model(model),
    kind: SpanKind.CLIENT,
    parent,
    startedAt: endedAt - what.ms,
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': what.provider,
      'gen_ai.request.model': model,
    },
  });
  if (what.kind === 'model_failed') endSpan(span, what.reason, {}, endedAt);
  else
    endSpan(
      span,
      null,
      {
        'gen_ai.usage.input_tokens': what.promptTokens,
        'gen_ai.usage.output_tokens': what.completionTokens,
        'gen_ai.usage.cache_read.input_tokens': what.cachedTokens,
        'gen_ai.usage.reasoning.output_tokens': what.reasoningTokens,
        ...(what.firstTokenMs === null
          ? {}
          : { 'gen_ai.response.time_to_first_chunk': what.firstTokenMs / 1_000 }),
        ...(what.finish === null ? {} : { 'gen_ai.response.finish_reasons': [what.finish] }),
      },
      endedAt,
    );
};
