/**
 * Serves one request of a route: authenticate, limit and check it; call the service once; answer JSON or events.
 *
 * Rule: it holds no state of runs. Every response carries its request id, and an error that is not an `ApiError` becomes a 500
 * without internal details. Headers are plain records, which the adapter sends unchanged.
 * Imports protocol and the rest of `api/`. Only `app.ts` imports it.
 */
import type { Caller, RunsService } from '../protocol/ports/runs-service.ts';
import { BODY_BYTES, TENANT_DEFAULTS } from '../protocol/limits.ts';
import { createAnswerBudget } from './answer-budget.ts';
import { requireRole, type Authenticator } from './auth.ts';
import { createBodyBudget } from './body-budget.ts';
import { DEFAULT_BODY_LIMITS, readJson } from './body.ts';
import type { BodyLimits } from './body.ts';
import { callerOf, tenantFor } from './caller.ts';
import type { Connection } from './connection.ts';
import { errorResponse, toApiError } from './errors.ts';
import { AFTER_HELD_POLL_MS, createHeldPolls } from './held-polls.ts';
import type { HeldPollOptions } from './held-polls.ts';
import type { RateLimiter } from './rate-limiter.ts';
import type { RequestLogEntry } from './request-log.ts';
import { asksForStream, type Reply, type Route } from './route.ts';
import type { ListModels } from './models.ts';
import type { Identify, Sender } from './sender.ts';
import { eventStream, type ShutdownNotifier } from './sse.ts';
import { createStreamBudget, type StreamShare } from './stream-budget.ts';
import { parseId, parseQuery, rejectUnsupported } from './validate.ts';

/** What the Node adapter passes along with a request; absent in process. */
export interface ApiEnv {
  outgoing?: Connection;
  incoming?: { socket?: { remoteAddress?: string | undefined } };
}

/** Address of the connection's other end; null = not known. */
export const peerOf = (env: ApiEnv | undefined): string | null =>
  env?.incoming?.socket?.remoteAddress ?? null;

export interface RouteOptions {
  engine: RunsService;
  /** What `GET /v1/models` lists. Default: none. */
  models?: ListModels;
  /** Default: none. */
  limiter?: RateLimiter;
  body?: Partial<BodyLimits>;
  /** Event streams that one tenant may have open. 0 = no limit. Default 500. */
  maxStreams?: number;
  /** Bytes that all request bodies may hold at a time. Default 64 MiB. */
  bodiesBytes?: number;
  onRequest?: (seen: RequestLogEntry) => void;
  /** Milliseconds between comments on a silent stream. Default 15 000. */
  keepAliveMs?: number;
  /** Milliseconds after which a reader that accepts no data is dropped. Default 60 000. */
  stallMs?: number;
  /** Long polls of the official helpers. */
  polls?: HeldPollOptions;
}

const API_VERSION = '2020-10-01';

const isHeld = (reply: Reply): boolean => 'json' in reply && reply.held === true;

/** A request, and what the log tells of it afterwards. */
interface Exchange {
  readonly route: Route;
  readonly request: Request;
  readonly params: Record<string, string>;
  readonly connection: Connection | undefined;
  readonly peer: string | null;
  readonly requestId: string;
  tenant: string | null;
  stream: boolean;
  held: boolean;
  share: StreamShare | null;
}

export class RouteServer {
  readonly #options: RouteOptions;
  readonly #auth: Authenticator;
  readonly #identify: Identify;
  readonly #closing: ShutdownNotifier;
  readonly #models: ListModels;
  readonly #bodyLimits: BodyLimits;
  readonly #bodies;
  readonly #polls;
  readonly #streams;
  readonly #countAnswer = createAnswerBudget(TENANT_DEFAULTS.unreadAnswers);

