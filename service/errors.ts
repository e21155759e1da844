/**
 * Translates errors of store and workflows for the HTTP client. Pure.
 *
 * Rule: lifecycle conflicts carry the wire's texts; an unreachable service is a 503 and safe to repeat; any other error
 * is a bug and passes unchanged.
 * Imported within `service/`.
 */
import { apiErrors, RunsError, type ApiError } from '../protocol/errors.ts';
import { FAILURES } from '../protocol/temporal/names.ts';
import { StoreError } from '../protocol/ports/store-error.ts';

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
const strings = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];

export const statusIn = (error: RunsError): string | null => {
  const status = record(error.details)['status'];
  return typeof status === 'string' ? status : null;
};

/** A refused submit in the API's words. `status` is the row's, for refusals that name none. */
export const submitRefusal = (error: RunsError, status: string): ApiError => {
  const details = record(error.details);
  switch (error.failure) {
    case FAILURES.refusedCallIds:
      return apiErrors.expectedOutputs(strings(details['expected']), strings(details['got']));
    case FAILURES.refusedConflict:
      return apiErrors.outputsDiffer(strings(details['callIds'] ?? error.details));
    case FAILURES.refusedNotWaiting:
    case FAILURES.refusedTooLate:
      return apiErrors.notWaiting(statusIn(error) ?? status);
    default:
      return apiErrors.invalid('tool_outputs', error.message);
  }
};

const ANSWER_CODES: Readonly<Record<string, string>> = {
  [FAILURES.refusedMalformed]: 'malformed_answer',
  [FAILURES.refusedUnknownCall]: 'unknown_call',
  [FAILURES.refusedConflict]: 'conflicting_answer',
  [FAILURES.refusedTooLate]: 'too_late',
  [FAILURES.refusedWrongKind]: 'wrong_kind',
  [FAILURES.refusedNotWaiting]: 'not_waiting',
  [FAILURES.refusedArguments]: 'invalid_arguments',
  [FAILURES.refusedDigest]: 'arguments_digest_mismatch',
};

export const answerRefusal = (error: RunsError): ApiError =>
  error.failure === FAILURES.refusedNotAllowed
    ? apiErrors.forbidden(error.message)
    : error.failure === FAILURES.refusedNoVote
      ? apiErrors.noVote(error.message)
      : apiErrors.invalid(null, error.message, ANSWER_CODES[error.failure ?? ''] ?? 'refused');

/**
 * For messages to an existing run: a message that timed out may have arrived, so the error does not claim that nothing
 * happened. A repeat is applied once.
 */
export const toOutcomeUnknown = (error: unknown): unknown =>
  error instanceof RunsError && (error.code === 'temporal_unavailable' || error.code === 'cancelled')
    ? apiErrors.mayStillArrive()
    : error;

const UNAVAILABLE: ReadonlySet<string> = new Set(['temporal_unavailable', 'no_worker', 'cancelled']);

export const isTransientApiError = (error: unknown): boolean =>
  (error instanceof RunsError && UNAVAILABLE.has(error.code)) ||
  (error instanceof StoreError && error.code === 'unavailable');

/** For errors without a more specific handler. */
export const fromRunsError = (error: unknown): unknown => {
  if (error instanceof StoreError) {
    if (error.code === 'unavailable') return apiErrors.unavailable('The database');
    if (error.code === 'output_conflict') return apiErrors.outputsDiffer(error.details);
    return error;
  }
  if (error instanceof RunsError) {
    if (error.code === 'no_worker') return apiErrors.noWorker();
    if (UNAVAILABLE.has(error.code)) return apiErrors.unavailable('The workflow service');
    if (error.code === 'invalid_input') return apiErrors.invalid(null, error.message);
  }
  return error;
};

/** Runs `work` and translates its errors for the HTTP client. */
export const withApiErrors = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    throw fromRunsError(error);
  }
};
