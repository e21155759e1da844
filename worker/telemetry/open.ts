/**
 * Opens the telemetry of a process: spans and metrics to an OTLP collector.
 *
 * Rule: the only file that starts an exporter, and loaded only where one is configured. A collector that hangs, refuses or fails
 * costs the spans it does not take, and nothing else: queues are bounded, requests have a time limit, and closing has one, too.
 * Imported by `index.ts`, at run time.
 */
import { context, diag, DiagLogLevel, type DiagLogger } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { ExportResultCode, type ExportResult } from '@opentelemetry/core';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
  type Resource,
} from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  RandomIdGenerator,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type IdGenerator,
  type Sampler,
} from '@opentelemetry/sdk-trace';
import type { Metrics } from '../../activities/index.ts';
import type { Logger } from '../../protocol/index.ts';
import { registryProducer, type ReadRegistry } from './registry-metrics.ts';
import type { TelemetrySettings } from './settings.ts';
import {
  activityInterceptors,
  clientInterceptors,
  executionSinks,
  observeModel,
  requestTracer,
  type GivenIds,
} from './spans.ts';
import type { Telemetry } from './types.ts';

const SCOPE = 'durable-runs';
/** How long a process that ends waits for its collector. Milliseconds. */
const CLOSE_MS = 3_000;

const samplerOf = ({ sampler, ratio }: TelemetrySettings): Sampler => {
  const root = (name: string): Sampler => {
    if (name.endsWith('always_off')) return new AlwaysOffSampler();
    return name.endsWith('traceidratio') ? new TraceIdRatioBasedSampler(ratio) : new AlwaysOnSampler();
  };
  return sampler.startsWith('parentbased_') ? new ParentBasedSampler({ root: root(sampler) }) : root(sampler);
};

const resource = (): Resource =>
  defaultResource()
    .merge(resourceFromAttributes({ 'service.name': SCOPE }))
    .merge(detectResources({ detectors: [envDetector] }));

/** Random ids, except for the span that is started within `next`. */
const givenIds = (): GivenIds & { generator: IdGenerator } => {
  const random = new RandomIdGenerator();
  let given: string | null = null;
  return {
    generator: {
      generateTraceId: () => random.generateTraceId(),
      generateSpanId: () => given ?? random.generateSpanId(),
    },
    next(spanId, work) {
      given = spanId;
      try {
        return work();
      } finally {
        given = null;
      }
    },
  };
};

/** Warns when the collector begins to fail, and says when it takes data again. The texts of errors may hold headers. */
const collectorWatch = (log: Logger) => {
  let failing = false;
  return (signal: string, { code }: ExportResult): void => {
    const failed = code !== ExportResultCode.SUCCESS;
    if (failed === failing) return;
    failing = failed;
    if (failed) log.warn({ signal }, 'the collector does not take telemetry; it is dropped until it does');
    else log.info({ signal }, 'the collector takes telemetry again');
  };
};

interface Exporting<Data> {
  export(data: Data, done: (result: ExportResult) => void): void;
}

/** The exporter, with its results reported. */
const watched = <Data, E extends Exporting<Data>>(
  exporter: E,
  signal: string,
  seen: ReturnType<typeof collectorWatch>,
): E => {
  const send = exporter.export.bind(exporter);
  exporter.export = (data, done) =>
    send(data, (result) => {
      seen(signal, result);
      done(result);
    });
  return exporter;
};

const silent = (): void => undefined;
const QUIET: DiagLogger = { error: silent, warn: silent, info: silent, debug: silent, verbose: silent };

/** Ends when all have ended, or the time is up. */
const within = async (ms: number, work: readonly Promise<void>[]): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([Promise.allSettled(work), late]);
  clearTimeout(timer);
};

export const openTelemetry = (settings: TelemetrySettings, log: Logger): Telemetry => {
  // OpenTelemetry's own lines hold addresses and answers of the collector; `watched` says what matters.
  diag.setLogger(QUIET, { logLevel: DiagLogLevel.NONE, suppressOverrideMessage: true });
  const manager = new AsyncLocalStorageContextManager().enable();
  // A program that has a manager keeps it; both then see the same active span.
  const ours = context.setGlobalContextManager(manager);
  const seen = collectorWatch(log);
  const shared = resource();
  const ids = givenIds();
  const traces = new TracerProvider({
    resource: shared,
    sampler: settings.traces ? samplerOf(settings) : new AlwaysOffSampler(),
    idGenerator: ids.generator,
    spanProcessors: settings.traces
      ? [
          new BatchSpanProcessor({
            exporter: watched(new OTLPTraceExporter(), 'traces', seen),
            scheduledDelayMillis: settings.spanDelayMs,
          }),
        ]
      : [],
  });
  const registries = new Set<ReadRegistry>();
  const meters = settings.metrics
    ? new MeterProvider({
        resource: shared,
        readers: [
          new PeriodicExportingMetricReader({
            exporter: watched(new OTLPMetricExporter(), 'metrics', seen),
            exportIntervalMillis: settings.metricIntervalMs,
            exportTimeoutMillis: Math.min(settings.metricIntervalMs, 10_000),
            metricProducers: [registryProducer(registries, Date.now())],
          }),
        ],
      })
    : null;
  const tracer = traces.getTracer(SCOPE);
  let closed: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    await within(CLOSE_MS, [traces.shutdown(), ...(meters === null ? [] : [meters.shutdown()])]);
    if (ours) context.disable();
  };
  return {
    activityInterceptors: activityInterceptors(tracer),
    sinks: executionSinks(tracer, ids),
    clientInterceptors: clientInterceptors(tracer),
    traceRequest: requestTracer(tracer),
    tracing: (metrics: Metrics): Metrics => ({
      ...metrics,
      observe: (backend, what) => {
        observeModel(tracer, what);
        metrics.observe(backend, what);
      },
    }),
    exportsMetrics: settings.metrics,
    exportMetrics: (registry, refresh) => {
      registries.add({ registry, ...(refresh === undefined ? {} : { refresh }) });
    },
    close: () => (closed ??= close()),
  };
};
