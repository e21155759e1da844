/**
 * The HTTP API over a `RunsService`: authenticate, limit and check the request; call the service once; answer JSON or
 * events.
 *
 * Rule: it knows no implementation and holds no state of runs. Every response carries its request id. An error that is
 * not an `ApiError` becomes a 500 without internal details. Hono finds the route. Headers are plain records, which the
 * adapter sends unchanged.
 * Imports protocol and the rest of `api/`.
 */
import type { Caller, RunsService } from '../protocol/ports/runs-service.ts';
import { Hono } from 'hono';
import { BODY_BYTES, TENANT_DEFAULTS } from '../protocol/limits.ts';
import type { Run } from '../protocol/wire/objects.ts';
import type { ApiError } from '../protocol/errors.ts';
import { createAnswerBudget } from './answer-budget.ts';
import { corsNeedsKeys, createBrowserGuard } from './browser.ts';
import { openAuth, requireRole, type Authenticator } from './auth.ts';
import { createBodyBudget } from './body-budget.ts';
import { DEFAULT_BODY_LIMITS, readJson } from './body.ts';
import type { BodyLimits } from './body.ts';
import { callerOf, tenantFor, requestIds } from './caller.ts';
import type { Connection } from './connection.ts';
import { errorResponse, toApiError } from './errors.ts';
import { AFTER_HELD_POLL_MS, createHeldPolls } from './held-polls.ts';
import type { HeldPollOptions, WaitForRun } from './held-polls.ts';
import type { RateLimiter } from './rate-limiter.ts';
import type { RequestLogEntry } from './request-log.ts';
import { asksForStream, type Reply, type Route } from './route.ts';
import { canonicalPath, noSuchPath } from './paths.ts';
import type { ListModels } from './models.ts';
import { createPages } from './pages.ts';
import { approvalRoutes } from './routes/approvals.ts';
import { assistantRoutes } from './routes/assistants.ts';
import { callRoutes } from './routes/calls.ts';
import { modelRoutes } from './routes/models.ts';
import { runRoutes } from './routes/runs.ts';
import { threadRoutes } from './routes/threads.ts';
import { toolRoutes } from './routes/tools.ts';
import { usageRoutes } from './routes/usage.ts';
import { ShutdownNotifier, eventStream } from './sse.ts';
import { createStreamBudget, type StreamShare } from './stream-budget.ts';
import { parseId, parseQuery, rejectUnsupported } from './validate.ts';

export interface ApiOptions {
  engine: RunsService;
  /** What `GET /v1/models` lists. Default: none. */
  models?: ListModels;
  /** Default: no keys, tenant `default`; `serveApi` then binds loopback only. */
  auth?: Authenticator;
  /** Default: none. */
  limiter?: RateLimiter;
  body?: Partial<BodyLimits>;
  /** Event streams that one tenant may have open. 0 = no limit. Default 500. */
  maxStreams?: number;
  /** Bytes that all request bodies may hold at a time. Default 64 MiB. */
  bodiesBytes?: number;
  /** Text of `GET /metrics` (Prometheus). Default: no such page. */
  metrics?: () => Promise<{ contentType: string; body: string }>;
  onRequest?: (seen: RequestLogEntry) => void;
  /** Milliseconds between comments on a silent stream. Default 15 000. */
  keepAliveMs?: number;
  /** Milliseconds after which a reader that accepts no data is dropped. Default 60 000. */
  stallMs?: number;
  /** Origins of web pages that may use the API. Default none. Requires keys: otherwise throws `RunsError` `config`. */
  corsOrigins?: readonly string[];
  /** Long polls of the official helpers. */
  polls?: HeldPollOptions;
  /** Version in the OpenAPI document. */
  version?: string;
}

/** What the Node adapter passes along with a request; absent in process. */
export interface ApiEnv {
  outgoing?: Connection;
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
  ...runRoutes,
  ...callRoutes,
  ...usageRoutes,
  ...threadRoutes,
];

const API_VERSION = '2020-10-01';

const isHeld = (reply: Reply): boolean => 'json' in reply && reply.held === true;

