/**
 * Everything below `/console`: sessions, sign-in, and the files of the front end.
 *
 * Rule: files need no session, since they hold no data; whatever holds data is below `/v1`. Cookies and keys are in no log.
 * Imports the rest of `api/console/`. Imported by `app.ts`.
 */
import { ApiError } from '../../protocol/errors.ts';
import type { Authenticator } from '../auth.ts';
import { errorResponse, toApiError } from '../errors.ts';
import type { RequestLogEntry } from '../request-log.ts';
import type { Identify } from '../sender.ts';
import { createSessionStreams } from '../sessions/session-streams.ts';
import { SESSION_LIMITS } from '../sessions/session-rules.ts';
import { createSessions } from '../sessions/sessions.ts';
import { createSignInThrottle } from '../sessions/sign-in-throttle.ts';
import { cookieJar } from './cookies.ts';
import { createIdentities } from './identities.ts';
import { oidcRoutes } from './oidc-routes.ts';
import { bySession } from './session-guard.ts';
import { sessionRoutes, type ConsoleHandler, type SessionRoutesParts } from './session-routes.ts';
import { staticFiles } from './static-files.ts';
import type { ConsoleOptions } from './types.ts';

export interface ConsoleServer {
  identify: Identify;
  /** null = the path is none of the console's. */
  respond(request: Request, peer: string | null): Promise<Response> | null;
  close(): void;
}

export interface ConsoleSurroundings {
  auth: Authenticator;
  nextRequestId: () => string;
  onRequest: ((seen: RequestLogEntry) => void) | undefined;
}

const ROOT = '/console';
const KINDS = { GET: 'read', HEAD: 'read', DELETE: 'delete', POST: 'write' } as const;
const kindOf = (method: string): RequestLogEntry['kind'] =>
  method in KINDS ? KINDS[method as keyof typeof KINDS] : null;

const redirectTo = (location: string, status: 302 | 308): Response =>
  new Response(null, { status, headers: { location, 'cache-control': 'no-store' } });

const wantsPage = ({ method, headers }: Request): boolean =>
  (method === 'GET' || method === 'HEAD') && (headers.get('accept') ?? '').includes('text/html');

const noMethod = (method: string, path: string): ApiError =>
  new ApiError(405, `${method} ${path} is not supported.`, { code: 'method_not_allowed' });

const partsOf = (options: ConsoleOptions, auth: Authenticator): SessionRoutesParts => {
  const { store, publicUrl, limits = SESSION_LIMITS, now = Date.now } = options;
  return {
    auth,
    options,
    identities: createIdentities(options, auth),
    sessions: createSessions(store, limits, now),
    streams: createSessionStreams(store, limits, now),
    cookies: cookieJar(publicUrl),
    throttle: createSignInThrottle(now),
    ownOrigin: publicUrl === null ? null : new URL(publicUrl).origin,
  };
};

/** Handlers by path, then by method. */
const tableOf = (
  parts: SessionRoutesParts,
): Readonly<Record<string, Readonly<Record<string, ConsoleHandler>>>> => {
  const { read, signIn, signOut, signOutEverywhere } = sessionRoutes(parts);
  const { oidc, publicUrl } = parts.options;
  const ways = oidc === null || publicUrl === null ? null : oidcRoutes(parts, oidc, publicUrl);
  return {
    [`${ROOT}/session`]: { GET: read, POST: signIn, DELETE: signOut },
    [`${ROOT}/sessions`]: { DELETE: signOutEverywhere },
    ...(ways === null
      ? {}
      : {
          [`${ROOT}/oidc/login`]: { GET: ways.login },
          [`${ROOT}/oidc/callback`]: { GET: ways.callback },
        }),
  };
};

export const createConsoleServer = (
  options: ConsoleOptions,
  { auth, nextRequestId, onRequest }: ConsoleSurroundings,
): ConsoleServer => {
  const parts = partsOf(options, auth);
  const table = tableOf(parts);
  const files = staticFiles(options.folder);

  const file: ConsoleHandler = (request) => {
    const { pathname, search } = new URL(request.url);
    if (pathname === ROOT) return Promise.resolve(redirectTo(`${ROOT}/${search}`, 308));
    return files(request, pathname.slice(ROOT.length + 1));
  };
  const handlerOf = (method: string, path: string): ConsoleHandler => {
    const handlers = table[path];
    const handler =
      handlers === undefined ? (method === 'GET' || method === 'HEAD' ? file : undefined) : handlers[method];
    if (handler === undefined) throw noMethod(method, path);
    return handler;
  };
  const respond = async (request: Request, path: string, peer: string | null): Promise<Response> => {
    const startedAt = performance.now();
    const { method } = request;
    const requestId = nextRequestId();
    let error: unknown = null;
    let response: Response;
    try {
      response = await handlerOf(method, path)(request, peer);
      response.headers.set('x-request-id', requestId);
    } catch (thrown) {
      const answer = toApiError(thrown, requestId);
      if (answer.status >= 500) error = thrown;
      response = errorResponse(answer, requestId);
      response.headers.set('cache-control', 'no-store');
    }
    const seen = { requestId, tenant: null, stream: false, held: false, error };
    const ms = performance.now() - startedAt;
    const route = path in table ? path : `${ROOT}/`;
    onRequest?.({ method, route, kind: kindOf(method), status: response.status, ms, ...seen });
    return response;
  };
  return {
    identify: bySession(parts),
    respond(request, peer) {
      const { pathname } = new URL(request.url);
      if (pathname === ROOT || pathname.startsWith(`${ROOT}/`)) return respond(request, pathname, peer);
      return pathname === '/' && wantsPage(request) ? Promise.resolve(redirectTo(`${ROOT}/`, 302)) : null;
    },
    close: () => parts.streams.close(),
  };
};
