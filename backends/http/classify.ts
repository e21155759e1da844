/**
 * The table that classifies a failed request: the failure type, whether a retry is worth it, its backoff, and whether
 * the request may have taken effect.
 *
 * Rule: pure, total, conservative: in doubt a request may have taken effect. No other module decides on a status code.
 * Imports names only. Backends import it; tests prove it cell by cell.
 */
import { FAILURES, type FailureType } from '../../protocol/temporal/names.ts';

export type FailureKind =
  /** No usable API key: nothing was sent. */
  | 'key'
  /** The connection could not be made: nothing was sent. */
  | 'network_before_send'
  /** The connection broke after the request may have been written. */
  | 'network_ambiguous'
  /** Headers, body or the whole call took too long. */
  | 'timeout'
  /** An answer with a status outside 2xx. */
  | 'status'
  /** A 2xx answer whose body can't be used. */
  | 'bad_body';

export type BadBody =
  | 'content_type'
  | 'too_large'
  | 'too_deep'
  | 'encoding'
  | 'not_json'
  | 'not_http'
  | 'shape';

/** Broken JSON is what a truncated body looks like, and broken HTTP what a middlebox in trouble sends. */
const TRANSIENT_BODY_FAULTS: ReadonlySet<BadBody | undefined> = new Set<BadBody>(['not_json', 'not_http']);

export interface Evidence {
  kind: FailureKind;
  /** null when no status line arrived. */
  status: number | null;
  /** Why the body is of no use; only with `bad_body`. */
  badBody?: BadBody;
  /** `error.code` of the error body. */
  errorCode: string | null;
  /** `x-should-retry`, when sent. */
  shouldRetry: boolean | null;
  /** What `retry-after-ms` or `retry-after` asks for, as sent. */
  retryAfterMs: number | null;
}

export interface Verdict {
  type: FailureType;
  nonRetryable: boolean;
  /** The wait that the server asks for, uncapped; null = none. */
  retryAfterMs: number | null;
  mayHaveHappened: boolean;
}

const verdict = (
  type: FailureType,
  retry: 'retry' | 'final',
  happened: 'maybe' | 'no',
  retryAfterMs: number | null = null,
): Verdict => ({
  type,
  nonRetryable: retry === 'final',
  retryAfterMs: retry === 'final' ? null : retryAfterMs,
  mayHaveHappened: happened === 'maybe',
});

const F = FAILURES;

/** 408 and 409 may follow a request that went through; 425 and 429 say that it was not looked at. */
const RETRYABLE_4XX: Readonly<Record<number, 'maybe' | 'no'>> = {
  408: 'maybe',
  409: 'maybe',
  425: 'no',
  429: 'no',
};
/** The server does not know the method or the protocol; another attempt meets the same server. */
const FINAL_5XX = new Set([501, 505]);

/** Codes that are permanent, although their status is not: another attempt gets the same response. */
const FINAL_CODES: ReadonlySet<string | null> = new Set([
  'insufficient_quota',
  'billing_hard_limit_reached',
  'billing_not_active',
  'account_deactivated',
  'invalid_prompt',
  'invalid_request_error',
  'model_not_found',
]);

const byStatus = (status: number, evidence: Evidence): Verdict => {
  if (status === 401 || status === 403) return verdict(F.backendUnauthorized, 'final', 'no');
  if (status === 404) return verdict(F.backendNotFound, 'final', 'no');
  if (status >= 500 && status < 600) {
    if (FINAL_5XX.has(status)) return verdict(F.backendUnsupported, 'final', 'no');
    if (FINAL_CODES.has(evidence.errorCode)) return verdict(F.backendRejected, 'final', 'maybe');
    const retry = evidence.shouldRetry === false ? 'final' : 'retry';
    return verdict(F.backendUnavailable, retry, 'maybe', evidence.retryAfterMs);
  }
  if (status >= 400 && status < 500) {
    const retried = RETRYABLE_4XX[status];
    if (status === 429 && FINAL_CODES.has(evidence.errorCode))
      return verdict(F.backendRejected, 'final', 'no');
    if (retried !== undefined)
      return verdict(
        F.backendUnavailable,
        evidence.shouldRetry === false ? 'final' : 'retry',
        retried,
        evidence.retryAfterMs,
      );
    // 400 stays final whatever the header says: lifecycle conflicts are 400 here and are resolved by re-reading.
    if (status !== 400 && evidence.shouldRetry === true)
      return verdict(F.backendUnavailable, 'retry', 'no', evidence.retryAfterMs);
    return verdict(F.backendRejected, 'final', 'no');
  }
  // Redirects are never followed (they would carry the key elsewhere), and 1xx/2xx do not come here.
  return verdict(F.backendUnsupported, 'final', 'no');
};

const BY_KIND: Readonly<Record<FailureKind, (evidence: Evidence) => Verdict>> = {
  key: () => verdict(F.backendUnauthorized, 'final', 'no'),
  network_before_send: () => verdict(F.backendUnavailable, 'retry', 'no'),
  network_ambiguous: () => verdict(F.backendUnavailable, 'retry', 'maybe'),
  timeout: () => verdict(F.backendUnavailable, 'retry', 'maybe'),
  status: (evidence) => byStatus(evidence.status ?? 0, evidence),
  bad_body: (evidence) =>
    verdict(F.backendUnsupported, TRANSIENT_BODY_FAULTS.has(evidence.badBody) ? 'retry' : 'final', 'maybe'),
};

export const classify = (evidence: Evidence): Verdict => BY_KIND[evidence.kind](evidence);

/**
 * Reads `retry-after-ms` (milliseconds) or `retry-after` (seconds or an HTTP date, measured by the server's own clock
 * when it sent `date`). null = absent or nonsense (negative, not a number).
 */
export const retryAfterFrom = (
  headers: Readonly<Record<string, string>>,
  now: number,
  serverTime: number | null,
): number | null => {
  const ms = headers['retry-after-ms']?.trim();
  if (ms !== undefined && /^\d+(\.\d+)?$/.test(ms)) return Math.round(Number(ms));
  const after = headers['retry-after']?.trim();
  if (after === undefined || after === '') return null;
  if (/^\d+(\.\d+)?$/.test(after)) return Math.round(Number(after) * 1000);
  // A bare negative number parses as a year in some engines.
  const at = /[a-z]/i.test(after) ? Date.parse(after) : Number.NaN;
  return Number.isNaN(at) ? null : Math.max(0, at - (serverTime ?? now));
};

export const shouldRetryFrom = (headers: Readonly<Record<string, string>>): boolean | null => {
  const value = headers['x-should-retry']?.trim().toLowerCase();
  return value === 'true' ? true : value === 'false' ? false : null;
};
