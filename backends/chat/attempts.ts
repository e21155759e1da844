/**
 * Counts the attempts of one turn and keeps how the last one failed; heartbeats pass both to the next attempt.
 *
 * Rule: an attempt in which the model may have generated counts against a budget, since each costs money; one that
 * never reached a model does not count, and is retried until the run expires. It counts before its request is sent, so
 * a dead worker's attempt counts too; an attempt that turns out to have cost nothing is subtracted in its last
 * heartbeat.
 * Imported within `backends/chat/` and by tests.
 */
import { BackendError } from '../../protocol/errors.ts';
import type { BackendContext, LastError, Progress, RunRef } from '../../protocol/ports/backend.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import type { ModelError } from '../../protocol/ports/model.ts';
import { fromModelError } from './model-failure.ts';
import { decisiveFailure } from './speakers.ts';

/** Attempts of a turn that may have reached a model. */
export const DEFAULT_MODEL_ATTEMPTS = 5;

/** Why an attempt gave no answer; the first seven also select the text of the run's `last_error` (last-error.ts). */
export type AttemptReason =
  /** Too many requests, or the quota is spent. */
  | 'rate_limited'
  /** The server refuses the prompt, its tools or its limits. */
  | 'rejected'
  | 'unauthorized'
  /** No such model or route, or no chat-completions server. */
  | 'unsupported'
  /** The model can't see, and the thread has an image. */
  | 'no_images'
  /** The server can't be reached, or can't answer now. */
  | 'unavailable'
  /** The answer began, and ended without a proper end. */
  | 'broken_off';

const PROMPT_STATUSES: ReadonlySet<number | null> = new Set([400, 413, 422]);

export const reasonOf = ({ kind, status, code, retryable }: ModelError): AttemptReason => {
  switch (kind) {
    case 'rate_limited':
    case 'unauthorized':
    case 'broken_off':
      return kind;
    case 'too_long':
      return 'rejected';
    case 'refused':
      return code === 'images_unsupported' ? 'no_images' : 'rejected';
    case 'rejected':
      return PROMPT_STATUSES.has(status) ? 'rejected' : 'unsupported';
    default:
      return retryable ? 'unavailable' : 'unsupported';
  }
};

export interface TurnAttempts {
  /** Throws when earlier attempts, lost with their workers, have used up the budget. */
  assertAffordable(): void;
  /** Call before each request. */
  asking(run: RunRef): void;
  /** The request failed, and another model is asked in its place. Throws when the budget is used up. */
  passed(failure: ModelError, model: string): void;
  /** The error when the last request of the attempt failed. `deadline`: unix ms after which waiting is useless. */
  failed(failures: readonly [ModelError, ...ModelError[]], deadline: number | null): BackendError;
  /** How the last attempt failed; null = none has. */
  last(): LastError | null;
}

const spent = (attempts: number, what: string, details: unknown[]): BackendError =>
  new BackendError(
    FAILURES.backendUnavailable,
    `The model was called ${attempts} times for this turn (RUNS_MODEL_ATTEMPTS) and gave no complete answer. ${what}`,
    { retryable: false, mayHaveHappened: true, details },
  );

/** The attempts of the turn of this activity attempt, kept in one process while the attempt lives. */
export const createTurnAttempts = (ctx: BackendContext, budget: number): TurnAttempts => {
  const before = ctx.previous?.asked ?? 0;
  /** Requests of this activity attempt that count, without the one under way. */
  let counted = before;
  let last: LastError | null = ctx.previous?.failed ?? null;
  let run: RunRef | undefined;
  const tell = (asked: number, more: Progress): void =>
    ctx.heartbeat({
      ...(run === undefined ? {} : { run }),
      ...more,
      asked,
      ...(last === null ? {} : { failed: last }),
    });
  /** Counts a failed request, and keeps it for the next attempt. */
  const note = (failure: ModelError, message: string): void => {
    if (failure.cost === 'turn') counted += 1;
    last = { code: reasonOf(failure), message };
    tell(counted, { sent: counted > before });
  };
  return {
    assertAffordable() {
      if (counted >= budget)
        throw spent(counted, last?.message ?? 'The workers that called it died.', [
          { reason: last?.code ?? ('broken_off' satisfies AttemptReason) },
        ]);
    },
    asking(where) {
      run = where;
      tell(counted + 1, { sent: true });
    },
    passed(failure, model) {
      note(failure, failure.message);
      ctx.log.warn(
        { model, reason: reasonOf(failure), status: failure.status, code: failure.code, asked: counted },
        'model did not answer: another one is asked',
      );
      this.assertAffordable();
    },
    failed(failures, deadline) {
      const { error: failure, retryAfterMs } = decisiveFailure(failures);
      const latest = failures.at(-1) ?? failure;
      const error = fromModelError(failure, { now: ctx.now(), attempt: ctx.attempt, deadline, retryAfterMs });
      note(latest, latest === failure ? error.message : latest.message);
      if (latest !== failure) last = { code: reasonOf(failure), message: error.message };
      const details = [{ status: failure.status, code: failure.code, reason: reasonOf(failure) }];
      ctx.log.warn({ ...details[0], asked: counted }, 'model attempt gave no answer');
      if (error.retryable && counted >= budget)
        return spent(counted, `The last error: ${error.message}`, details);
      return new BackendError(error.type, error.message, {
        retryable: error.retryable,
        retryAfterMs: error.retryAfterMs,
        mayHaveHappened: error.mayHaveHappened || counted > before,
        details,
      });
    },
    last: () => last,
  };
};
