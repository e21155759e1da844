/**
 * Which of a library's headers are sent.
 *
 * Rule: the client's own headers win, and the key is the client's; a signature covers all of its headers. Pure. Imported by the exchange.
 */
/** Headers of the library that are not sent: the client has its own, and the key is the client's. */
const NOT_SENT: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'accept',
  'host',
  'user-agent',
]);
const KEYS: ReadonlySet<string> = new Set(['authorization', 'x-api-key', 'x-goog-api-key', 'api-key']);

export const sentHeaders = (
  headers: RequestInit['headers'] | undefined,
  signed: boolean,
): Record<string, string> =>
  Object.fromEntries(
    [...new Headers(headers ?? {})].filter(([name]) => !NOT_SENT.has(name) && (signed || !KEYS.has(name))),
  );
