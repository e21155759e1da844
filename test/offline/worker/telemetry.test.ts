/** Telemetry without a collector: settings, the form of metrics, and what is loaded. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import {
  carrierUnder,
  executionSpanId,
  isSampled,
  readCarrier,
} from '../../../protocol/temporal/trace-carrier.ts';
import { configErrors, configFromEnv } from '../../../worker/config.ts';
import { describeTelemetry } from '../../../worker/describe-config.ts';
import { TELEMETRY_PACKAGES } from '../../../worker/telemetry/index.ts';
import { registryProducer } from '../../../worker/telemetry/registry-metrics.ts';
import { OTEL_VARIABLES } from '../../../worker/telemetry/settings.ts';
import { filesIn, ROOT, textOf } from '../../support/sources.ts';

const imports = (text: string): boolean => /from '@opentelemetry\//.test(text);
const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:pass@collector:4318' };

describe('the settings', () => {
  test.each<[string, Record<string, string>, { traces: boolean; metrics: boolean } | null]>([
    ['nothing is set', {}, null],
    ['only a name is set', { OTEL_SERVICE_NAME: 'x', OTEL_TRACES_SAMPLER: 'always_on' }, null],
    ['an address is set', ENDPOINT, { traces: true, metrics: true }],
    [
      'only traces have an address',
      { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c' },
      { traces: true, metrics: false },
    ],
    [
      'an exporter is named without an address',
      { OTEL_METRICS_EXPORTER: 'otlp' },
      { traces: false, metrics: true },
    ],
    [
      'one signal is turned off',
      { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' },
      { traces: false, metrics: true },
    ],
    ['everything is disabled', { ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }, null],
  ])('when %s, what is exported follows', (_what, env, expected) => {
    const { telemetry } = configFromEnv(env);
    const seen = telemetry === null ? null : { traces: telemetry.traces, metrics: telemetry.metrics };
    expect(seen).toEqual(expected);
  });

  test.each<[Record<string, string>, RegExp]>([
    [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, /OTEL_EXPORTER_OTLP_PROTOCOL.*"grpc".*4318/],
    [{ ...ENDPOINT, OTEL_TRACES_SAMPLER: 'some' }, /OTEL_TRACES_SAMPLER.*"some"/],
    [{ ...ENDPOINT, OTEL_TRACES_SAMPLER_ARG: '2' }, /OTEL_TRACES_SAMPLER_ARG.*"2"/],
    [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'zipkin' }, /OTEL_TRACES_EXPORTER.*"zipkin"/],
    [{ ...ENDPOINT, OTEL_METRIC_EXPORT_INTERVAL: '0' }, /OTEL_METRIC_EXPORT_INTERVAL/],
  ])('a value that has no meaning here is refused by its name: %j', (env, problem) => {
    const found = configErrors(configFromEnv(env), 'dev').filter((one) => one.startsWith('OTEL_'));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(problem);
  });

  test('are shown without the secret part of the address', () => {
    const shown = describeTelemetry(configFromEnv(ENDPOINT));
    expect(shown).toBe('traces (parentbased_always_on) and metrics every 60 s to http://***@collector:4318');
  });

  test('are the variables that the document lists, with the same words', () => {
    const page = readFileSync(join(ROOT, 'docs/how-to/export-telemetry.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `(OTEL_\w+)` \| (.*) \|$/gm)].map(([, name, text]) => [name, text]);
    expect(rows).toEqual(Object.entries(OTEL_VARIABLES));
    for (const name of TELEMETRY_PACKAGES) expect(page).toContain(name);
  });
});

describe('OpenTelemetry', () => {
  test('is imported by the files behind the one dynamic import, and by nothing else', () => {
    const rooms = [
      'activities',
      'api',
      'app',
      'backends',
      'cli',
      'client',
      'protocol',
      'service',
      'store',
      'worker',
      'workflows',
    ];
    const importing = rooms.flatMap((room) => filesIn(room)).filter((file) => imports(textOf(file)));
    expect(importing.toSorted()).toEqual(
      ['open', 'registry-metrics', 'spans', 'tracer'].map((name) => `worker/telemetry/${name}.ts`),
    );
    const loaders = filesIn('worker').filter((file) => /from '.*\/open\.ts'/.test(textOf(file)));
    expect(loaders).toEqual([]);
    expect(textOf('worker/telemetry/index.ts')).toContain("await import('./open.ts')");
  });
});

describe('the metrics for a collector', () => {
  test('have the names, labels and figures of the registry, and each value in one bucket', async () => {
    const registry = new Registry();
    const registers = [registry];
    new Counter({ name: 'a_total', help: 'A.', labelNames: ['x'], registers }).inc({ x: 'one' }, 3);
    new Gauge({ name: 'b', help: 'B.', registers }).set(7);
    const time = new Histogram({
      name: 'c_seconds',
      help: 'C.',
      labelNames: ['x'],
      buckets: [1, 2],
      registers,
    });
    for (const value of [0.5, 1.5, 1.6, 9]) time.observe({ x: 'one' }, value);
    const { resourceMetrics, errors } = await registryProducer(new Set([{ registry }]), 0).collect();
    expect(errors).toEqual([]);
    const seen = resourceMetrics.scopeMetrics[0]?.metrics.map(({ descriptor, dataPoints }) => [
      descriptor.name,
      dataPoints.map(({ attributes, value }) => ({ attributes, value })),
    ]);
    expect(seen).toEqual([
      ['a_total', [{ attributes: { x: 'one' }, value: 3 }]],
      ['b', [{ attributes: {}, value: 7 }]],
      [
        'c_seconds',
        [
          {
            attributes: { x: 'one' },
            value: { buckets: { boundaries: [1, 2], counts: [1, 2, 1] }, sum: 12.6, count: 4 },
          },
        ],
      ],
    ]);
  });

  test('of one registry are sent although another one can not be read', async () => {
    const good = new Registry();
    new Gauge({ name: 'b', help: 'B.', registers: [good] }).set(7);
    const bad = { registry: new Registry(), refresh: () => Promise.reject(new Error('gone')) };
    const { resourceMetrics, errors } = await registryProducer(
      new Set([bad, { registry: good }]),
      0,
    ).collect();
    expect(errors).toHaveLength(1);
    expect(resourceMetrics.scopeMetrics[0]?.metrics).toHaveLength(1);
  });
});

describe('a trace context', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

  test.each([
    ['another version', traceparent.replace('00-', 'ff-')],
    ['no trace', traceparent.replace('0af7651916cd43dd8448eb211c80319c', '0'.repeat(32))],
    ['no span', traceparent.replace('b7ad6b7169203331', '0'.repeat(16))],
    ['capitals', traceparent.toUpperCase()],
    ['more after its end', `${traceparent}\n`],
    ['a number', 7],
  ])('with %s is none', (_what, value) => {
    expect(readCarrier({ traceparent: value })).toBeNull();
  });

  test('keeps its trace below the span of an execution, which every worker names alike', () => {
    const carrier = readCarrier({ traceparent, tracestate: 'a=b' });
    if (carrier === null) throw new Error('The carrier was not read.');
    const spanId = executionSpanId('019A5B1C-0000-7000-8ABC-DEF012345678');
    expect(carrierUnder(carrier, spanId)).toEqual({
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-8abcdef012345678-01',
      tracestate: 'a=b',
    });
    expect(isSampled(carrier)).toBe(true);
    expect(isSampled({ traceparent: traceparent.replace(/01$/, '00') })).toBe(false);
  });
});
