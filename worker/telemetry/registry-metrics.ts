/**
 * The metrics of Prometheus registries as OpenTelemetry's data.
 *
 * Rule: the registries are the one list of metrics. Names, help, labels and buckets are theirs; only the form changes. Pure, apart
 * from reading the registries.
 * Imported by `open.ts` and tests.
 */
import { ValueType, type HrTime } from '@opentelemetry/api';
import { millisToHrTime } from '@opentelemetry/core';
import { emptyResource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  DataPointType,
  type DataPoint,
  type Histogram,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';
import type { Registry } from 'prom-client';

/** A registry, and what to do before each reading. */
export interface ReadRegistry {
  registry: Registry;
  refresh?: () => Promise<void>;
}

type Labels = Readonly<Record<string, string | number | undefined>>;
interface Value {
  value: number;
  labels: Labels;
  /** Of a histogram: `NAME_bucket`, `NAME_sum` or `NAME_count`. */
  metricName?: string;
}
interface Metric {
  name: string;
  help: string;
  type: string;
  values: readonly Value[];
}

const withoutBound = ({ le: _le, ...labels }: Labels): Record<string, string | number> =>
  Object.fromEntries(
    Object.entries(labels).filter((entry): entry is [string, string | number] => entry[1] !== undefined),
  );

/** Prometheus counts each value in its own bucket and in all larger ones; OpenTelemetry counts it once. */
const histogramOf = (name: string, values: readonly Value[]): Histogram => {
  const totals = values
    .filter(({ metricName }) => metricName === `${name}_bucket`)
    .map(({ value, labels }) => ({ bound: labels['le'] === '+Inf' ? Infinity : Number(labels['le']), value }))
    .toSorted((a, b) => a.bound - b.bound);
  const one = (suffix: string): number =>
    values.find(({ metricName }) => metricName === `${name}_${suffix}`)?.value ?? 0;
  return {
    buckets: {
      boundaries: totals.map(({ bound }) => bound).filter((bound) => bound !== Infinity),
      counts: totals.map(({ value }, index) => value - (totals[index - 1]?.value ?? 0)),
    },
    sum: one('sum'),
    count: one('count'),
  };
};

const bySeries = (values: readonly Value[]): Value[][] => {
  const series = new Map<string, Value[]>();
  for (const value of values) {
    const key = JSON.stringify(withoutBound(value.labels));
    series.set(key, [...(series.get(key) ?? []), value]);
  }
  return [...series.values()];
};

/** One metric in the other form; null = it has no value, or is of a kind that has no other form. */
export const toMetricData = (metric: Metric, startTime: HrTime, endTime: HrTime): MetricData | null => {
  const { name, help, type, values } = metric;
  const common = {
    descriptor: {
      name,
      description: help,
      unit: name.endsWith('_seconds') ? 's' : '',
      valueType: ValueType.DOUBLE,
    },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  if (values.length === 0) return null;
  const point = <T>(labels: Labels, value: T): DataPoint<T> => ({
    startTime,
    endTime,
    attributes: withoutBound(labels),
    value,
  });
  if (type === 'histogram')
    return {
      ...common,
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints: bySeries(values).map((series) => point(series[0]?.labels ?? {}, histogramOf(name, series))),
    };
  const dataPoints = values.map(({ labels, value }) => point(labels, value));
  if (type === 'counter')
    return { ...common, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints };
  return type === 'gauge' ? { ...common, dataPointType: DataPointType.GAUGE, dataPoints } : null;
};

/** Reads the registries at each export. One that can't be read is left out of it. */
export const registryProducer = (
  registries: ReadonlySet<ReadRegistry>,
  startedAt: number,
): MetricProducer => ({
  async collect() {
    const errors: unknown[] = [];
    const metrics: MetricData[] = [];
    const startTime = millisToHrTime(startedAt);
    for (const { registry, refresh } of registries)
      try {
        await refresh?.();
        const endTime = millisToHrTime(Date.now());
        const read = (await registry.getMetricsAsJSON()) as unknown as Metric[];
        for (const metric of read) {
          const data = toMetricData(metric, startTime, endTime);
          if (data !== null) metrics.push(data);
        }
      } catch (error) {
        errors.push(error);
      }
    return {
      resourceMetrics: {
        resource: emptyResource(),
        scopeMetrics: [{ scope: { name: 'durable-runs' }, metrics }],
      },
      errors,
    };
  },
});
