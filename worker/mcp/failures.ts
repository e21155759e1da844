/**
 * What went wrong with an MCP server, in our own words, and what a retry may cost. Pure.
 *
 * Rule: decided by the SDK's classes and codes, never by a text. What is not known to have stayed without effect counts as
 * without an answer.
 * Imported within `worker/mcp/` and by tests.
 */
import { quote } from '../../protocol/index.ts';
import { NoAnswerError, ToolError } from '../../activities/index.ts';
import type { McpSdk } from './load-sdk.ts';

const MAX_WORDS = 1_000;
/** JSON-RPC: the method or the arguments are refused. Nothing ran, and the same call would be refused again. */
const REFUSED: readonly number[] = [-32_600, -32_601, -32_602];
/** Statuses of HTTP that another attempt may change, and that say that nothing ran. */
const RETRYABLE_STATUSES: readonly number[] = [408, 425, 429];

const causes = function* (error: unknown): Generator {
  let at: unknown = error;
  for (let depth = 0; depth < 5 && at instanceof Error; depth += 1) {
    yield at;
    at = at.cause;
  }
};

/** The code of a system call, such as ECONNREFUSED, wherever in the chain of causes it is. */
const systemCode = (error: unknown): string | undefined => {
  for (const cause of causes(error)) {
    const code: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined;
    if (typeof code === 'string' && /^(E[A-Z]+|UND_ERR_[A-Z_]+)$/.test(code)) return code;
  }
  return undefined;
};

const statusOf = (error: unknown, sdk: McpSdk): number | undefined =>
  error instanceof sdk.SdkHttpError ? error.status : undefined;

/** 404 by the protocol; many servers answer with 400. */
const LOST_SESSION: readonly (number | undefined)[] = [400, 404];

/** The server may have restarted and not know the session any more. It did not look at the request. */
export const isLostSession = (error: unknown, sdk: McpSdk): boolean =>
  LOST_SESSION.includes(statusOf(error, sdk));

const NOT_SENT: readonly (string | undefined)[] = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
];

/** Why there is no connection: for operators, and for the model. Holds no text of the server. */
export const whyNotConnected = (error: unknown, sdk: McpSdk): string => {
  const status = statusOf(error, sdk);
  const code = systemCode(error);
  if (status === 401 || status === 403 || error instanceof sdk.UnauthorizedError)
    return `it refuses the credentials (HTTP ${status ?? 401})`;
  if (status !== undefined) return `it answered with HTTP ${status}`;
  if (code === 'ENOENT') return 'its program was not found (ENOENT)';
  if (code !== undefined) return `it can't be reached (${code})`;
  if (error instanceof sdk.SdkError && error.code === sdk.SdkErrorCode.RequestTimeout)
    return 'it did not answer in time';
  if (error instanceof sdk.SdkError && error.code === sdk.SdkErrorCode.ConnectionClosed)
    return 'its connection closed';
  return error instanceof sdk.ProtocolError
    ? `it refused the handshake (JSON-RPC ${error.code})`
    : 'the handshake failed';
};

/** The connection, and not the call, is what failed. */
export const isConnectionFailure = (error: unknown, sdk: McpSdk): boolean => {
  if (error instanceof sdk.ProtocolError) return false;
  if (isLostSession(error, sdk) || statusOf(error, sdk) === 401) return true;
  return (
    systemCode(error) !== undefined ||
    (error instanceof sdk.SdkError && error.code === sdk.SdkErrorCode.ConnectionClosed)
  );
};

/** What the tool throws: a `ToolError` is final, a `NoAnswerError` may have had an effect, another error may be tried again. */
export const callFailure = (server: string, error: unknown, sdk: McpSdk): Error => {
  const of = `MCP server ${quote(server)}`;
  if (error instanceof sdk.ProtocolError) {
    const said = `${of} answered with an error (${error.code}): ${quote(error.message, MAX_WORDS)}.`;
    return REFUSED.includes(error.code) ? new ToolError(said) : new Error(said);
  }
  const status = statusOf(error, sdk);
  if (status !== undefined && status >= 400 && status < 500) {
    const said = `${of} refused the call (HTTP ${status}).`;
    return RETRYABLE_STATUSES.includes(status) || status === 404 ? new Error(said) : new ToolError(said);
  }
  const code = systemCode(error);
  if (NOT_SENT.includes(code))
    return new Error(`${of} can't be reached (${String(code)}). The call was not sent.`);
  return new NoAnswerError(`${of} did not answer: the connection broke after the call was sent`, {
    cause: error,
  });
};
