/**
 * The settings of telemetry, in the variables that OpenTelemetry has everywhere.
 *
 * Rule: no effects, and nothing of OpenTelemetry is imported. Without an address and without an exporter that is named, nothing is
 * exported: a process never sends to an address that nobody set. Addresses, headers, certificates and the resource are read by
 * OpenTelemetry's own packages.
 * Imported by `worker/config.ts`, `open.ts` and tests.
 */
import type { envReader } from '../env-reader.ts';

/** Every variable that counts, with what it means. `docs/how-to/export-telemetry.md` lists them; a test compares. */
export const OTEL_VARIABLES = {
  OTEL_EXPORTER_OTLP_ENDPOINT:
    'address of the collector, such as `http://127.0.0.1:4318`; turns the export on',
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'the whole address for traces alone',
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'the whole address for metrics alone',
  OTEL_EXPORTER_OTLP_PROTOCOL: '`http/protobuf` only, the default',
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'the same for traces',
  OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'the same for metrics',
  OTEL_EXPORTER_OTLP_HEADERS:
    'headers of each request, such as `authorization=Bearer%20KEY`; also `…_TRACES_…` and `…_METRICS_…`',
  OTEL_EXPORTER_OTLP_TIMEOUT: 'milliseconds for one request; default 10,000',
  OTEL_EXPORTER_OTLP_COMPRESSION: '`gzip` or `none`, the default',
  OTEL_EXPORTER_OTLP_CERTIFICATE: 'file of the authority that signed the collector’s certificate',
  OTEL_TRACES_EXPORTER: '`otlp`, or `none` to export metrics alone',
  OTEL_METRICS_EXPORTER: '`otlp`, or `none` to export traces alone',
  OTEL_SERVICE_NAME: 'name of the service; default `durable-runs`',
  OTEL_RESOURCE_ATTRIBUTES: 'more attributes of the process, such as `deployment.environment.name=staging`',
  OTEL_TRACES_SAMPLER:
    '`parentbased_always_on` (default), `always_on`, `always_off`, `traceidratio`, `parentbased_always_off`, `parentbased_traceidratio`',
  OTEL_TRACES_SAMPLER_ARG: 'share of traces from 0 to 1, of the two samplers with a ratio; default 1',
  OTEL_BSP_SCHEDULE_DELAY: 'milliseconds between two requests with spans; default 5,000',
  OTEL_METRIC_EXPORT_INTERVAL: 'milliseconds between two requests with metrics; default 60,000',
  OTEL_SDK_DISABLED: '`true` turns everything off',
} as const;

const SAMPLERS = [
  'parentbased_always_on',
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;
const EXPORTERS = ['otlp', 'none'] as const;
const PROTOCOL = 'http/protobuf';

export interface TelemetrySettings {
  traces: boolean;
  metrics: boolean;
  /** The collector, for people; null = OpenTelemetry's default, this machine. */
  endpoint: string | null;
  sampler: (typeof SAMPLERS)[number];
  /** Share of traces, from 0 to 1. */
  ratio: number;
  /** Milliseconds between two exports. */
  spanDelayMs: number;
  metricIntervalMs: number;
}

type Reader = ReturnType<typeof envReader>;

const HOUR_MS = 3_600_000;

const readRatio = ({ text, invalid }: Reader): number => {
  const value = text('OTEL_TRACES_SAMPLER_ARG');
  if (value === null) return 1;
  const ratio = Number(value);
  if (ratio >= 0 && ratio <= 1) return ratio;
  invalid.push(`OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, got ${JSON.stringify(value)}`);
  return 1;
};

/** Whether a signal is exported: as named, else wherever it has an address. */
const isExported = ({ text, oneOf }: Reader, signal: 'TRACES' | 'METRICS'): boolean => {
  const named = `OTEL_${signal}_EXPORTER`;
  if (text(named) !== null) return oneOf(named, EXPORTERS, 'none') === 'otlp';
  return (
    text('OTEL_EXPORTER_OTLP_ENDPOINT') !== null || text(`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`) !== null
  );
};

const checkProtocol = ({ text, invalid }: Reader, signal: 'TRACES' | 'METRICS'): void => {
  const own = `OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`;
  const name = text(own) === null ? 'OTEL_EXPORTER_OTLP_PROTOCOL' : own;
  const value = text(name);
  const problem = `${name} must be "${PROTOCOL}", got ${JSON.stringify(value)}. Collectors take it at port 4318`;
  if (value !== null && value !== PROTOCOL && !invalid.includes(problem)) invalid.push(problem);
};

/** null = nothing is exported. Problems go to `invalid` of the reader. */
export const readTelemetry = (reader: Reader): TelemetrySettings | null => {
  const { text, oneOf, whole } = reader;
  if (text('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return null;
  const traces = isExported(reader, 'TRACES');
  const metrics = isExported(reader, 'METRICS');
  if (!traces && !metrics) return null;
  if (traces) checkProtocol(reader, 'TRACES');
  if (metrics) checkProtocol(reader, 'METRICS');
  return {
    traces,
    metrics,
    endpoint:
      text('OTEL_EXPORTER_OTLP_ENDPOINT') ??
      text('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ??
      text('OTEL_EXPORTER_OTLP_METRICS_ENDPOINT'),
    sampler: oneOf('OTEL_TRACES_SAMPLER', SAMPLERS, 'parentbased_always_on'),
    ratio: readRatio(reader),
    spanDelayMs: whole('OTEL_BSP_SCHEDULE_DELAY', 1, HOUR_MS, 5_000),
    metricIntervalMs: whole('OTEL_METRIC_EXPORT_INTERVAL', 1, HOUR_MS, 60_000),
  };
};
