/**
 * The same HTTP stack as the runs server's, which answers every GET with one constant body: what the stack alone can do.
 * `serveApi` binds it, so adapter and settings are the server's own. Runs as a process of its own.
 */
import type { serveApi as ServeApi } from '../api/index.ts';
import { reportUsage } from './usage.ts';

// Of the build that the server under test runs from.
const { serveApi } = (await import(process.env['BENCH_API'] ?? '')) as { serveApi: typeof ServeApi };

const body = process.env['BENCH_BODY'] ?? '{}';
const served = await serveApi(
  {
    fetch: () => new Response(body, { headers: { 'content-type': 'application/json' } }),
    open: false,
    shutdown: () => undefined,
  },
  { fastGlobals: true },
);
reportUsage();
process.on('disconnect', () => void served.close());
process.send?.({ ready: served.url });
