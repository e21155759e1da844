/**
 * Sign-in at an OpenID provider: `/console/oidc/login` sends the browser there, `/console/oidc/callback` takes it back.
 *
 * Rule: state, nonce and the PKCE verifier stay in a cookie of the browser that asked, so a restart or another server completes the
 * sign-in, and an answer for another browser is refused. The way back leads to pages of the console only.
 * Imports hono's escaping and the edges of `api/`. Imported by `console-server.ts`.
 */
import { html } from 'hono/html';
import { ApiError, apiErrors } from '../../protocol/errors.ts';
import { addressOf, beginSession, type ConsoleHandler, type SessionRoutesParts } from './session-routes.ts';
import { htmlPage, PAGE_HEADERS } from './static-files.ts';
import type { OidcAttempt, OidcProvider } from './types.ts';

const CALLBACK = '/console/oidc/callback';
const HOME = '/console/';
const MAX_PATH_CHARS = 1_024;

interface SavedAttempt extends OidcAttempt {
  returnTo: string;
}

/** A page of the console, and nothing else. */
export const safeReturn = (wanted: string | null, base: string): string => {
  if (wanted === null || wanted.length > MAX_PATH_CHARS || !URL.canParse(wanted, base)) return HOME;
  const url = new URL(wanted, base);
  const isOwn = url.origin === new URL(base).origin && url.pathname.startsWith(HOME);
  return isOwn ? `${url.pathname}${url.search}` : HOME;
};

const pack = (attempt: SavedAttempt): string => Buffer.from(JSON.stringify(attempt)).toString('base64url');

const FIELDS = ['state', 'nonce', 'verifier', 'returnTo'] as const;

/** The sign-in attempt that `pack` wrote into a cookie. null = the cookie is absent, or `pack` did not write it. */
export const unpack = (text: string | null): SavedAttempt | null => {
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (typeof value !== 'object' || value === null) return null;
    const [state, nonce, verifier, returnTo] = FIELDS.map((field): unknown => Reflect.get(value, field));
    return typeof state === 'string' &&
      typeof nonce === 'string' &&
      typeof verifier === 'string' &&
      typeof returnTo === 'string'
      ? { state, nonce, verifier, returnTo }
      : null;
  } catch {
    return null;
  }
};

const redirect = (location: string, cookies: readonly string[]): Response => {
  const headers = new Headers({ ...PAGE_HEADERS, location, 'cache-control': 'no-store' });
  for (const cookie of cookies) headers.append('set-cookie', cookie);
  return new Response(null, { status: 302, headers });
};

/** A person reads it: the browser has navigated here. */
const refusalPage = async ({ status, message }: ApiError, clear: string): Promise<Response> => {
  const page = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>Not signed in</title>
      </head>
      <body>
        <h1>You are not signed in</h1>
        <p role="alert">${message}</p>
        <p><a href="${HOME}">Back to the console</a></p>
      </body>
    </html>`;
  const response = htmlPage(status, page.toString());
  response.headers.append('set-cookie', clear);
  return response;
};

export const oidcRoutes = (
  parts: SessionRoutesParts,
  provider: OidcProvider,
  publicUrl: string,
): Record<'login' | 'callback', ConsoleHandler> => {
  const { cookies, identities, throttle, options } = parts;
  const complete = async (request: Request): Promise<Response> => {
    const saved = unpack(cookies.signIn(request));
    if (saved === null)
      throw apiErrors.unauthorized(
        'This sign-in was not begun in this browser, or it took too long. Begin again.',
      );
    const url = new URL(`${publicUrl}${CALLBACK}${new URL(request.url).search}`);
    const { state, nonce, verifier, returnTo } = saved;
    const claims = await provider.complete(url, { state, nonce, verifier });
    const { cookie } = await beginSession(parts, request, identities.byClaims(claims));
    return redirect(safeReturn(returnTo, publicUrl), [cookie, cookies.clearSignIn(request)]);
  };
  return {
    async login(request, peer) {
      const address = addressOf(options, request.headers, peer);
      const returnTo = safeReturn(new URL(request.url).searchParams.get('return_to'), publicUrl);
      try {
        throttle.check(address);
        const { url, attempt } = await provider.begin(`${publicUrl}${CALLBACK}`);
        return redirect(url, [cookies.setSignIn(request, pack({ ...attempt, returnTo }))]);
      } catch (error) {
        if (error instanceof ApiError) return refusalPage(error, cookies.clearSignIn(request));
        throw error;
      }
    },
    async callback(request, peer) {
      const address = addressOf(options, request.headers, peer);
      try {
        throttle.check(address);
        return await complete(request);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.status === 401 || error.status === 403) throttle.failed(address);
        return refusalPage(error, cookies.clearSignIn(request));
      }
    },
  };
};
