/**
 * Translates an error of a model into an error of the backend. Pure.
 *
 * Rule: a retryable error always names a wait: the server's, within bounds, or a backoff with jitter, so that many runs
 * do not retry at the same moment. Imported within `backends/chat/` and by tests.
 */
import { BackendError } from '../../protocol/errors.ts';
import type { ModelError } from '../../protocol/ports/model.ts';
import { FAILURES, type FailureType } from '../../protocol/temporal/names.ts';
import { backoffMs, boundedRetryAfter } from '../retry-after.ts';

const FINAL_BY_STATUS: Readonly<Record<number, FailureType>> = {
  404: FAILURES.backendNotFound,
  501: FAILURES.backendUnsupported,
  505: FAILURES.backendUnsupported,
};

const typeOf = ({ kind, retryable, status }: ModelError): FailureType => {
  if (kind === 'unauthorized') return FAILURES.backendUnauthorized;
  if (kind === 'unavailable' || kind === 'broken_off' || retryable) return FAILURES.backendUnavailable;
  // No chat completion, or a redirect: another kind of server answers there.
  if (kind === 'rejected' && status !== null && status < 400) return FAILURES.backendUnsupported;
  return (kind === 'rejected' ? FINAL_BY_STATUS[status ?? 0] : undefined) ?? FAILURES.backendRejected;
};

const FIX: Partial<Record<FailureType, string>> = {
  [FAILURES.backendUnauthorized]: 'Check the API key and what it may access.',
  [FAILURES.backendNotFound]: 'Check the model’s name and the base URL.',
};

export const fromModelError = (
  error: ModelError,
  context: {
    now: number;
    attempt: number;
    deadline: number | null;
    /** Default: what the error says. */
    retryAfterMs?: number | null;
    random?: () => number;
  },
): BackendError => {
  const type = typeOf(error);
  const fix = FIX[type];
  const { now, deadline, attempt, retryAfterMs = error.retryAfterMs, random = Math.random } = context;
  return new BackendError(type, fix === undefined ? error.message : `${error.message} ${fix}`, {
    retryable: error.retryable,
    retryAfterMs: error.retryable
      ? (boundedRetryAfter(retryAfterMs, { now, deadline }) ?? backoffMs(attempt, random()))
      : null,
    // A server that fails may have done the work; the run's row decides.
    mayHaveHappened: error.cost === 'turn' || (error.status !== null && error.status >= 500),
    details: [{ status: error.status, code: error.code }],
  });
};
