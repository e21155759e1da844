/**
 * How a run is brought to its end when it does not come there by itself: cancel, expiry, failure.
 *
 * Rule: closing starts one backend operation and nothing else; what that operation finds is the truth that is told.
 * Imports the machine's pure parts, no SDK. The machine imports it.
 */
import type { CloseHow, CloseTarget, LastError, Settled } from '../../protocol/backend.ts';
import { FAILURES } from '../../protocol/names.ts';
import { endless, expired, withNextLook } from './deadline.ts';
import { never } from './effects.ts';
import { ended, errorOf, lateUnused } from './ending.ts';
import type { Failure, RunState } from './state.ts';

const closeTarget = (state: RunState): CloseTarget =>
  state.run === null
    ? { kind: 'token', runId: state.about.runId, threadId: state.threadId, startedAt: state.startedAt }
    : { kind: 'run', run: state.run };

/** From here on nothing is started but the close; tools and timers stop, since no call takes an answer any more (I2). */
export const closing = (state: RunState, how: CloseHow): RunState => ({
  ...state,
  closing: how,
  tasks: state.tasks.filter((task) => task.kind !== 'recordAnswers'),
  op: { kind: 'close', target: closeTarget(state), how },
});

export const failing = (state: RunState, error: LastError): RunState =>
  closing(state, { kind: 'fail', error });

export const cancelled = (state: RunState): RunState => {
  if (state.closing !== null || state.ending !== null) return state;
  const how: CloseHow = { kind: 'cancel' };
  // Without a thread there is no run to close.
  if (state.threadId === null)
    return ended({ ...state, closing: how }, { status: 'cancelled', submitted: false });
  // On somebody else's server a create that is still under way could land after the close had looked for it in vain:
  // it is told to stop and its outcome awaited. Natively the row is there from the beginning.
  if (state.op?.kind === 'create' && state.about.backend === 'assistants')
    return { ...state, closing: how, op: { kind: 'create', cancelling: true } };
  return closing(state, how);
};

/** The close has settled: what the backend says is the truth; our reason stands where it merely confirms. */
export const closed = (state: RunState, settlement: Settled): RunState => {
  const how: CloseHow = state.closing ?? { kind: 'cancel' };
  if (settlement.status === 'requires_action')
    return ended(state, {
      lastError: {
        code: 'close_failed',
        message: 'The server still waits for outputs after it was asked to end the run.',
      },
      ...closeStatus(how),
      submitted: false,
    });
  const confirms =
    settlement.status === 'cancelled' || (how.kind === 'fail' && settlement.status === 'failed');
  return ended(state, { ...settlement, ...(confirms ? closeStatus(how) : {}), submitted: false });
};

const closeStatus = (
  how: CloseHow,
): { status: 'cancelled' | 'expired' | 'failed'; lastError?: LastError } => {
  switch (how.kind) {
    case 'cancel':
      return { status: 'cancelled' };
    case 'expire':
      return { status: 'expired' };
    case 'fail':
      return { status: 'failed', lastError: how.error };
    default:
      return never(how);
  }
};

/** The server has said no for good, and nothing was created there. */
const DEFINITIVE: readonly string[] = [
  FAILURES.backendRejected,
  FAILURES.backendNotFound,
  FAILURES.backendUnauthorized,
  FAILURES.backendBusy,
];

/** Says nothing about the run: the server was away or the key refused. '' is a timeout's. */
const PASSING: readonly string[] = [FAILURES.backendUnavailable, FAILURES.backendUnauthorized, ''];

/** The operation in flight failed for good. */
export const opFailed = (state: RunState, failure: Failure, at: number): RunState => {
  const op = state.op;
  if (op === null) return state;
  const error = errorOf(failure);
  // The start was rolled back: there is no run to end and nobody to tell.
  if (failure.type === FAILURES.backendNoSuchRow)
    return ended(
      { ...state, about: { ...state.about, onEnd: false } },
      { status: 'failed', submitted: false, lastError: error },
    );
  switch (op.kind) {
    case 'createThread':
      return ended(state, { status: 'failed', submitted: false, lastError: error });
    case 'create':
      if (state.closing !== null) return closing(state, state.closing);
      if (state.about.backend === 'assistants' && DEFINITIVE.includes(failure.type))
        return ended(state, { status: 'failed', submitted: false, lastError: error });
      return expired(state, at) ? closing(state, { kind: 'expire' }) : failing(state, error);
    case 'follow':
      // Nothing was due: the run waits as before, and the submit will meet whatever is wrong.
      if (endless(state) && PASSING.includes(failure.type))
        return withNextLook({ ...state, op: null }, state.rechecks + 1, at);
      return expired(state, at) ? closing(state, { kind: 'expire' }) : failing(state, error);
    case 'submit':
      return expired(state, at) ? closing(state, { kind: 'expire' }) : failing(state, error);
    case 'close':
      return ended(state, {
        lastError: { code: 'close_failed', message: error.message },
        ...closeStatus(op.how),
        submitted: false,
      });
    case 'startFollowUp':
      // The answers that had come are reported; what comes now can only go to a new run.
      return state.ending === null
        ? state
        : {
            ...state,
            op: null,
            late: [],
            ending: {
              ...state.ending,
              result: {
                ...state.ending.result,
                unusedAnswers: [...state.ending.result.unusedAnswers, ...lateUnused(state, 'failed')],
              },
            },
          };
    case 'notifyEnd':
      return { ...state, op: null, ended: true };
    default:
      return never(op);
  }
};
