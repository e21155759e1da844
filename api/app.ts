/**
 * The HTTP face: a Hono app over a `RunsEngine`. In: authenticate, limit, check. Then one engine call. Out: JSON or events.
 *
 * Rule: it knows no engine and holds no state of runs. Every answer carries its request id; what is not an `ApiError`
 * leaves as a 500 that tells nothing of the inside. Imports protocol, Hono, and the rest of `api/`.
 */
import { setMaxListeners } from 'node:events';
import { Hono } from 'hono';
import type { Caller, RunsEngine } from '../protocol/engine.ts';
import { ApiError, apiErrors } from '../protocol/errors.ts';
import { mintId } from '../protocol/ids.ts';
import { openAuth } from './auth.ts';
import type { Authenticator, Principal } from './auth.ts';
import { DEFAULT_BODY_LIMITS, readJson } from './body.ts';
import type { BodyLimits } from './body.ts';
import { errorResponse, toApiError } from './errors.ts';
import type { RateLimiter, RequestKind } from './limits.ts';
import { openApiDocument } from './openapi.ts';
import type { Reply, Route } from './route.ts';
import { assistantRoutes } from './routes/assistants.ts';
import { runRoutes } from './routes/runs.ts';
import { threadRoutes } from './routes/threads.ts';
import { eventStream } from './sse.ts';
import { checkedId, checkedQuery, refuseUnsupported } from './validate.ts';

/** One finished request, for metrics and logs. Holds no body, no key. */
export interface RequestSeen {
  method: string;
  /** The route's pattern, never the ids in it; null = none matched. */
  route: string | null;
  kind: RequestKind | null;
  status: number;
  /** Until the answer's head was ready; streams go on after that. */
  ms: number;
  requestId: string;
  tenant: string | null;
  stream: boolean;
  /** On a 5xx: what was thrown. For the log, never for the client. */
  error: unknown;
}

export interface ApiOptions {
  engine: RunsEngine;
  /** Default: open to all, tenant `default`; `serveApi` then binds loopback only. */
  auth?: Authenticator;
  /** Default: none. */
  limiter?: RateLimiter;
  body?: Partial<BodyLimits>;
  /** Text of `GET /metrics` (Prometheus). Default: no such page. */
  metrics?: () => Promise<{ contentType: string; body: string }>;
  onRequest?: (seen: RequestSeen) => void;
  /** Milliseconds between comments on a silent stream. Default 15 000. */
  keepAliveMs?: number;
  /** Milliseconds after which a reader that takes nothing is dropped. Default 60 000. */
  stallMs?: number;
  /** Version in the OpenAPI document. */
  version?: string;
}

/** What the Node adapter hands along with a request; absent in process. */
export interface ApiEnv {
  outgoing?: { destroy(): unknown };
}

export interface Api {
  readonly fetch: (request: Request, env?: ApiEnv) => Response | Promise<Response>;
  /** Nobody needs a key: only this machine may reach it. */
  readonly open: boolean;
  /** Tells open streams that the server goes down and ends them; other requests still finish. */
  readonly shutdown: () => void;
}

/** Order matters: `/v1/threads/runs` before `/v1/threads/{thread_id}`. */
export const ROUTES: readonly Route[] = [...assistantRoutes, ...runRoutes, ...threadRoutes];

const API_VERSION = '2020-10-01';
const honoPath = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1');

const callerOf = (headers: Headers, principal: Principal, requestId: string): Caller => ({
  ...principal,
  requestId,
  isRetry: Number(headers.get('x-stainless-retry-count') ?? 0) > 0,
  idempotencyKey: headers.get('idempotency-key'),
});

const plain = (status: number, value: unknown): Response =>
  new Response(JSON.stringify(value), {
    status,
    headers: { 'content-type': 'application/json', 'x-request-id': mintId('req') },
  });