export const createApi = (options: ApiOptions): Api => {
  const { engine, limiter, onRequest, models = () => Promise.resolve([]) } = options;
  const auth = options.auth ?? openAuth();
  const bodyLimits: BodyLimits = { ...DEFAULT_BODY_LIMITS, ...options.body };
  const keepAliveMs = options.keepAliveMs ?? 15_000;
  const stallMs = options.stallMs ?? 60_000;
  const origins = options.corsOrigins ?? [];
  if (auth.open && origins.length > 0) throw corsNeedsKeys();
  const closing = new ShutdownNotifier();
  const bodies = createBodyBudget(options.bodiesBytes ?? BODY_BYTES.inFlight);
  const polls = createHeldPolls(closing, options.polls);
  const streams = createStreamBudget({
    streams: options.maxStreams ?? TENANT_DEFAULTS.streams,
    unreadBytes: TENANT_DEFAULTS.unreadBytes,
  });
  const countAnswer = createAnswerBudget(TENANT_DEFAULTS.unreadAnswers);
  const nextRequestId = requestIds();

  const headersOf = (caller: Caller, reply: Reply): Record<string, string> => ({
    'x-request-id': caller.requestId,
    'openai-version': API_VERSION,
    ...(reply.run === undefined
      ? {}
      : {
          'openai-poll-after-ms': String(isHeld(reply) ? AFTER_HELD_POLL_MS : engine.pollAfterMs(reply.run)),
        }),
  });

  const respond = (
    caller: Caller,
    reply: Reply,
    { method, headers: asked }: Request,
    env: ApiEnv | undefined,
    share: StreamShare | null,
  ): Response => {
    if ('json' in reply) {
      const text = JSON.stringify(reply.json);
      const isRead = method === 'GET';
      countAnswer({ tenant: caller.tenant, size: text.length, connection: env?.outgoing, isRead });
      return new Response(text, {
        headers: { 'content-type': 'application/json', ...headersOf(caller, reply) },
      });
    }
    const { thread, ...stream } = reply.stream;
    return eventStream(stream.subscribe, {
      until: stream.until,
      ended: stream.ended ?? false,
      requestId: caller.requestId,
      ...(thread === undefined ? {} : { thread }),
      headers: headersOf(caller, reply),
      userAgent: asked.get('user-agent'),
      keepAliveMs,
      stallMs,
      closing,
      drop: () => env?.outgoing?.destroy(),
      ...(share === null ? {} : { share }),
    });
  };

  const serve = async (
    route: Route,
    request: Request,
    params: Record<string, string>,
    env: ApiEnv | undefined,
  ): Promise<Response> => {
    const startedAt = performance.now();
    const requestId = nextRequestId();
    let tenant: string | null = null;
    let failure: unknown = null;
    let stream = false;
    let held = false;
    let share: StreamShare | null = null;
    let response: Response;
    try {
      const { headers } = request;
      const principal = auth.authenticate(headers);
      ({ tenant } = principal);
      limiter?.take(tenant, route.kind);
      requireRole(principal, route.roles, `${route.method} ${route.path}`);
      for (const name in params) if (name !== 'model') parseId(name, params[name]);
      const mark = request.url.indexOf('?');
      const query = mark < 0 ? {} : parseQuery(new URL(request.url), route.query);
      const owner = auth.open ? tenant : await tenantFor(principal, route, params, engine);
      const caller = callerOf(request, principal, owner, requestId);
      const body =
        request.method === 'POST'
          ? rejectUnsupported(
              await readJson(
                request,
                { ...bodyLimits, maxBytes: Math.min(route.bodyBytes, bodyLimits.maxBytes) },
                { of: bodies, tenant },
              ),
            )
          : undefined;
      const hold = (wait: WaitForRun): Promise<Run> | null => polls.hold(owner, env?.outgoing, wait);
      // Checked before the run starts: a client that is refused afterwards would not know its run.
      if (asksForStream(route, body)) share = streams.open(tenant, env?.outgoing);
      const reply = await route.run({ engine, models, caller, ids: params, query, headers, body, hold });
      stream = 'stream' in reply;
      if (!stream) share?.close();
      held = isHeld(reply);
      response = respond(caller, reply, request, env, share);
    } catch (error) {
      share?.close();
      const answer = toApiError(error, requestId);
      if (answer.status >= 500) failure = error;
      response = errorResponse(answer, requestId);
    }
    // Hono sends the answer of HEAD without the body, which would leave a stream open.
    if (request.method === 'HEAD') await response.body?.cancel();
    onRequest?.({
      method: request.method,
      route: route.path,
      kind: route.kind,
      status: response.status,
      ms: performance.now() - startedAt,
      requestId,
      tenant,
      stream,
      held,
      error: failure,
    });
    return response;
  };

  const pages = createPages({
    engine,
    auth,
    routes: ROUTES,
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
  for (const route of ROUTES)
    app.on(route.method, route.path.replaceAll(/\{(\w+)\}/g, ':$1'), (c) =>
      serve(route, c.req.raw, c.req.param(), c.env),
    );
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

  const guard = createBrowserGuard(origins, ({ method }, error) => refuse(method, error));
  return {
    fetch: (request, env) => guard(request, () => app.fetch(request, env)),
    open: auth.open,
    shutdown: () => closing.begin(),
  };
};
