/**
 * HTTP towards somebody else's server: client, event streams, limits, and the one table that says what a failure means.
 *
 * Rule: everything here is about transport; nothing knows runs or chat. Both backends import this file, nobody else.
 */
export { backoffMs, retryAfterFrom, type Evidence, type FailureKind, type Verdict } from './classify.ts';
export { createHttpClient } from './client.ts';
export { HttpFailure, toBackendError, type HttpErrorContext, type ServerError } from './failure.ts';
export { asRecord, parseJson } from './json.ts';
export { sseEvents, SseLimitError, type SseEvent, type SseLimits } from './sse.ts';
export type {
  HttpAnswer,
  HttpClient,
  HttpClientOptions,
  HttpRequest,
  HttpTimeouts,
  JsonAnswer,
  StreamAnswer,
} from './types.ts';
