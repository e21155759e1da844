/**
 * What the attempts of one turn have cost, and how the last one failed: told to the next attempt by heartbeat.
 *
 * Rule: an attempt that may have made the model generate counts against a budget, since each is paid for; one that never
 * reached a model does not, and is repeated until the run expires. An attempt counts from before its request is sent, so
 * one that dies with its worker counts too; one that turns out to have cost nothing takes itself back as its last word.
 * Imported within `backends/chat/` and by tests.
 */
import { BackendError } from '../../protocol/errors.ts';
import type { BackendContext, LastError, Progress, RunRef } from '../../protocol/ports/backend.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import { toBackendError, type HttpFailure } from '../http/index.ts';

/** Attempts of a turn that may have reached a model. */
export const DEFAULT_MODEL_ATTEMPTS = 5;

/** Why an attempt gave no answer; the first six also name what the run's `last_error` says (last-error.ts). */
export type AttemptReason =
  /** Too many requests, or the quota is spent. */
  | 'rate_limited'
  /** The server refuses the prompt, its tools or its limits. */
  | 'rejected'
  | 'unauthorized'
  /** No such model or route, or no chat-completions server. */
  | 'unsupported'
  /** The server is not there, or not able to answer now. */
  | 'unavailable'
  /** The answer began and did not end as an answer ends. */
  | 'broken_off';

/** Longer than this, a server that then breaks the connection has most likely been generating. Milliseconds. */
const GENERATING_AFTER_MS = 5_000;
const PROMPT_STATUSES: readonly (number | null)[] = [400, 413, 422];
/** A proxy gave up waiting for a server that was at work. */
const GATEWAY_TIMEOUTS: readonly (number | null)[] = [504, 524];

export const reasonOf = (failure: HttpFailure, begun: boolean): AttemptReason => {
  const { kind, status } = failure;
  if (status === 429) return 'rate_limited';
  if (kind === 'key' || status === 401 || status === 403) return 'unauthorized';
  if (PROMPT_STATUSES.includes(status)) return 'rejected';
  if (begun || (kind === 'network_ambiguous' && status !== null)) return 'broken_off';
  return failure.verdict.nonRetryable ? 'unsupported' : 'unavailable';
};

/** May the model have generated an answer, or a part of one? `begun`: a part of it came; `heldMs`: how long the request took. */
export const costsTurn = (failure: HttpFailure, begun: boolean, heldMs: number): boolean => {
  const { kind, status } = failure;
  if (begun) return true;
  switch (kind) {
    case 'network_ambiguous':
      return status !== null || heldMs >= GENERATING_AFTER_MS;
    case 'timeout':
      return true;
    case 'bad_body':
      return status !== null;
    case 'status':
      return GATEWAY_TIMEOUTS.includes(status);
    default:
      return false;
  }
};

export interface TurnAttempts {
  /** Throws when earlier attempts, lost with their workers, have used the budget up. */
  assertAffordable(): void;
  /** Call before each request. */
  asking(run: RunRef): void;
  /** What is thrown for a failed request. `begun`: a part of the answer came; `heldMs`: how long the request took. */
  failed(
    failure: HttpFailure,
    seen: { begun: boolean; heldMs: number; deadline: number | null },
  ): BackendError;
  /** How the last attempt failed; null = none has. */
  last(): LastError | null;
}

const spent = (attempts: number, what: string, details: unknown[]): BackendError =>
  new BackendError(
    FAILURES.backendUnavailable,
    `The model was asked ${attempts} times for this turn (RUNS_MODEL_ATTEMPTS) and gave no whole answer. ${what}`,
    { retryable: false, mayHaveHappened: true, details },
  );

/** The attempts of the turn that this activity attempt works on, in one process for as long as the attempt lives. */
export const createTurnAttempts = (ctx: BackendContext, budget: number): TurnAttempts => {
  const before = ctx.previous?.asked ?? 0;
  let last: LastError | null = ctx.previous?.failed ?? null;
  let run: RunRef | undefined;
  const tell = (asked: number, more: Progress): void =>
    ctx.heartbeat({
      ...(run === undefined ? {} : { run }),
      ...more,
      asked,
      ...(last === null ? {} : { failed: last }),
    });
  return {
    assertAffordable() {
      if (before >= budget)
        throw spent(before, last?.message ?? 'The workers that asked were lost.', [
          { reason: last?.code ?? ('broken_off' satisfies AttemptReason) },
        ]);
    },
    asking(where) {
      run = where;
      tell(before + 1, { sent: true });
    },
    failed(failure, { begun, heldMs, deadline }) {
      const error = toBackendError(failure, { now: ctx.now(), attempt: ctx.attempt, deadline });
      const reason = reasonOf(failure, begun);
      const asked = costsTurn(failure, begun, heldMs) ? before + 1 : before;
      last = { code: reason, message: error.message };
      tell(asked, { sent: asked > before });
      const details = [{ status: failure.status, code: failure.error?.code ?? null, reason }];
      ctx.log.warn({ ...details[0], asked }, 'model attempt gave no answer');
      if (error.retryable && asked >= budget) return spent(asked, `The last time: ${error.message}`, details);
      return new BackendError(error.type, error.message, {
        retryable: error.retryable,
        retryAfterMs: error.retryAfterMs,
        mayHaveHappened: error.mayHaveHappened,
        details,
      });
    },
    last: () => last,
  };
};
