/**
 * Serves an API on a socket: bind, serve, shut down.
 *
 * Rules: a server without keys binds loopback only and accepts only loopback host names (otherwise a web page could
 * reach it through a host name of its own). Shutdown: streams are notified, requests finish, then sockets close.
 * Imports the Node adapter. Imported by the app and the scripted server.
 */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { apiErrors, RunsError } from '../protocol/errors.ts';
import { mintId } from '../protocol/wire/ids.ts';
import { quote } from '../protocol/rules/validation.ts';
import type { Api } from './app.ts';
import type { ApiEnv } from './serve-route.ts';
import { errorResponse } from './errors.ts';

export interface ServeOptions {
  /** Default `127.0.0.1`. */
  host?: string;
  /** Default 0: any free one. */
  port?: number;
  /** Milliseconds that requests in flight get when the server closes. Default 10 000. */
  drainMs?: number;
  /** Milliseconds after which an idle connection is closed. Default 90 000. */
  idleMs?: number;
  /** Milliseconds that the head of a request may take, and the whole request. Checked every third of the first. */
  slowMs?: { head: number; request: number };
}

export interface ServedApi {
  /** Ends in `/v1`: what clients take as base URL. */
  url: string;
  host: string;
  port: number;
  close(): Promise<void>;
}

const IDLE_MS = 90_000;
const SLOW_MS = { head: 15_000, request: 60_000 };

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i;
export const isLoopback = (host: string): boolean => LOOPBACK.test(host);

const hostName = (header: string | null): string => (header ?? '').replace(/:\d+$/, '');

const listen = (server: Server, port: number, host: string): Promise<AddressInfo> =>
  new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void =>
      reject(
        new RunsError(
          'config',
          error.code === 'EADDRINUSE'
            ? `Port ${port} on ${host} is in use. Choose another one, or 0 for any that is free.`
            : `Can't listen on ${host}:${port}: ${error.message}`,
          { cause: error },
        ),
      );
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error('The server has no address.'));
      else resolve(address);
    });
  });

export const serveApi = async (
  api: Pick<Api, 'fetch' | 'open' | 'shutdown'>,
  options: ServeOptions = {},
): Promise<ServedApi> => {
  const host = options.host ?? '127.0.0.1';
  if (api.open && !isLoopback(host))
    throw new RunsError(
      'config',
      `Without API keys the server listens on this machine only; got host ${quote(host)}. Set RUNS_API_KEYS, or use host 127.0.0.1.`,
    );
  const slow = options.slowMs ?? SLOW_MS;
  const server = createAdaptorServer({
    fetch: (request: Request, env: unknown) => {
      if (api.open && !isLoopback(hostName(request.headers.get('host'))))
        return errorResponse(
          apiErrors.forbidden(
            'This server has no API keys and answers to this machine only: use http://127.0.0.1.',
          ),
          mintId('req'),
        );
      return api.fetch(request, env as ApiEnv);
    },
    // The adapter's own Request and Response would save 0.2 ms of CPU a request, and a run has three.
    overrideGlobalObjects: false,
    serverOptions: {
      requestTimeout: slow.request,
      headersTimeout: slow.head,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: slow.head / 3,
    },
  }) as Server;
  // Time limit for a reader that accepts no data; streams report it earlier (`stallMs`).
  server.setTimeout(options.idleMs ?? IDLE_MS);
  const { port } = await listen(server, options.port ?? 0, host);
  const shownHost = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;

  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    api.shutdown();
    // Connections that become idle during the shutdown would hold `close` for their keep-alive time.
    const sweep = setInterval(() => server.closeIdleConnections(), 20);
    const force = setTimeout(() => server.closeAllConnections(), options.drainMs ?? 10_000);
    try {
      server.closeIdleConnections();
      await closed;
    } finally {
      clearInterval(sweep);
      clearTimeout(force);
    }
  };
  let closing: Promise<void> | null = null;
  return {
    url: `http://${shownHost}:${port}/v1`,
    host,
    port,
    close: () => (closing ??= close()),
  };
};
