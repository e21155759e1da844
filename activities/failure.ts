/**
 * Translates errors of activities into failures of Temporal.
 *
 * Rule: types come from `FAILURES`; messages are capped (the server keeps a few kilobytes) and carry no stack of other
 * code. Temporal owns retries: this file only says whether and when another attempt makes sense.
 * Imported by the activities only.
 */
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { FAILURES, type BackendError, type FailureType } from '../protocol/index.ts';

const MAX_MESSAGE = 1_500;

export const truncateMessage = (message: string): string =>
  message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}… [${message.length} characters]` : message;

export const throwFailure = (
  type: FailureType,
  message: string,
  more: { retryable: boolean; retryAfterMs?: number | null; details?: unknown[]; expected?: boolean },
): ApplicationFailure => {
  const failure = ApplicationFailure.create({
    type,
    message: truncateMessage(message),
    nonRetryable: !more.retryable,
    ...(more.retryAfterMs == null ? {} : { nextRetryDelay: more.retryAfterMs }),
    ...(more.details === undefined || more.details.length === 0 ? {} : { details: more.details }),
    // A benign failure is an expected wait: it causes no warning in the log and no failure in the metrics.
    ...(more.expected === true ? { category: ApplicationFailureCategory.BENIGN } : {}),
  });
  // The stack would name this file, repeat the message, and be stored with every failed attempt.
  failure.stack = '';
  return failure;
};

/** The failure for a backend's error. A request to retry later is benign. */
export const fromBackendError = (error: BackendError): ApplicationFailure =>
  throwFailure(error.type, error.message, {
    retryable: error.retryable,
    retryAfterMs: error.retryAfterMs,
    details: error.details,
    expected: error.retryable && (error.type === FAILURES.backendBusy || error.retryAfterMs !== null),
  });
