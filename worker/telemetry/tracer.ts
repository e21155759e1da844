/**
 * Makes spans: the one place that does.
 *
 * Rule: a span has attributes of the closed list only. An error is a type, never its text: messages repeat arguments and outputs.
 * Imported within `worker/telemetry/`.
 */
import {
  context,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  type Context,
  type Span,
  type SpanKind,
  type Tracer,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { readCarrier, type TraceCarrier } from '../../protocol/temporal/trace-carrier.ts';
import type { SpanAttributes } from './attributes.ts';

const propagator = new W3CTraceContextPropagator();

const carrierFields = {
  get: (carrier: Readonly<Record<string, string | undefined>>, key: string) => carrier[key],
  keys: (carrier: object) => Object.keys(carrier),
};

/** The context below the span that a carrier names; without one, a context without spans. */
export const contextOf = (carrier: TraceCarrier | null): Context =>
  carrier === null ? ROOT_CONTEXT : propagator.extract(ROOT_CONTEXT, { ...carrier }, carrierFields);

/** The carrier of the active span; null = there is none. */
export const activeCarrier = (from: Context): TraceCarrier | null => {
  const carrier: Record<string, string> = {};
  propagator.inject(from, carrier, {
    set: (into, key, value) => {
      into[key] = value;
    },
  });
  return readCarrier(carrier);
};

export interface SpanStart {
  name: string;
  kind: SpanKind;
  parent: Context;
  attributes: SpanAttributes;
  /** Unix milliseconds; default: now. */
  startedAt?: number;
}

export const startSpan = (tracer: Tracer, start: SpanStart): Span =>
  tracer.startSpan(
    start.name,
    {
      kind: start.kind,
      attributes: { ...start.attributes },
      ...(start.startedAt === undefined ? {} : { startTime: start.startedAt }),
    },
    start.parent,
  );

/** `errorType`: of a closed list; null = no error. `endedAt`: unix milliseconds; default: now. */
export const endSpan = (
  span: Span,
  errorType: string | null,
  attributes: SpanAttributes = {},
  endedAt?: number,
): void => {
  span.setAttributes({ ...attributes });
  if (errorType !== null) {
    span.setAttribute('error.type', errorType);
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end(endedAt);
};

/** Runs `work` with the span as the active one, and ends it. `verdict` reads the result. */
export const withinSpan = async <T>(
  tracer: Tracer,
  start: SpanStart,
  work: () => Promise<T>,
  verdict: (ended: { value: T } | { error: unknown }) => {
    errorType: string | null;
    attributes?: SpanAttributes;
  },
): Promise<T> => {
  const span = startSpan(tracer, start);
  return await context.with(trace.setSpan(start.parent, span), async () => {
    try {
      const value = await work();
      const { errorType, attributes } = verdict({ value });
      endSpan(span, errorType, attributes);
      return value;
    } catch (error) {
      const { errorType, attributes } = verdict({ error });
      endSpan(span, errorType, attributes);
      throw error;
    }
  });
};
