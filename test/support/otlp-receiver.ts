/**
 * An OTLP collector on HTTP that keeps what it gets: spans and metrics, decoded from protobuf.
 *
 * Rule: the schema here is OTLP's, field by field as far as tests read it; unknown fields are skipped, as the format wants.
 * Tests only.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import protobuf from 'protobufjs';

const SCHEMA = `
syntax = "proto3";
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; ArrayValue array_value = 5; } }
message ArrayValue { repeated AnyValue values = 1; }
message KeyValue { string key = 1; AnyValue value = 2; }
message Resource { repeated KeyValue attributes = 1; }
message Status { string message = 2; int32 code = 3; }
message Event { fixed64 time = 1; string name = 2; repeated KeyValue attributes = 3; }
message Span { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9; repeated Event events = 11; Status status = 15; }
message ScopeSpans { repeated Span spans = 2; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Traces { repeated ResourceSpans resource_spans = 1; }
message NumberPoint { double as_double = 4; sfixed64 as_int = 6; repeated KeyValue attributes = 7; }
message Points { repeated NumberPoint data_points = 1; }
message HistogramPoint { fixed64 count = 4; double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7; repeated KeyValue attributes = 9; }
message Histograms { repeated HistogramPoint data_points = 1; }
message Metric { string name = 1; string description = 2; string unit = 3; Points gauge = 5; Points sum = 7; Histograms histogram = 9; }
message ScopeMetrics { repeated Metric metrics = 2; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
message Metrics { repeated ResourceMetrics resource_metrics = 1; }
`;
const { root } = protobuf.parse(SCHEMA);

interface AnyValue {
  stringValue?: string;
  intValue?: string;
  doubleValue?: number;
  arrayValue?: { values: AnyValue[] };
}
interface KeyValue {
  key: string;
  value: AnyValue;
}
interface RawSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  attributes?: KeyValue[];
  events?: unknown[];
  status?: { code?: number; message?: string };
}
interface RawPoint {
  asDouble?: number;
  attributes?: KeyValue[];
  count?: string;
  bucketCounts?: string[];
}
interface RawMetric {
  name: string;
  sum?: { dataPoints: RawPoint[] };
  gauge?: { dataPoints: RawPoint[] };
  histogram?: { dataPoints: RawPoint[] };
}

export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  /** '' = it is a root. */
  parentSpanId: string;
  name: string;
  attributes: Record<string, unknown>;
  /** Of the process. */
  service: string;
  failed: boolean;
  statusMessage: string;
  events: number;
}

export interface OtlpReceiver {
  url: string;
  /** In the order of their arrival. */
  spans: ReceivedSpan[];
  /** The latest of each name. */
  metrics: Map<string, RawMetric>;
  /** Everything that arrived, as JSON, for what must not be in it. */
  everything(): string;
  /** Values of one header, over all requests. */
  header(name: string): Set<string>;
  close(): Promise<void>;
}

const plain = (value: AnyValue): unknown =>
  value.arrayValue === undefined
    ? (value.stringValue ??
      value.doubleValue ??
      (value.intValue === undefined ? null : Number(value.intValue)))
    : value.arrayValue.values.map(plain);
const record = (list: readonly KeyValue[] = []): Record<string, unknown> =>
  Object.fromEntries(list.map(({ key, value }) => [key, plain(value)]));

const hex = (base64: string | undefined): string => Buffer.from(base64 ?? '', 'base64').toString('hex');

const bodyOf = async (request: IncomingMessage): Promise<Buffer> => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
};

const decode = (type: string, body: Buffer): unknown => {
  const message = root.lookupType(type);
  return message.toObject(message.decode(body), { bytes: String, longs: String });
};

interface Traces {
  resourceSpans?: { resource?: { attributes: KeyValue[] }; scopeSpans?: { spans?: RawSpan[] }[] }[];
}
interface Metrics {
  resourceMetrics?: { scopeMetrics?: { metrics?: RawMetric[] }[] }[];
}

const spansOf = ({ resourceSpans = [] }: Traces): ReceivedSpan[] =>
  resourceSpans.flatMap(({ resource, scopeSpans = [] }) =>
    scopeSpans
      .flatMap(({ spans = [] }) => spans)
      .map((span) => ({
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId),
        name: span.name,
        attributes: record(span.attributes),
        service: String(record(resource?.attributes)['service.name']),
        failed: span.status?.code === 2,
        statusMessage: span.status?.message ?? '',
        events: span.events?.length ?? 0,
      })),
  );

export const otlpReceiver = async (): Promise<OtlpReceiver> => {
  const spans: ReceivedSpan[] = [];
  const metrics = new Map<string, RawMetric>();
  const raw: unknown[] = [];
  const headers: IncomingMessage['headers'][] = [];
  const server = createServer((request, response) => {
    const take = async () => {
      headers.push(request.headers);
      const body = await bodyOf(request);
      if (request.url === '/v1/traces') {
        const traces = decode('Traces', body) as Traces;
        raw.push(traces);
        spans.push(...spansOf(traces));
      } else {
        const data = decode('Metrics', body) as Metrics;
        raw.push(data);
        for (const { scopeMetrics = [] } of data.resourceMetrics ?? [])
          for (const metric of scopeMetrics.flatMap((scope) => scope.metrics ?? []))
            metrics.set(metric.name, metric);
      }
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    };
    take().catch(() => response.writeHead(400).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    metrics,
    everything: () => JSON.stringify(raw),
    header: (name) => new Set(headers.map((of) => String(of[name]))),
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
};