const matches = (pattern: string, path: string): boolean =>
  new RegExp(`^${pattern.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path);

const isKnownPath = (path: string): boolean => ROUTES.some((route) => matches(route.path, path));

/** A path that would be right under `/v1` says so: a base URL without it is the commonest slip. */
const unknownPath = (method: string, path: string): ApiError =>
  !path.startsWith('/v1/') && isKnownPath(`/v1${path}`)
    ? new ApiError(
        404,
        `Unknown request URL: ${method} ${path}. Paths begin with /v1 here: set the base URL to end in /v1.`,
        { code: 'unknown_url' },
      )
    : apiErrors.noRoute(method, path);

const READINESS_MS = 3000;

/** A probe has to be answered, whatever it is that does not answer behind it. */
const readiness = async (engine: RunsEngine): Promise<string[]> => {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<string[]>((resolve) => {
    timer = setTimeout(() => resolve([`readiness is not known after ${READINESS_MS} ms`]), READINESS_MS);
  });
  const checked = engine
    .readiness()
    .catch((error: unknown) => [
      `readiness could not be checked: ${error instanceof Error ? error.message : 'unknown error'}`,
    ]);
  try {
    return await Promise.race([checked, late]);
  } finally {
    clearTimeout(timer);
  }
};

export const createApi = (options: ApiOptions): Api => {
  const { engine, limiter, metrics, onRequest } = options;
  const auth = options.auth ?? openAuth();
  const bodyLimits: BodyLimits = { ...DEFAULT_BODY_LIMITS, ...options.body };
  const keepAliveMs = options.keepAliveMs ?? 15_000;
  const stallMs = options.stallMs ?? 60_000;
  const version = options.version ?? '0';
  const going = new AbortController();
  // Every open stream listens; that is no leak.
  setMaxListeners(0, going.signal);
  const app = new Hono<{ Bindings: ApiEnv }>();

  const headersOf = (caller: Caller, reply: Reply): Record<string, string> => ({
    'x-request-id': caller.requestId,
    'openai-version': API_VERSION,
    ...(reply.run === undefined ? {} : { 'openai-poll-after-ms': String(engine.pollAfterMs(reply.run)) }),
  });

  const respond = (caller: Caller, reply: Reply, env: ApiEnv | undefined): Response => {
    const headers = headersOf(caller, reply);
    if ('json' in reply)
      return new Response(JSON.stringify(reply.json), {
        status: 200,
        headers: { 'content-type': 'application/json', ...headers },
      });
    const { thread, ...stream } = reply.stream;
    return eventStream(stream.subscribe, {
      until: stream.until,
      ended: stream.ended ?? false,
      requestId: caller.requestId,
      ...(thread === undefined ? {} : { thread }),
      headers,
      keepAliveMs,
      stallMs,
      shutdown: going.signal,
      drop: () => env?.outgoing?.destroy(),
    });
  };

  const serve = async (
    route: Route,
    request: Request,
    params: Record<string, string>,
    env: ApiEnv | undefined,
  ): Promise<Response> => {
    const startedAt = performance.now();
    const requestId = mintId('req');
    let tenant: string | null = null;
    let failure: unknown = null;
    let response: Response;
    try {
      const { headers } = request;
      const principal = auth.authenticate(headers);
      ({ tenant } = principal);
      limiter?.take(tenant, route.kind);
      const ids: Record<string, string> = {};
      for (const [name, value] of Object.entries(params)) ids[name] = checkedId(name, value);
      const mark = request.url.indexOf('?');
      const query = mark < 0 ? {} : checkedQuery(new URL(request.url), route.query);
      const caller = callerOf(headers, principal, requestId);
      const body =
        request.method === 'POST' ? refuseUnsupported(await readJson(request, bodyLimits)) : undefined;
      const reply = await route.run({ engine, caller, ids, query, headers, body });
      response = respond(caller, reply, env);
    } catch (error) {
      const answer = toApiError(error, requestId);
      if (answer.status >= 500) failure = error;
      response = errorResponse(answer, requestId);
    }
    onRequest?.({
      method: request.method,
      route: route.path,
      kind: route.kind,
      status: response.status,
      ms: performance.now() - startedAt,
      requestId,
      tenant,
      stream: response.headers.get('content-type')?.startsWith('text/event-stream') === true,
      error: failure,
    });
    return response;
  };

  for (const route of ROUTES)
    app.on(route.method, honoPath(route.path), (c) => serve(route, c.req.raw, c.req.param(), c.env));

  app.get('/healthz', () => plain(200, { status: 'ok' }));
  app.get('/readyz', async () => {
    const problems = going.signal.aborted ? ['the server is shutting down'] : await readiness(engine);
    return problems.length === 0
      ? plain(200, { status: 'ready' })
      : plain(503, { status: 'not ready', problems });
  });
  app.get('/openapi.json', () => plain(200, openApiDocument(ROUTES, version)));
  if (metrics !== undefined)
    app.get('/metrics', async () => {
      const page = await metrics();
      return new Response(page.body, { headers: { 'content-type': page.contentType } });
    });

  app.notFound((c) => {
    const requestId = mintId('req');
    const error = unknownPath(c.req.method, new URL(c.req.url).pathname);
    onRequest?.({
      method: c.req.method,
      route: null,
      kind: null,
      status: error.status,
      ms: 0,
      requestId,
      tenant: null,
      stream: false,
      error: null,
    });
    return errorResponse(error, requestId);
  });
  app.onError((error) => {
    const requestId = mintId('req');
    return errorResponse(toApiError(error, requestId), requestId);
  });

  return {
    fetch: (request, env) => app.fetch(request, env ?? {}),
    open: auth.open,
    shutdown: () => going.abort(),
  };
};
