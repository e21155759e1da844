/**
 * A run's row as a settlement, and the store's troubles as a backend's. Pure.
 *
 * Rule: distilled: what is returned goes into workflow history. Imported within `backends/chat/` and by tests.
 */
import type { RunRef, Settled } from '../../protocol/ports/backend.ts';
import type { PlannedCall } from '../../protocol/tool-calls.ts';
import { BackendError } from '../../protocol/errors.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import { StoreError, type StoredRunState } from '../../protocol/ports/run-store.ts';
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

/** The workflow keeps this much of a run's life free before its expiry; a test compares the two. */
const MARGIN = { share: 0.05, leastMs: 5_000 };

/** How long the run must live for one call: the promised time, and what comes after it. null = nothing was promised. */
const neededUntil = ({ plan }: PlannedCall, createdAt: number, now: number): number | null => {
  if (plan.kind !== 'external' && plan.kind !== 'approval') return null;
  const { answerWithinMs, onDeadline } = plan.wait;
  if (answerWithinMs === null) return null;
  const until = now + answerWithinMs;
  if (plan.kind === 'external' && onDeadline === 'fail') return until;
  // Approved at the last moment the tool still has to run, and a placeholder still has to be read.
  const busy = until + (plan.kind === 'approval' ? plan.policy.startToCloseMs : 0);
  return Math.max(busy + MARGIN.leastMs, createdAt + Math.ceil((busy - createdAt) / (1 - MARGIN.share)));
};

/** Until when the run must live so that everybody who is asked has the time they were promised. null = no change. */
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

/** Who works on what at the end of the run's row, in the terms of a backend. Others pass unchanged. */
export const fromStoreError = (error: unknown): unknown => {
  if (!(error instanceof StoreError)) return error;
  switch (error.code) {
    case 'unavailable':
      return new BackendError(FAILURES.backendUnavailable, error.message, {
        retryable: true,
        mayHaveHappened: true,
        cause: error,
      });
    // Another attempt has the run, or it has ended: the next look says which.
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
