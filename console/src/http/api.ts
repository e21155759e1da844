/**
 * Requests of the console: to `/v1` and `/console` of the server that served the page.
 *
 * Rule: the session's cookie goes along by itself; a request with changes also carries the session's CSRF token. A response that is
 * no success is an `ApiError`, and one that never came is the error of `fetch`. Nothing is repeated here. Imported by every page.
 */
import { signal } from '@preact/signals';
import { ApiError } from '../../../protocol/errors.ts';

/** Where the sign-in stands in a response; the session's module watches it. */
export const csrfToken = signal<string | null>(null);
/** Counts the responses that asked for a sign-in. */
export const unauthorized = signal(0);

export interface ConsoleRequest {
  method?: 'GET' | 'POST' | 'DELETE';
  /** Sent as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** The request outlives the page. Bodies above 64 KB are refused by browsers then. */
  keepalive?: boolean;
}

const stringOr = (value: unknown): string | null => (typeof value === 'string' ? value : null);

/** The server's error; of a response that has none, its status. `details` of the body are in `extensionOf`. */
const errorOf = async (response: Response): Promise<ApiError> => {
  const text = await response.text();
  const retryAfter = response.headers.get('retry-after');
  const headers = retryAfter === null ? {} : { headers: { 'retry-after': retryAfter } };
  try {
    const { error } = JSON.parse(text) as { error?: Record<string, unknown> };
    if (error !== undefined && typeof error['message'] === 'string') {
      const type = stringOr(error['type']);
      const made = new ApiError(response.status, error['message'], {
        ...(type === null ? {} : { type }),
        code: stringOr(error['code']),
        param: stringOr(error['param']),
        ...headers,
      });
      extensions.set(made, error);
      return made;
    }
  } catch {
    // Not JSON: a proxy's page, for example.
  }
  return new ApiError(
    response.status,
    `The server answered ${response.status} without an error of the API.`,
    headers,
  );
};

const extensions = new WeakMap<ApiError, Record<string, unknown>>();
/** The error object of the response, with fields that `ApiError` does not have. */
export const extensionOf = (error: ApiError): Record<string, unknown> => extensions.get(error) ?? {};

/** The response, when it is a success. `path` begins with `/v1/` or `/console/`. */
export const send = async (path: string, request: ConsoleRequest = {}): Promise<Response> => {
  const { method = 'GET', body, headers, signal: abort, keepalive } = request;
  const token = csrfToken.value;
  const response = await fetch(path, {
    method,
    credentials: 'same-origin',
    headers: {
      ...headers,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(method === 'GET' || token === null ? {} : { 'x-csrf-token': token }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(abort === undefined ? {} : { signal: abort }),
    ...(keepalive === true ? { keepalive } : {}),
  });
  if (response.ok) return response;
  if (response.status === 401) unauthorized.value += 1;
  throw await errorOf(response);
};

/** The JSON of a response. The caller names its shape, which the server's OpenAPI document describes. */
export const requestJson = async <T>(path: string, request?: ConsoleRequest): Promise<T> =>
  (await (await send(path, request)).json()) as T;

/** A query string of the parameters that are set, with its `?`; empty when none is. */
export const queryText = (params: Readonly<Record<string, string | number | null | undefined>>): string => {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params))
    if (value !== undefined && value !== null && value !== '') query.set(name, String(value));
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
};

/** The same request may succeed later: no response came, or the server is down, starting or busy. */
export const mayWorkLater = (error: unknown): boolean =>
  !(error instanceof ApiError) || error.status >= 500 || error.status === 408 || error.status === 429;

/** What a person reads about a failed request. */
export const problemText = (error: unknown): string => {
  if (error instanceof ApiError) return error.message;
  return 'The server can’t be reached.';
};
