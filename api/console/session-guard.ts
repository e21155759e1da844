/**
 * The sender of a request with a session's cookie.
 *
 * Rule: `Authorization` wins. The cookie counts for pages of this server only, and a request with changes carries the session's
 * CSRF token; a request whose cookie matches no session is refused and never served anonymously.
 * Imports the edges of `api/`. Imported by `api/console/` and tests.
 */
import { ApiError, apiErrors } from '../../protocol/errors.ts';
import type { Authenticator, Principal } from '../auth.ts';
import type { Identify } from '../sender.ts';
import { sameSecret } from '../sessions/session-rules.ts';
import type { SessionStreams } from '../sessions/session-streams.ts';
import type { LiveSession, Sessions } from '../sessions/sessions.ts';
import type { CookieJar } from './cookies.ts';
import type { Identities } from './identities.ts';

export const CSRF_HEADER = 'x-csrf-token';

export interface SessionParts {
  auth: Authenticator;
  identities: Identities;
  sessions: Sessions;
  streams: SessionStreams;
  cookies: CookieJar;
  /** Origin of the public address; null = the one that the request names. */
  ownOrigin: string | null;
}

/** Is it a request of a page of this server, or of no page at all? */
export const isOwnPage = ({ headers, url }: Request, ownOrigin: string | null): boolean => {
  const site = headers.get('sec-fetch-site');
  if (site !== null && site !== 'same-origin' && site !== 'none') return false;
  const origin = headers.get('origin');
  if (origin === null) return true;
  if (ownOrigin !== null && origin === ownOrigin) return true;
  return URL.canParse(origin) && new URL(origin).host === (headers.get('host') ?? new URL(url).host);
};

/** Throws `ApiError` 403 for a page of another origin. */
export const requireOwnPage = (request: Request, ownOrigin: string | null): void => {
  if (isOwnPage(request, ownOrigin)) return;
  throw apiErrors.forbidden(
    'Only pages of this server may use its sessions. Behind a proxy, set RUNS_PUBLIC_URL to the address that browsers use.',
  );
};

const isSafe = (method: string): boolean => method === 'GET' || method === 'HEAD';

/** Throws `ApiError` 403 for a request with changes that lacks the session's token. */
export const requireCsrfToken = ({ method, headers }: Request, { csrfToken }: LiveSession): void => {
  if (isSafe(method) || sameSecret(headers.get(CSRF_HEADER) ?? '', csrfToken)) return;
  throw new ApiError(
    403,
    `A request with changes that a session sends needs the header '${CSRF_HEADER}' with the session's csrf_token (GET /console/session).`,
    { code: 'csrf_token_invalid' },
  );
};

export const sessionEnded = (clearCookie: string): ApiError =>
  new ApiError(401, 'The session has ended. Sign in again.', {
    code: 'session_ended',
    headers: { 'set-cookie': clearCookie },
  });

/** The session of a request and what its person may do; null = there is none, or it has ended. */
export const sessionOf = async (
  { cookies, sessions, identities }: SessionParts,
  request: Request,
  peer: string | null,
): Promise<{ session: LiveSession; principal: Principal } | null> => {
  const token = cookies.session(request);
  const session = token === null ? null : await sessions.find(token);
  if (session === null) return null;
  const principal = identities.principalOf(session.record, request.headers, peer);
  if (principal !== null) return { session, principal };
  await sessions.end(session.token);
  return null;
};

export const bySession = (parts: SessionParts): Identify => {
  const { auth, cookies, streams, ownOrigin } = parts;
  const byCookie = async (request: Request, peer: string | null) => {
    requireOwnPage(request, ownOrigin);
    const current = await sessionOf(parts, request, peer);
    if (current === null) throw sessionEnded(cookies.clearSession(request));
    const { session, principal } = current;
    requireCsrfToken(request, session);
    return { principal, onEnd: (tell: () => void) => streams.onEnd(session.record, tell) };
  };
  return (request, peer) => {
    const { headers } = request;
    const hasKey = headers.has('authorization') || headers.has('api-key');
    if (hasKey || cookies.session(request) === null)
      return { principal: auth.authenticate(headers), onEnd: null };
    return byCookie(request, peer);
  };
};
