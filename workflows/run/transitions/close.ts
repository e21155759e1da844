/**
 * Ends a run that does not end by itself: cancel, expiry, failure.
 *
 * Rule: closing starts one backend operation and nothing else. The status that this operation finds is the run's
 * result.
 * Imports the machine's pure parts, no SDK. Imported by the machine.
 */
import type { CloseHow, CloseTarget, LastError, Settled } from '../../../protocol/ports/backend.ts';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import { awaitsExpiry, hasNoExpiry, isExpired, schedulePoll } from '../deadline.ts';
import { assertNever } from '../effects.ts';
import { endRun, lastErrorOf, unusedLateAnswers } from './end.ts';
import type { ActivityFailureInfo, MachineState } from '../state.ts';

const closeTarget = (state: MachineState): CloseTarget =>
  state.run === null
    ? { kind: 'token', runId: state.about.runId, threadId: state.threadId, startedAt: state.startedAt }
    : { kind: 'run', run: state.run };

/** How an expired run is closed. `failure`: the failure of the last attempt, if there was one. */
export const expiry = ({ expiresAt }: MachineState, failure?: ActivityFailureInfo): CloseHow => ({
  kind: 'expire',
  expiresAt,
  // A timeout alone does not name a cause; only a failure that an attempt reported does.
  ...(failure === undefined || failure.type === '' ? {} : { error: lastErrorOf(failure) }),
});

/** After this only the close operation starts; tools and timers stop, since no call takes an answer any more (I2). */
export const startClose = (state: MachineState, how: CloseHow): MachineState => ({
  ...state,
  closing: how,
  tasks: state.tasks.filter((task) => task.kind !== 'recordAnswers'),
  op: { kind: 'close', target: closeTarget(state), how },
});

export const failRun = (state: MachineState, error: LastError): MachineState =>
  startClose(state, { kind: 'fail', error });

/**
 * Temporal gave the operation up because its next attempt would start after the expiry. The run must not end before its
 * expiry, so nothing starts until then.
 */
const untilExpiry = (state: MachineState, failure: ActivityFailureInfo): MachineState => ({
  ...state,
  op: null,
  closing: expiry(state, failure),
  tasks: state.tasks.filter((task) => task.kind !== 'recordAnswers'),
});

/** How a failed turn ends the run: by expiry, when it is due or no attempt fits before it; else by failure. */
const turnFailed = (state: MachineState, failure: ActivityFailureInfo, at: number): MachineState => {
  if (isExpired(state, at)) return startClose(state, expiry(state, failure));
  return state.about.backend === 'chat' && state.expiresAt !== null && failure.outOfTime === true
    ? untilExpiry(state, failure)
    : failRun(state, lastErrorOf(failure));
};

export const applyCancel = (state: MachineState): MachineState => {
  if ((state.closing !== null && !awaitsExpiry(state)) || state.ending !== null) return state;
  const how: CloseHow = { kind: 'cancel' };
  // Without a thread there is no run to close.
  if (state.threadId === null)
    return endRun({ ...state, closing: how }, { status: 'cancelled', submitted: false });
  // On `assistants`, a create in flight could take effect after the close found nothing: it is cancelled and its
  // outcome awaited. On `chat` the row exists from the beginning.
  if (state.op?.kind === 'create' && state.about.backend === 'assistants')
    return { ...state, closing: how, op: { kind: 'create', cancelling: true } };
  return startClose(state, how);
};

/** A turn whose report was lost may have asked for tools with a later expiry: then the run continues with them. */
export const wasProlonged = (state: MachineState, settlement: Settled): boolean =>
  state.about.backend === 'chat' &&
  state.closing?.kind === 'expire' &&
  settlement.status === 'requires_action' &&
  settlement.expiresAt !== null &&
  settlement.expiresAt > (state.expiresAt ?? Infinity);

/** The close has settled: the backend's status is the result. Our reason is kept where the backend confirms it. */
export const applyClose = (state: MachineState, settlement: Settled): MachineState => {
  const how: CloseHow = state.closing ?? { kind: 'cancel' };
  if (settlement.status === 'requires_action')
    return endRun(state, {
      lastError: {
        code: 'close_failed',
        message: 'The server still waits for outputs after the request to end the run.',
      },
      ...closeStatus(how),
      submitted: false,
    });
  const confirms =
    settlement.status === 'cancelled' ||
    (how.kind === 'fail' && settlement.status === 'failed') ||
    (how.kind === 'expire' && settlement.status === 'expired');
  return endRun(state, { ...settlement, ...(confirms ? closeStatus(how) : {}), submitted: false });
};

const closeStatus = (
  how: CloseHow,
): { status: 'cancelled' | 'expired' | 'failed'; lastError?: LastError } => {
  switch (how.kind) {
    case 'cancel':
      return { status: 'cancelled' };
    case 'expire':
      return { status: 'expired', ...(how.error === undefined ? {} : { lastError: how.error }) };
    case 'fail':
      return { status: 'failed', lastError: how.error };
    default:
      return assertNever(how);
  }
};

/** The upstream refused for good, and created nothing. */
const PERMANENT_FAILURES: readonly string[] = [
  FAILURES.backendRejected,
  FAILURES.backendNotFound,
  FAILURES.backendUnauthorized,
  FAILURES.backendBusy,
];

/**
 * Failures that say nothing about the run: the server was unreachable, or refused the key. '' is the type of a timeout.
 */
const TRANSIENT_FAILURES: readonly string[] = [FAILURES.backendUnavailable, FAILURES.backendUnauthorized, ''];

/** The operation in flight failed for good. */
export const applyOperationFailure = (
  state: MachineState,
  failure: ActivityFailureInfo,
  at: number,
): MachineState => {
  const op = state.op;
  if (op === null) return state;
  const error = lastErrorOf(failure);
  // The start was rolled back: no run exists, and no hook is called.
  if (failure.type === FAILURES.backendNoSuchRow)
    return endRun(
      { ...state, about: { ...state.about, onEnd: false } },
      { status: 'failed', submitted: false, lastError: error },
    );
  switch (op.kind) {
    case 'createThread':
      return endRun(state, { status: 'failed', submitted: false, lastError: error });
    case 'create':
      if (state.closing !== null) return startClose(state, state.closing);
      if (state.about.backend === 'assistants' && PERMANENT_FAILURES.includes(failure.type))
        return endRun(state, { status: 'failed', submitted: false, lastError: error });
      return turnFailed(state, failure, at);
    case 'follow':
      // Nothing was due: the run waits as before, and the submit will meet any lasting failure.
      if (hasNoExpiry(state) && TRANSIENT_FAILURES.includes(failure.type))
        return schedulePoll({ ...state, op: null }, state.rechecks + 1, at);
      return turnFailed(state, failure, at);
    case 'submit':
      return turnFailed(state, failure, at);
    case 'close':
      return endRun(state, {
        lastError: { code: 'close_failed', message: error.message },
        ...closeStatus(op.how),
        submitted: false,
      });
    case 'startFollowUp':
      // Answers that arrived are reported as unused; later ones need a new run.
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
                unusedAnswers: [...state.ending.result.unusedAnswers, ...unusedLateAnswers(state, 'failed')],
              },
            },
          };
    case 'notifyEnd':
      return { ...state, op: null, ended: true };
    default:
      return assertNever(op);
  }
};
