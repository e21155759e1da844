/**
 * Proxy of Temporal's Web UI on this machine: it answers only its own page and local programs.
 *
 * Rule: the dev server's UI checks no `Host` and returns its CSRF cookie to every request. So the UI listens at an
 * address that is not printed, and this proxy at the printed one. Imported by `app/`.
 */
import { serve, type ServerType } from '@hono/node-server';
import { Hono } from 'hono';
import { proxy } from 'hono/proxy';
import { guardRefusal } from './loopback-guard.ts';

export interface UiProxy {
  /** `http://127.0.0.1:port`, without a slash at the end. */
  url: string;
  close(): Promise<void>;
}

/** Listens on `port` of the loopback interface and forwards to `target`, a base URL. Rejects when the port is in use. */
export const startUiProxy = async (target: string, port: number): Promise<UiProxy> => {
  const app = new Hono();
  app.all('*', async ({ req }) => {
    const refusal = guardRefusal(
      {
        method: req.method,
        host: req.header('host'),
        origin: req.header('origin'),
        fetchSite: req.header('sec-fetch-site'),
        fetchMode: req.header('sec-fetch-mode'),
      },
      port,
    );
    if (refusal !== null) return new Response(`${refusal.message}\n`, { status: refusal.status });
    const { pathname, search } = new URL(req.url);
    const answer = await proxy(`${target}${pathname}${search}`, {
      raw: req.raw,
      headers: { ...req.header(), host: new URL(target).host },
      redirect: 'manual',
    });
    // No page of another origin frames the UI to collect clicks.
    answer.headers.set('x-frame-options', 'SAMEORIGIN');
    return answer;
  });
  app.onError(() => new Response('The Temporal dev server does not answer.\n', { status: 502 }));
  const server = await listen(app, port);
  return { url: `http://127.0.0.1:${port}`, close: () => close(server) };
};

const listen = (app: Hono, port: number): Promise<ServerType> =>
  new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port }, () => resolve(server));
    server.once('error', reject);
  });

const close = (server: ServerType): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    if ('closeAllConnections' in server) server.closeAllConnections();
  });
