/**
 * The HTTP stack of the runs server with one constant body: the limit of the stack alone. Runs as a separate process,
 * in one of two kinds. `adapter`: the socket's end only, which answers every request at once. `face`: all layers before
 * the service (routes, keys, checks, headers, metrics), over a service that answers every GET with the same run.
 */
import type * as Api from '../api/index.ts';
import type { apiMetrics as ApiMetrics } from '../app/api-metrics.ts';
import type { RunsService } from '../protocol/ports/runs-service.ts';
import type { Run } from '../protocol/wire/objects.ts';
import { reportUsage } from './usage.ts';

// Of the build that the server under test runs from.
const build = process.env['BENCH_BUILD'] ?? '';
const { createApi, keyAuth, parseApiKeys, serveApi } = (await import(`${build}/api/index.js`)) as typeof Api;
const { apiMetrics } = (await import(`${build}/app/api-metrics.js`)) as {
  apiMetrics: typeof ApiMetrics;
};

const body = process.env['BENCH_BODY'] ?? '{}';

const face = (): ReturnType<typeof createApi> => {
  const run = JSON.parse(body) as Run;
  const seen = apiMetrics({ countLiveRuns: async () => ({}) });
  // The rest of an engine is never asked for.
  const engine = { getRun: async () => run, pollAfterMs: () => 2_000 } as unknown as RunsService;
  return createApi({
    engine,
    auth: keyAuth(parseApiKeys(process.env['BENCH_KEYS'] ?? '')),
    metrics: seen.page,
    onRequest: (request) => seen.request(request),
  });
};

const adapter = {
  fetch: () => new Response(body, { headers: { 'content-type': 'application/json' } }),
  open: false,
  shutdown: () => undefined,
};

const served = await serveApi(process.env['BENCH_KIND'] === 'face' ? face() : adapter);
reportUsage();
process.on('disconnect', () => void served.close());
process.send?.({ ready: served.url });
