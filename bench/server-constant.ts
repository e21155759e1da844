/**
 * The same HTTP stack as the runs server's, which answers every GET with one constant body: what the stack alone can do.
 * `serveApi` binds it, so adapter and settings are the server's own. Runs as a process of its own.
 */
import { Hono } from 'hono';
import { serveApi } from '../api/index.ts';
import { reportUsage } from './usage.ts';

const body = process.env['BENCH_BODY'] ?? '{}';
const app = new Hono();
app.get('*', () => new Response(body, { headers: { 'content-type': 'application/json' } }));
const served = await serveApi(
  { fetch: (request) => app.fetch(request), open: false, shutdown: () => undefined },
  { fastGlobals: true },
);
reportUsage();
process.on('disconnect', () => void served.close());
process.send?.({ ready: served.url });
