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
import type { ModelError } from '../../protocol/ports/model.ts';
import { fromModelError } from './model-failure.ts';

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

const PROMPT_STATUSES: ReadonlySet<number | null> = new Set([400, 413, 422]);

export const reasonOf = ({ kind, status, retryable }: ModelError): AttemptReason => {
  switch (kind) {
    case 'rate_limited':
    case 'unauthorized':
    case 'broken_off':
      return kind;
    case 'too_long':
    case 'refused':
      return 'rejected';
    case 'rejected':
      return PROMPT_STATUSES.has(status) ? 'rejected' : 'unsupported';
    default:
      return retryable ? 'unavailable' : 'unsupported';
  }
};

export interface TurnAttempts {
  /** Throws when earlier attempts, lost with their workers, have used the budget up. */
  assertAffordable(): void;
  /** Call before each request. */
  asking(run: RunRef): void;
  /** What is thrown for a failed request. `deadline`: unix ms after which waiting is of no use. */
  failed(failure: ModelError, deadline: number | null): BackendError;
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
    failed(failure, deadline) {
      const error = fromModelError(failure, { now: ctx.now(), attempt: ctx.attempt, deadline });
      const reason = reasonOf(failure);
      const asked = failure.cost === 'turn' ? before + 1 : before;
      last = { code: reason, message: error.message };
      tell(asked, { sent: asked > before });
      const details = [{ status: failure.status, code: failure.code, reason }];
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
