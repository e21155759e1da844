/**
 * The codec endpoint: decrypts payloads for Temporal's Web UI and command line, and encrypts what is typed there.
 *
 * Rule: no answer is cached, and none tells a stranger more than why the request was refused. Without keys it serves one
 * person on this machine, by a loopback name (`serveApi` sees to that).
 * Imported by `index.ts` and tests.
 */
import { Hono } from 'hono';
import { ApiError } from '../../protocol/errors.ts';
import { addConversion } from './conversion.ts';
import { memorySessions } from '../../api/sessions/memory-sessions.ts';
import { createSessions } from '../../api/sessions/sessions.ts';
import type { SessionLimits } from '../../api/sessions/session-rules.ts';
import { addSignIn } from './sign-in.ts';
import type { CodecServerOptions } from './types.ts';

const HOUR_MS = 3_600_000;
const LIMITS: SessionLimits = { idleMs: 12 * HOUR_MS, lifetimeMs: 24 * HOUR_MS, most: 1_000 };

export const createCodecApp = (options: CodecServerOptions): Hono => {
  const sessions = createSessions(memorySessions(), LIMITS, options.now);
  const app = new Hono();
  app.use('*', async (c, next) => {
    await next();
    c.header('cache-control', 'no-store');
    c.header('x-content-type-options', 'nosniff');
  });
  addConversion(app, options, sessions);
  addSignIn(app, options, sessions);
  app.get('/healthz', (c) => c.text('ok'));
  app.notFound((c) =>
    c.json({ message: 'The codec endpoint has /encode, /decode and a sign-in page at /.' }, 404),
  );
  app.onError((error, c) => {
    if (error instanceof ApiError)
      return c.json({ message: error.message }, error.status === 403 ? 403 : 401);
    options.log.error({ error }, 'codec request failed');
    return c.json({ message: 'The codec endpoint failed. Its log has the cause.' }, 500);
  });
  return app;
};
