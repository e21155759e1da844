/**
 * Translates a run's row into a settlement, and errors of the store into errors of a backend. Pure.
 *
 * Rule: short, because the result is stored in workflow history. Imported within `backends/chat/` and by tests.
 */
import type { RunRef, Settled } from '../../protocol/ports/backend.ts';
import type { PlannedCall } from '../../protocol/tool-calls.ts';
import { BackendError } from '../../protocol/errors.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import { StoreError } from '../../protocol/ports/store-error.ts';
import type { StoredRunState } from '../../protocol/ports/turn-store.ts';
import { isTerminal } from '../../protocol/wire/objects.ts';

const refOf = (state: StoredRunState): RunRef => ({ backendRunId: state.runId, threadId: state.threadId });

/** Only for runs that have ended or wait for outputs. */
export const toSettled = (state: StoredRunState): Settled => {
  if (isTerminal(state.status))
    return {
      status: state.status,
      run: refOf(state),
      ...(state.usage === null ? {} : { usage: state.usage }),
      ...(state.lastError === null ? {} : { lastError: state.lastError }),
      ...(state.incompleteReason === null ? {} : { incompleteDetails: { reason: state.incompleteReason } }),
    };
  return {
    status: 'requires_action',
    run: refOf(state),
    calls: state.round?.calls ?? [],
    expiresAt: state.expiresAt,
    createdAt: state.createdAt,
  };
};

/** The margin that the workflow keeps before a run's expiry; a test compares the two. */
const MARGIN = { share: 0.05, leastMs: 5_000 };

/** How long the run must live for one call: its wait, and the time after it. null = the call has no wait of its own. */
const neededUntil = ({ plan }: PlannedCall, createdAt: number, now: number): number | null => {
  if (plan.kind !== 'external' && plan.kind !== 'approval') return null;
  const { answerWithinMs, onDeadline } = plan.wait;
  if (answerWithinMs === null) return null;
  const until = now + answerWithinMs;
  if (plan.kind === 'external' && onDeadline === 'fail') return until;
  // After an approval at the last moment the tool must still run; after a placeholder the model must still answer.
  const busy = until + (plan.kind === 'approval' ? plan.policy.startToCloseMs : 0);
  return Math.max(busy + MARGIN.leastMs, createdAt + Math.ceil((busy - createdAt) / (1 - MARGIN.share)));
};

/** The expiry that gives every call its full wait. null = no change. */
export const extendedExpiry = (
  calls: readonly PlannedCall[],
  state: Pick<StoredRunState, 'createdAt' | 'expiresAt'>,
  now: number,
): number | null => {
  const { createdAt, expiresAt } = state;
  if (expiresAt === null) return null;
  const until = Math.max(0, ...calls.map((call) => neededUntil(call, createdAt, now) ?? 0));
  return until > expiresAt ? until : null;
};

/** Translates the store's errors about the run's row into those of a backend. Others pass unchanged. */
export const fromStoreError = (error: unknown): unknown => {
  if (!(error instanceof StoreError)) return error;
  switch (error.code) {
    case 'unavailable':
      return new BackendError(FAILURES.backendUnavailable, error.message, {
        retryable: true,
        mayHaveHappened: true,
        cause: error,
      });
    // Another attempt has the run, or it has ended: the next attempt finds out.
    case 'lease_lost':
      return new BackendError(FAILURES.backendUnavailable, error.message, { retryable: true, cause: error });
    case 'no_such_run':
      return new BackendError(FAILURES.backendNoSuchRow, error.message, { cause: error });
    default:
      return new BackendError(FAILURES.backendConflict, error.message, {
        details: [{ callIds: [...error.details] }],
        cause: error,
      });
  }
};
