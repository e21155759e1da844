/**
 * `/console/session` and `/console/sessions`: sign in with a key or a name, read the session, sign out, here and everywhere.
 *
 * Rule: a sign-in never continues a session; failed ones are limited; a key is used once and kept nowhere.
 * Imports the edges of `api/`. Imported by `console-server.ts`.
 */
import { ApiError } from '../../protocol/errors.ts';
import type { ConsoleSessionEnd } from '../../protocol/wire/console-session.ts';
import { DEFAULT_BODY_LIMITS, readJson } from '../body.ts';
import { SESSION_LIMITS } from '../sessions/session-rules.ts';
import type { LiveSession, SignedIn } from '../sessions/sessions.ts';
import type { SignInThrottle } from '../sessions/sign-in-throttle.ts';
import { parseBody } from '../validate.ts';
import type { Identities } from './identities.ts';
import { sessionOf, requireCsrfToken, requireOwnPage, sessionEnded } from './session-guard.ts';
import type { SessionParts } from './session-guard.ts';
import { sessionObject } from './session-object.ts';
import { signInSchema } from './session-responses.ts';
import type { ConsoleOptions } from './types.ts';

export interface SessionRoutesParts extends SessionParts {
  options: ConsoleOptions;
  throttle: SignInThrottle;
}

/** `peer`: address of the connection's other end. */
export type ConsoleHandler = (request: Request, peer: string | null) => Promise<Response>;

const MAX_BODY_BYTES = 4_096;
const NO_STORE = { 'content-type': 'application/json', 'cache-control': 'no-store' };

/** The sender's address: the connection's, or what a trusted proxy says of it. */
export const addressOf = (
  { proxy }: Pick<ConsoleOptions, 'proxy'>,
  headers: Headers,
  peer: string | null,
): string => {
  const forwarded = headers.get('x-forwarded-for')?.split(',').at(-1)?.trim();
  return peer !== null && forwarded !== undefined && proxy?.isTrusted(peer) === true
    ? forwarded
    : (peer ?? 'unknown');
};

/** Begins a session, and ends the one that the browser had. The text is for `set-cookie`. */
export const beginSession = async (
  { sessions, cookies, options }: SessionRoutesParts,
  request: Request,
  person: SignedIn,
): Promise<{ session: LiveSession; cookie: string }> => {
  const session = await sessions.begin(person, cookies.session(request));
  const { method, name, tenant } = person;
  options.log.info({ method, name, tenant }, 'signed in at the console');
  const seconds = Math.floor((options.limits ?? SESSION_LIMITS).lifetimeMs / 1_000);
  return { session, cookie: cookies.setSession(request, session.token, seconds) };
};

/** The 401 of `GET /console/session`, which says how to sign in. */
const notSignedIn = ({ identities, cookies }: SessionParts, request: Request): Response => {
  const { error } = new ApiError(401, 'This browser is not signed in to the console. Sign in at /console/.', {
    code: 'not_signed_in',
  }).toBody();
  const stale = cookies.session(request) === null ? {} : { 'set-cookie': cookies.clearSession(request) };
  return new Response(JSON.stringify({ error: { ...error, sign_in: { methods: identities.methods } } }), {
    status: 401,
    headers: { ...NO_STORE, ...stale },
  });
};

interface Shown {
  request: Request;
  peer: string | null;
  session: LiveSession;
  /** When it has just begun. */
  cookie?: string;
}

const show = (parts: SessionRoutesParts, { request, peer, session, cookie }: Shown): Response => {
  const { identities, cookies, options } = parts;
  const principal = identities.principalOf(session.record, request.headers, peer);
  if (principal === null) throw sessionEnded(cookies.clearSession(request));
  const body = sessionObject(session, principal, {
    methods: identities.methods,
    limits: options.limits ?? SESSION_LIMITS,
    links: options.links ?? { temporal_ui: null, namespace: null },
    features: options.features ?? {},
  });
  return new Response(JSON.stringify(body), {
    headers: { ...NO_STORE, ...(cookie === undefined ? {} : { 'set-cookie': cookie }) },
  });
};

/** Whose key or name it is. Throws `ApiError`: 400 for a way to sign in that this server lacks. */
const personOf = (identities: Identities, body: { key: string } | { name: string }): SignedIn => {
  const { methods } = identities;
  const method = 'key' in body ? 'key' : 'name';
  if (!methods.includes(method))
    throw new ApiError(
      400,
      `This server has no sign-in by ${method}; it has ${methods.map((one) => `"${one}"`).join(', ')}.`,
      { code: 'sign_in_method', param: method },
    );
  return 'key' in body ? identities.byKey(body.key.trim()) : identities.byName(body.name);
};

const ended = ({ cookies }: SessionParts, request: Request, count: number): Response => {
  const body: ConsoleSessionEnd = { object: 'console.session.ended', ended: count };
  return new Response(JSON.stringify(body), {
    headers: { ...NO_STORE, 'set-cookie': cookies.clearSession(request) },
  });
};

/** The session of a request with changes. */
const ownSession = async (
  parts: SessionParts,
  request: Request,
  peer: string | null,
): Promise<LiveSession> => {
  requireOwnPage(request, parts.ownOrigin);
  const current = await sessionOf(parts, request, peer);
  if (current === null) throw sessionEnded(parts.cookies.clearSession(request));
  requireCsrfToken(request, current.session);
  return current.session;
};

export const sessionRoutes = (
  parts: SessionRoutesParts,
): Record<'read' | 'signIn' | 'signOut' | 'signOutEverywhere', ConsoleHandler> => {
  const { identities, sessions, throttle, options, ownOrigin } = parts;
  return {
    async read(request, peer) {
      requireOwnPage(request, ownOrigin);
      const current = await sessionOf(parts, request, peer);
      if (current !== null) return show(parts, { request, peer, session: current.session });
      const announced = identities.byHeader(request.headers, peer);
      if (announced === null) return notSignedIn(parts, request);
      const begun = await beginSession(parts, request, announced);
      return show(parts, { request, peer, ...begun });
    },
    async signIn(request, peer) {
      requireOwnPage(request, ownOrigin);
      const address = addressOf(options, request.headers, peer);
      throttle.check(address);
      const sent = await readJson(request, { ...DEFAULT_BODY_LIMITS, maxBytes: MAX_BODY_BYTES });
      const body = parseBody(signInSchema, sent);
      let person: SignedIn;
      try {
        person = personOf(identities, body);
      } catch (error) {
        if (error instanceof ApiError && error.status !== 400) throttle.failed(address);
        throw error;
      }
      const begun = await beginSession(parts, request, person);
      return show(parts, { request, peer, ...begun });
    },
    async signOut(request, peer) {
      const { token } = await ownSession(parts, request, peer);
      await sessions.end(token);
      return ended(parts, request, 1);
    },
    async signOutEverywhere(request, peer) {
      const { record } = await ownSession(parts, request, peer);
      const { tenant, name } = record;
      const count = await sessions.endAllOf(record);
      options.log.info({ name, tenant, ended: count }, 'signed out everywhere');
      return ended(parts, request, count);
    },
  };
};
