/**
 * Ends an attempt at the run's expiry.
 *
 * Rule: from `expires_at` on, by this worker's clock, no request is sent, nothing is shown and no turn is settled: the
 * context's signal aborts, which closes the model's connection, and its fence throws. The caller then ends the run.
 * Imported within `backends/chat/`.
 */
import type { BackendContext } from '../../protocol/ports/backend.ts';

/** Thrown by the fence, and the reason of the signal: the run has expired. */
export class RunExpiredError extends Error {
  override readonly name = 'RunExpiredError';
  constructor(runId: string) {
    super(`Run ${JSON.stringify(runId)} has expired.`);
  }
}

export interface BoundContext {
  context: BackendContext;
  /** Has the run expired? */
  expired(): boolean;
  /** Clears the timer. */
  dispose(): void;
}

/** The longest that `setTimeout` waits, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * `ctx` for a run that lives until `expiresAt` (unix milliseconds; null = for ever). Call `dispose` at the end of the
 * turn.
 */
export const boundByExpiry = (
  ctx: BackendContext,
  run: { runId: string; expiresAt: number | null },
): BoundContext => {
  const { runId, expiresAt } = run;
  if (expiresAt === null) return { context: ctx, expired: () => false, dispose: () => undefined };
  const controller = new AbortController();
  let timer: NodeJS.Timeout | null = null;
  const expired = (): boolean => ctx.now() >= expiresAt;
  const end = (): void => {
    if (!controller.signal.aborted) controller.abort(new RunExpiredError(runId));
  };
  // Armed again when it fires early: the wall clock may have been set back, and one timer reaches 25 days at most.
  const arm = (): void => {
    if (expired()) end();
    else timer = setTimeout(arm, Math.min(MAX_TIMER_MS, Math.max(1, expiresAt - ctx.now())));
  };
  arm();
  return {
    context: {
      ...ctx,
      signal: AbortSignal.any([ctx.signal, controller.signal]),
      fence: () => {
        ctx.fence();
        if (expired()) end();
        controller.signal.throwIfAborted();
      },
    },
    expired,
    dispose: () => {
      if (timer !== null) clearTimeout(timer);
    },
  };
};
