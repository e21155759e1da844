/**
 * The request log: one entry per request, newest last.
 *
 * Rule: bounded; keys are not kept. Imports nothing. Ships with the package.
 */
export interface LoggedRequest {
  /** Which server of the sandbox received it. */
  face: 'api' | 'model';
  /** Unix milliseconds of the sandbox's clock. */
  at: number;
  method: string;
  /** Without the query. */
  path: string;
  query: string;
  headers: Record<string, string>;
  /** Parsed when it was JSON, text otherwise, null when there was none. */
  body: unknown;
  /** Status of the response; null while there is none, or when the connection broke. */
  status: number | null;
  /** Kind of the fault that hit it. */
  fault: string | null;
}

const SECRET = new Set(['authorization', 'api-key', 'cookie']);
const MAX_ENTRIES = 100_000;

export const headersOf = (headers: Headers): Record<string, string> =>
  Object.fromEntries([...headers].map(([name, value]) => [name, SECRET.has(name) ? '…' : value]));

export const bodyOfText = (text: string): unknown => {
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

export const remember = (log: LoggedRequest[], entry: LoggedRequest): void => {
  if (log.length >= MAX_ENTRIES) log.shift();
  log.push(entry);
};
