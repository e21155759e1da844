/**
 * The HTTP API over a `RunsService`: Hono finds the route or page of a request, and `RouteServer` serves it.
 *
 * Rule: it knows no implementation. A method or path without a route gets an error with a request id, and is logged.
 * Imports protocol and the rest of `api/`.
 */
import { Hono } from 'hono';
import type { ApiError } from '../protocol/errors.ts';
import { openAuth, type Authenticator } from './auth.ts';
import { corsNeedsKeys, createBrowserGuard } from './browser.ts';
import { requestIds } from './caller.ts';
import { errorResponse, toApiError } from './errors.ts';
import { CONSOLE_ROUTES } from './console/console-routes.ts';
import { createConsoleServer } from './console/console-server.ts';
import type { ConsoleOptions } from './console/types.ts';
import { createPages } from './pages.ts';
import { canonicalPath, noSuchPath } from './paths.ts';
import type { Route } from './route.ts';
import { approvalRoutes } from './routes/approvals.ts';
import { assistantRoutes } from './routes/assistants.ts';
import { callRoutes } from './routes/calls.ts';
import { modelRoutes } from './routes/models.ts';
import { runRecordRoutes } from './routes/run-records.ts';
import { runRoutes } from './routes/runs.ts';
import { threadRoutes } from './routes/threads.ts';
import { toolRoutes } from './routes/tools.ts';
import { usageRoutes } from './routes/usage.ts';
import { webhookRoutes } from './routes/webhooks.ts';
import { byKey } from './sender.ts';
import { peerOf, RouteServer, type ApiEnv, type RouteOptions } from './serve-route.ts';
import { ShutdownNotifier } from './sse.ts';
import type { TraceRequest } from './trace.ts';

export interface ApiOptions extends RouteOptions {
  /** Default: no keys, tenant `default`; `serveApi` then binds loopback only. */
  auth?: Authenticator;
  /** Text of `GET /metrics` (Prometheus). Default: no such page. */
  metrics?: () => Promise<{ contentType: string; body: string }>;
  /** Origins of web pages that may use the API. Default none. Requires keys: otherwise throws `RunsError` `config`. */
  corsOrigins?: readonly string[];
  /** The console: its files, its sessions, and their cookies at `/v1`. Default: none of them. */
  console?: ConsoleOptions | null;
  /** Version in the OpenAPI document. */
  version?: string;
  /** Around each request of a route. Default: no traces. */
  trace?: TraceRequest;
}

export interface Api {
  readonly fetch: (request: Request, env?: ApiEnv) => Response | Promise<Response>;
  /** No key is required: only this machine may reach the server. */
  readonly open: boolean;
  /** Notifies open streams of the shutdown and ends them; other requests still finish. */
  readonly shutdown: () => void;
}

/** The first match wins: `/v1/threads/runs` stands before `/v1/threads/{thread_id}`. */
export const ROUTES: readonly Route[] = [
  ...assistantRoutes,
  ...toolRoutes,
  ...modelRoutes,
  ...approvalRoutes,
  ...runRecordRoutes,
  ...runRoutes,
  ...callRoutes,
  ...usageRoutes,
  ...webhookRoutes,
  ...threadRoutes,
];

export const createApi = (options: ApiOptions): Api => {
  const { engine, onRequest, auth = openAuth(), corsOrigins: origins = [] } = options;
  if (auth.open && origins.length > 0) throw corsNeedsKeys();
  const closing = new ShutdownNotifier();
  const nextRequestId = requestIds();
  const console =
    options.console == null ? null : createConsoleServer(options.console, { auth, nextRequestId, onRequest });
  const server = new RouteServer(options, auth, closing, console?.identify ?? byKey(auth));
  const pages = createPages({
    engine,
    auth,
    routes: console === null ? ROUTES : [...ROUTES, ...CONSOLE_ROUTES],
    version: options.version ?? '0',
    isClosing: () => closing.begun,
    metrics: options.metrics,
  });

  /** Rejects methods and paths without a route or page. */
  const refuse = (method: string, error: ApiError): Response => {
    const requestId = nextRequestId();
    onRequest?.({
      method,
      route: null,
      kind: null,
      status: error.status,
      ms: 0,
      requestId,
      tenant: null,
      stream: false,
      held: false,
      error: null,
    });
    return errorResponse(error, requestId);
  };

  const app = new Hono<{ Bindings: ApiEnv }>({
    // A request target has no fragment: with one, no route matches.
    getPath: ({ url }) => {
      const { pathname, hash } = new URL(url);
      return canonicalPath(`${pathname}${hash}`);
    },
  });
  const { trace } = options;
  for (const route of ROUTES)
    app.on(route.method, route.path.replaceAll(/\{(\w+)\}/g, ':$1'), (c) => {
      const { raw } = c.req;
      const work = () => server.serve(route, raw, c.req.param(), c.env, nextRequestId());
      const traced = { method: raw.method, route: route.path, headers: raw.headers };
      return trace === undefined ? work() : trace(traced, work);
    });
  for (const [path, page] of Object.entries(pages)) app.get(path, (c) => page(c.req.raw));
  const isKnownPath = (path: string): boolean =>
    ['GET', 'POST', 'DELETE'].some((method) => app.router.match(method, path)[0].length > 0);
  app.notFound(({ req: { method, url } }) =>
    refuse(method, noSuchPath(method, new URL(url).pathname, isKnownPath)),
  );
  app.onError((error) => {
    const requestId = nextRequestId();
    return errorResponse(toApiError(error, requestId), requestId);
  });

  const guard = createBrowserGuard(
    { allowed: origins, publicUrl: options.console?.publicUrl ?? null, hasPages: console !== null },
    ({ method }, error) => refuse(method, error),
  );
  return {
    fetch: (request, env) =>
      guard(request, () => console?.respond(request, peerOf(env)) ?? app.fetch(request, env)),
    open: auth.open,
    shutdown: () => {
      closing.begin();
      console?.close();
    },
  };
};
