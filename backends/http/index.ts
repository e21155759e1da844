/**
 * HTTP to upstream servers: client, event streams, limits, and the one table that classifies failures.
 *
 * Rule: everything here is about transport; nothing knows runs or chat. Only the backends import this file.
 */
export { readStart } from './body.ts';
export { retryAfterFrom, type Evidence, type FailureKind, type Verdict } from './classify.ts';
export { createHttpClient } from './client.ts';
export { HttpFailure, toBackendError, type HttpErrorContext, type ServerError } from './failure.ts';
export { asRecord, JsonDepthError, JsonValuesError, parseJson } from './json.ts';
export {
  createSseParser,
  sseEvents,
  SseLimitError,
  UNKNOWN_LINE,
  type SseEvent,
  type SseLimits,
} from './sse.ts';
export type {
  HttpAnswer,
  HttpClient,
  HttpClientOptions,
  HttpRequest,
  HttpTimeouts,
  JsonAnswer,
  OpenAnswer,
  StreamAnswer,
} from './types.ts';
