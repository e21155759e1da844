/**
 * Turns errors into facts: the request, its server, the failure, and whether the request had been sent.
 *
 * Rule: facts name method, route and origin; causes are dropped, since an error of a library may quote a header.
 * Imports failures. The client imports it.
 */
import type { BadBody, FailureKind } from './classify.ts';
import { HttpFailure, type FailureFacts } from './failure.ts';
import type { HttpRequest } from './types.ts';

const TIMEOUT_CODES = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);

/** Errors of this code: a bug is reported as a bug, not as a network failure. */
const PROGRAMMING_ERROR_CODES = new Set(['UND_ERR_INVALID_ARG', 'ERR_INVALID_ARG_TYPE', 'ERR_INVALID_URL']);

/** The code under which Node or undici reports a broken connection; null for any other error. */
const codeOf = (error: unknown): string | null => {
  if (!(error instanceof Error)) return null;
  if ('code' in error && typeof error.code === 'string')
    return PROGRAMMING_ERROR_CODES.has(error.code) ? null : error.code;
  return error.name === 'HTTPParserError' ? error.name : null;
};

type Facts = (
  request: HttpRequest,
  kind: FailureKind,
  what: string,
  more?: Partial<FailureFacts>,
) => FailureFacts;

export interface Reporter {
  facts: Facts;
  badBody(request: HttpRequest, status: number, reason: BadBody, what: string): HttpFailure;
  /** What an error of the transport means; any other error is returned as it is. `status` 0 = none had come. */
  transport(
    request: HttpRequest,
    error: unknown,
    seen: { sent: boolean; status: number; timedOut: boolean },
  ): unknown;
}

export const createReporter = (origin: string): Reporter => {
  const facts: Facts = (request, kind, what, more = {}) => ({
    kind,
    route: `${request.method} ${request.route}`,
    origin,
    what,
    status: null,
    errorCode: null,
    shouldRetry: null,
    retryAfterMs: null,
    networkCode: null,
    error: null,
    serverTime: null,
    ...more,
  });
  return {
    facts,
    badBody: (request, status, reason, what) =>
      new HttpFailure(facts(request, 'bad_body', what, { status, badBody: reason })),
    transport(request, error, { sent, status, timedOut }) {
      const named = timedOut ? 'TOTAL_TIMEOUT' : codeOf(error);
      if (named === null || error instanceof HttpFailure) return error;
      const more = { networkCode: named, status: status === 0 ? null : status };
      if (!sent)
        return new HttpFailure(facts(request, 'network_before_send', `no connection (${named}).`, more));
      // Whatever answers there does not speak HTTP (another protocol, or TLS on a plain port).
      if (named.startsWith('HPE_') || named === 'HTTPParserError')
        return new HttpFailure(
          facts(request, 'bad_body', `the response is not HTTP (${named}).`, {
            ...more,
            badBody: 'not_http',
          }),
        );
      if (timedOut || TIMEOUT_CODES.has(named))
        return new HttpFailure(facts(request, 'timeout', `no response in time (${named}).`, more));
      return new HttpFailure(facts(request, 'network_ambiguous', `the connection broke (${named}).`, more));
    },
  };
};