  constructor(options: RouteOptions, auth: Authenticator, closing: ShutdownNotifier, identify: Identify) {
    this.#options = options;
    this.#auth = auth;
    this.#identify = identify;
    this.#closing = closing;
    this.#models = options.models ?? (() => Promise.resolve([]));
    this.#bodyLimits = { ...DEFAULT_BODY_LIMITS, ...options.body };
    this.#bodies = createBodyBudget(options.bodiesBytes ?? BODY_BYTES.inFlight);
    this.#polls = createHeldPolls(closing, options.polls);
    this.#streams = createStreamBudget({
      streams: options.maxStreams ?? TENANT_DEFAULTS.streams,
      unreadBytes: TENANT_DEFAULTS.unreadBytes,
    });
  }

  async serve(
    route: Route,
    request: Request,
    params: Record<string, string>,
    env: ApiEnv | undefined,
    requestId: string,
  ): Promise<Response> {
    const startedAt = performance.now();
    const connection = env?.outgoing;
    const seen = { tenant: null, stream: false, held: false, share: null };
    const peer = peerOf(env);
    const exchange: Exchange = { route, request, params, connection, peer, requestId, ...seen };
    let error: unknown = null;
    let response: Response;
    try {
      response = await this.#answer(exchange);
    } catch (thrown) {
      exchange.share?.close();
      const answer = toApiError(thrown, requestId);
      if (answer.status >= 500) error = thrown;
      response = errorResponse(answer, requestId);
    }
    // Hono sends the answer of HEAD without the body, which would leave a stream open.
    if (request.method === 'HEAD') await response.body?.cancel();
    const { tenant, stream, held } = exchange;
    this.#options.onRequest?.({
      method: request.method,
      route: route.path,
      kind: route.kind,
      status: response.status,
      ms: performance.now() - startedAt,
      requestId,
      tenant,
      stream,
      held,
      error,
    });
    return response;
  }

  async #answer(exchange: Exchange): Promise<Response> {
    const { route, request, params, connection, peer, requestId } = exchange;
    const { engine, limiter } = this.#options;
    const { headers } = request;
    const { principal, onEnd } = await this.#identify(request, peer);
    const { tenant } = principal;
    exchange.tenant = tenant;
    limiter?.take(tenant, route.kind);
    requireRole(principal, route.roles, `${route.method} ${route.path}`);
    for (const name in params) if (name !== 'model') parseId(name, params[name]);
    const query = request.url.includes('?') ? parseQuery(new URL(request.url), route.query) : {};
    const owner = this.#auth.open ? tenant : await tenantFor(principal, route, params, engine);
    const caller = callerOf(request, principal, owner, requestId);
    const body = await this.#readBody(route, request, tenant);
    // Checked before the run starts: a client that is refused afterwards would not know its run.
    if (asksForStream(route, body)) exchange.share = this.#streams.open(tenant, connection);
    const reply = await route.run({
      engine,
      models: this.#models,
      caller,
      ids: params,
      query,
      headers,
      body,
      hold: (wait) => this.#polls.hold(owner, connection, wait),
    });
    exchange.stream = 'stream' in reply;
    if (!exchange.stream) exchange.share?.close();
    exchange.held = isHeld(reply);
    return this.#respond(caller, reply, exchange, onEnd);
  }

  async #readBody(route: Route, request: Request, tenant: string): Promise<unknown> {
    if (request.method !== 'POST') return undefined;
    const maxBytes = Math.min(route.bodyBytes, this.#bodyLimits.maxBytes);
    const limits = { ...this.#bodyLimits, maxBytes };
    return rejectUnsupported(await readJson(request, limits, { of: this.#bodies, tenant }));
  }

  #respond(
    caller: Caller,
    reply: Reply,
    { request, connection, share }: Exchange,
    onEnd: Sender['onEnd'],
  ): Response {
    const headers = this.#headers(caller, reply);
    if ('json' in reply) {
      const text = JSON.stringify(reply.json);
      const isRead = request.method === 'GET';
      this.#countAnswer({ tenant: caller.tenant, size: text.length, connection, isRead });
      return new Response(text, { headers: { 'content-type': 'application/json', ...headers } });
    }
    const { thread, ...stream } = reply.stream;
    return eventStream(stream.subscribe, {
      until: stream.until,
      ended: stream.ended ?? false,
      requestId: caller.requestId,
      ...(thread === undefined ? {} : { thread }),
      headers,
      userAgent: request.headers.get('user-agent'),
      keepAliveMs: this.#options.keepAliveMs ?? 15_000,
      stallMs: this.#options.stallMs ?? 60_000,
      closing: this.#closing,
      drop: () => connection?.destroy(),
      ...(share === null ? {} : { share }),
      ...(onEnd === null ? {} : { onSenderEnd: onEnd }),
    });
  }

  #headers({ requestId }: Caller, reply: Reply): Record<string, string> {
    const head = { 'x-request-id': requestId, 'openai-version': API_VERSION };
    if (reply.run === undefined) return head;
    const ms = isHeld(reply) ? AFTER_HELD_POLL_MS : this.#options.engine.pollAfterMs(reply.run);
    return { ...head, 'openai-poll-after-ms': String(ms) };
  }
}
