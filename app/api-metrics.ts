/**
 * Prometheus metrics of the API server: requests by route and status, events to readers, live runs, and Node's own.
 *
 * Rule: label values come from bounded sets; a path without a route is not one. Imported by `api.ts`.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RequestLogEntry } from '../api/index.ts';
import type { RunStore } from '../protocol/ports/run-store.ts';
import { ACTIVE_STATUSES } from '../protocol/wire/objects.ts';

const SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export interface ApiMetrics {
  request(seen: RequestLogEntry): void;
  delivered(ms: number): void;
  page: () => Promise<{ contentType: string; body: string }>;
  contentType: string;
  /** Text of the page. */
  metrics: () => Promise<string>;
  registry: Registry;
  /** Reads what the store counts; the registry holds it afterwards. Never throws. */
  refresh: () => Promise<void>;
}

/** About the store: every server process reports the same. */
export const apiMetrics = (store: Pick<RunStore, 'countLiveRuns'>): ApiMetrics => {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: 'runs_api_requests_total',
    help: 'Requests answered.',
    labelNames: ['method', 'route', 'status', 'stream'],
    registers: [registry],
  });
  const time = new Histogram({
    name: 'runs_api_request_seconds',
    help: 'Time to the response headers.',
    labelNames: ['route'],
    buckets: SECONDS,
    registers: [registry],
  });
  const delivery = new Histogram({
    name: 'runs_event_delivery_seconds',
    help: 'Time from the notification of new events of a run until its stream has sent them.',
    buckets: SECONDS,
    registers: [registry],
  });
  const live = new Gauge({
    name: 'runs_live',
    help: 'Runs that have not ended, by status. The same figure from every server process.',
    labelNames: ['status'],
    registers: [registry],
  });
  const countLive = async (): Promise<void> => {
    try {
      const counts = await store.countLiveRuns();
      for (const status of ACTIVE_STATUSES) live.set({ status }, counts[status] ?? 0);
    } catch {
      // A missing value is better than an old one; the page's other values are still good.
      live.reset();
    }
  };
  const metrics = async (): Promise<string> => {
    await countLive();
    return registry.metrics();
  };
  // Finding a series by its labels costs more than counting in it.
  const counters = new Map<string, Counter.Internal>();
  const counterOf = (method: string, route: string, status: number, stream: boolean): Counter.Internal => {
    const key = `${method} ${route} ${status} ${String(stream)}`;
    const known = counters.get(key) ?? requests.labels(method, route, String(status), String(stream));
    counters.set(key, known);
    return known;
  };
  const times = new Map<string, Histogram.Internal<'route'>>();
  const timeOf = (route: string): Histogram.Internal<'route'> => {
    const known = times.get(route) ?? time.labels(route);
    times.set(route, known);
    return known;
  };
  return {
    delivered: (ms) => delivery.observe(ms / 1_000),
    request({ method, route, status, ms, stream, held }) {
      const known = route ?? 'none';
      counterOf(route === null ? 'any' : method, known, status, stream).inc();
      // A long poll takes as long as its run, so its time says nothing about the server.
      if (!held) timeOf(known).observe(ms / 1_000);
    },
    page: async () => ({ contentType: registry.contentType, body: await metrics() }),
    contentType: registry.contentType,
    metrics,
    registry,
    refresh: countLive,
  };
};
