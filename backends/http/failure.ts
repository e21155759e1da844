/**
 * Errors of the HTTP client, and their translation into the error that leaves a backend.
 *
 * Rule: a failure has facts (status, code, the server's own error), never a header, a body or a cause: those may hold a
 * key. Messages name method, route and origin only. Branch on `kind`, `status` and `verdict`. Imports the classifier
 * and protocol errors. Backends import it.
 */
import { BackendError } from '../../protocol/errors.ts';
import { FAILURES, type FailureType } from '../../protocol/temporal/names.ts';
import { backoffMs, boundedRetryAfter } from '../retry-after.ts';
import { classify, type Evidence, type Verdict } from './classify.ts';

/** The error body of the wire, as far as the server sent one. Texts are cut and scrubbed. */
export interface ServerError {
  message: string;
  type: string | null;
  code: string | null;
  param: string | null;
}

export interface FailureFacts extends Evidence {
  /** `POST /threads/{thread}/runs`: what was asked, without ids. */
  route: string;
  /** Scheme, host and port. */
  origin: string;
  /** System or library code such as `ECONNRESET`. */
  networkCode: string | null;
  error: ServerError | null;
  /** Unix ms by the server's `date` header. */
  serverTime: number | null;
  /** The sentence's end: what happened. */
  what: string;
}

export class HttpFailure extends Error {
  override readonly name = 'HttpFailure';
  readonly facts: FailureFacts;
  readonly verdict: Verdict;

  constructor(facts: FailureFacts) {
    super(`${facts.route} at ${facts.origin}: ${facts.what}`);
    this.facts = facts;
    this.verdict = classify(facts);
  }

  get kind(): FailureFacts['kind'] {
    return this.facts.kind;
  }
  get status(): number | null {
    return this.facts.status;
  }
  get error(): ServerError | null {
    return this.facts.error;
  }
  /** True when the server may have carried the request out. */
  get mayHaveHappened(): boolean {
    return this.verdict.mayHaveHappened;
  }
}

const FIX: Partial<Record<FailureType, string>> = {
  [FAILURES.backendUnauthorized]: 'Check the API key and what it may access.',
  [FAILURES.backendNotFound]: 'Check the id and the base URL.',
  [FAILURES.backendUnsupported]: 'Check that the base URL is that of an API and includes its version path.',
};

export interface HttpErrorContext {
  now: number;
  /** Attempt of the caller, from 1: spreads retries when the server names no time. */
  attempt: number;
  random?: () => number;
  /** Unix ms after which waiting is of no use; null = unknown. */
  deadline?: number | null;
  retryAfterCapMs?: number;
}

/**
 * A `BackendError` for the caller's retry machinery. A wait is always named for retryable errors: the server's within
 * bounds, or exponential backoff with jitter, so that a herd of runs does not come back in step.
 */
export const toBackendError = (failure: HttpFailure, context: HttpErrorContext): BackendError => {
  const { verdict, facts } = failure;
  const fix = facts.badBody === 'too_large' ? undefined : FIX[verdict.type];
  const bounded = boundedRetryAfter(verdict.retryAfterMs, {
    now: context.now,
    deadline: context.deadline ?? null,
    ...(context.retryAfterCapMs === undefined ? {} : { capMs: context.retryAfterCapMs }),
  });
  return new BackendError(verdict.type, fix === undefined ? failure.message : `${failure.message} ${fix}`, {
    retryable: !verdict.nonRetryable,
    retryAfterMs: verdict.nonRetryable
      ? null
      : (bounded ?? backoffMs(context.attempt, (context.random ?? Math.random)())),
    mayHaveHappened: verdict.mayHaveHappened,
    details: [{ status: facts.status, code: facts.error?.code ?? facts.networkCode }],
  });
};
