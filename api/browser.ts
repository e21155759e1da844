/**
 * Requests of web pages: refused unless their origin is the server's own or an allowed one.
 *
 * Rule: a web page can reach servers in its visitor's network, so a request that the browser marks as cross-site is
 * refused before anything is read, empty requests included. Allowed origins are exact, require API keys, and get CORS
 * headers, without credentials: a session's cookie counts for the server's own pages only. Pure but for the responses. Imports protocol only.
 */
import { apiErrors, RunsError } from '../protocol/errors.ts';
import type { ApiError } from '../protocol/errors.ts';
import { quote, shortenText } from '../protocol/rules/validation.ts';

/**
 * Origins separated by comma or white space, such as `https://app.example http://localhost:3000`. `name`: the variable
 * that holds them. Throws `RunsError` `config` for a text that is no origin: a path, a wildcard, a missing scheme.
 */
export const parseOrigins = (text: string, name = 'RUNS_CORS_ORIGINS'): string[] =>
  text
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .map((entry) => {
      const url = URL.canParse(entry) ? new URL(entry) : null;
      if (url === null || !/^https?:$/.test(url.protocol) || url.origin !== entry || entry.includes('*'))
        throw new RunsError(
          'config',
          `${name} takes exact origins, such as "https://app.example" or "http://localhost:3000", without a path or a wildcard; got ${quote(entry)}`,
        );
      return entry;
    });

export const corsNeedsKeys = (): RunsError =>
  new RunsError(
    'config',
    'RUNS_CORS_ORIGINS needs RUNS_API_KEYS: a page of an allowed origin could otherwise use this server for every person who visits it. Set keys, or leave RUNS_CORS_ORIGINS out.',
  );

export interface BrowserHeaders {
  method: string;
  host: string | null;
  origin: string | null;
  /** `Sec-Fetch-Site`. */
  site: string | null;
  /** `Access-Control-Request-Method`. */
  preflightFor: string | null;
  /** A person follows a link to a page of the console: files, without data. Default false. */
  opensPage?: boolean;
}

/** `pass`: not a cross-site page. `allowed`: respond with CORS headers. */
export type BrowserVerdict = 'pass' | 'allowed' | 'preflight' | 'refused';

const isOwn = (origin: string, host: string | null): boolean =>
  URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();

export const browserVerdict = (
  { method, host, origin, site, preflightFor, opensPage }: BrowserHeaders,
  allowed: ReadonlySet<string>,
  publicOrigin: string | null = null,
): BrowserVerdict => {
  if (origin !== null && allowed.has(origin))
    return method === 'OPTIONS' && preflightFor !== null ? 'preflight' : 'allowed';
  if (site === 'cross-site' || site === 'same-site') return opensPage === true ? 'pass' : 'refused';
  const own = origin === null || origin === publicOrigin || isOwn(origin, host);
  return own ? 'pass' : 'refused';
};

const refusal = (origin: string | null): ApiError =>
  apiErrors.forbidden(
    `Requests from ${origin === null ? 'another site' : `the site ${quote(shortenText(origin))}`} are refused. To let a web page use this server, add its origin to RUNS_CORS_ORIGINS (with API keys); if a proxy forwards requests of a page, configure it to remove the Origin and Sec-Fetch-Site headers.`,
  );

const EXPOSED = 'x-request-id, openai-version, openai-poll-after-ms, retry-after';
const METHODS = 'GET, HEAD, POST, DELETE';
/** Two hours: the longest time that browsers keep it. */
const PREFLIGHT_SECONDS = '7200';

/** The clients send a dozen headers of their own, so requested headers are allowed again, if they are valid names. */
const askedHeaders = (headers: Headers): string => {
  const asked = headers.get('access-control-request-headers') ?? '';
  return asked.length <= 2_048 && /^[\w\-, ]*$/.test(asked) ? asked : '';
};

const preflight = (origin: string, headers: Headers): Response =>
  new Response(null, {
    status: 204,
    headers: {
      'access-control-allow-origin': origin,
      'access-control-allow-methods': METHODS,
      'access-control-allow-headers': askedHeaders(headers),
      'access-control-max-age': PREFLIGHT_SECONDS,
      vary: 'origin, access-control-request-headers',
    },
  });

const withCors = (response: Response, origin: string): Response => {
  response.headers.set('access-control-allow-origin', origin);
  response.headers.set('access-control-expose-headers', EXPOSED);
  response.headers.set('vary', 'origin');
  return response;
};

/** Paths of the console that give or take sessions: no link leads there. */
const SESSION_PATH = /^\/console\/sessions?(?:\/|$)/;

const opensPageOf = ({ method, headers, url }: Request): boolean => {
  const { pathname } = new URL(url);
  return (
    method === 'GET' &&
    headers.get('sec-fetch-mode') === 'navigate' &&
    headers.get('sec-fetch-dest') === 'document' &&
    (pathname === '/' || pathname === '/console' || pathname.startsWith('/console/')) &&
    !SESSION_PATH.test(pathname)
  );
};

export interface GuardedPages {
  /** Origins of pages elsewhere that may use the API. */
  allowed: readonly string[];
  /** Where browsers reach the server; null = at the host that they name. */
  publicUrl: string | null;
  /** The server has pages of its own, to which links may lead. */
  hasPages: boolean;
}

/** `next` handles allowed requests; `refuse` turns the error into a response. */
export const createBrowserGuard = (
  { allowed: origins, publicUrl, hasPages }: GuardedPages,
  refuse: (request: Request, error: ApiError) => Response,
) => {
  const allowed = new Set(origins);
  const publicOrigin = publicUrl === null ? null : new URL(publicUrl).origin;
  return (request: Request, next: () => Response | Promise<Response>): Response | Promise<Response> => {
    const { headers, method } = request;
    const origin = headers.get('origin');
    const site = headers.get('sec-fetch-site');
    if (origin === null && site === null) return next();
    const verdict = browserVerdict(
      {
        method,
        origin,
        site,
        host: headers.get('host') ?? new URL(request.url).host,
        preflightFor: headers.get('access-control-request-method'),
        opensPage: hasPages && opensPageOf(request),
      },
      allowed,
      publicOrigin,
    );
    if (verdict === 'refused') return refuse(request, refusal(origin));
    if (verdict === 'pass' || origin === null) return next();
    if (verdict === 'preflight') return preflight(origin, headers);
    return Promise.resolve(next()).then((response) => withCors(response, origin));
  };
};
