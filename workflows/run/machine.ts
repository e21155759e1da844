/**
 * The lifecycle of a run as a pure function: `step(state, input)` returns the next state and its effects.
 *
 * Rules, cited below by number: I1 the outputs of a round leave once, together, in the model's order; I2 a run that has
 * ended or is being closed accepts nothing and starts nothing but its end; I3 expiry wins over a late output (on `chat`
 * by our clock, on `assistants` by the upstream's status); I4 every acknowledged answer is submitted or reported as
 * unused; I5 at most one backend operation is in flight; the result of a cancelled operation is ignored. No SDK, no
 * clock, no generated ids. Imported by the driver and tests.
 */
import { applyAnswer, applySubmit, applyOutcome } from './transitions/answer.ts';
import { failedOutcome } from './call-state.ts';
import { applyCancel, startClose, applyOperationFailure } from './transitions/close.ts';
import { awaitsExpiry, isExpired, nextWakeUp } from './deadline.ts';
import { markStored } from './decisions.ts';
import { effectsBetween, assertNever } from './effects.ts';
import type { Effect } from './effects.ts';
import { advanceRound, applySettlement } from './transitions/round.ts';
import { initialState } from './state.ts';
import type { Input, MachineState } from './state.ts';

export interface Step {
  state: MachineState;
  effects: Effect[];
}

export const step = (state: MachineState, input: Input): Step => {
  if (state.ended) return { state, effects: [] };
  if (input.type === 'resume') {
    const next = withTimer(resumeState(state), input.at);
    return { state: next, effects: effectsBetween(nothingInFlight(next), next, { op: false }) };
  }
  const next = withTimer(transition(state, input), input.at);
  const finished = finishedWork(state, input);
  return { state: next, effects: effectsBetween(state, next, finished) };
};

/**
 * No operation was in flight when the execution changed, so a create that was to be cancelled has not started: closing
 * looks for its token only.
 */
const resumeState = (state: MachineState): MachineState =>
  state.op?.kind === 'create' && state.closing !== null ? startClose(state, state.closing) : state;

/** The state as if nothing had started: the difference to the real state is what must start. */
const nothingInFlight = (state: MachineState): MachineState => ({
  ...initialState({
    ...state.about,
    threadId: state.threadId,
    params: {},
    metadata: {},
    busy: 'fail',
    expiresAt: null,
    createdAt: null,
    searchAttributes: false,
    hooks: { onWaiting: false, onEnd: false },
    settings: {},
  }),
  startedAt: state.startedAt,
});

const finishedWork = (state: MachineState, input: Input): { op: boolean; callId?: string; timer?: true } => {
  switch (input.type) {
    case 'settled':
    case 'activityFailed':
      return { op: state.op?.kind === input.via };
    case 'threadCreated':
      return { op: state.op?.kind === 'createThread' };
    case 'followUpStarted':
      return { op: state.op?.kind === 'startFollowUp' };
    case 'endNotified':
      return { op: state.op?.kind === 'notifyEnd' };
    case 'callDone':
    case 'callFailed':
      return { op: false, callId: input.callId };
    case 'deadline':
      return { op: false, timer: true };
    default:
      return { op: false };
  }
};

const transition = (state: MachineState, input: Exclude<Input, { type: 'resume' }>): MachineState => {
  switch (input.type) {
    case 'start':
      return state.startedAt !== 0
        ? state
        : {
            ...state,
            startedAt: input.at,
            op: { kind: state.threadId === null ? 'createThread' : 'create' },
          };
    case 'threadCreated':
      return state.op?.kind === 'createThread'
        ? { ...state, threadId: input.threadId, op: { kind: 'create' } }
        : state;
    case 'settled':
      return state.op?.kind === input.via
        ? applySettlement(state, input.via, input.settlement, input.at)
        : state;
    case 'activityFailed':
      return state.op?.kind === input.via
        ? advanceRound(applyOperationFailure(state, input.failure, input.at), input.at)
        : state;
    case 'followUpStarted':
      return state.op?.kind === 'startFollowUp' && state.ending !== null
        ? {
            ...state,
            op: null,
            late: [],
            ending: { ...state.ending, result: { ...state.ending.result, followUp: input.workflowId } },
          }
        : state;
    case 'endNotified':
      return state.op?.kind === 'notifyEnd' ? { ...state, op: null, ended: true } : state;
    case 'callDone':
      return applyOutcome(state, input.callId, input.at, () => input.outcome);
    case 'callFailed':
      return applyOutcome(state, input.callId, input.at, (call) => failedOutcome(call, input.failure));
    case 'answer':
      return applyAnswer(state, input);
    case 'submit':
      return applySubmit(state, input);
    case 'deadline':
      return awaitsExpiry(state) && state.closing !== null && isExpired(state, input.at)
        ? startClose({ ...state, timer: null }, state.closing)
        : advanceRound({ ...state, timer: null }, input.at);
    case 'cancelRequested':
      return applyCancel(state);
    case 'taskDone':
      return taskDone(state, input);
    default:
      return assertNever(input);
  }
};

/** A task that failed is not lost: its entry reaches the store with the outputs of the round or with the run's end. */
const taskDone = (
  state: MachineState,
  { key, failed }: Extract<Input, { type: 'taskDone' }>,
): MachineState => {
  const task = state.tasks.find((item) => item.key === key);
  if (task === undefined) return state;
  const next = { ...state, tasks: state.tasks.filter((item) => item !== task) };
  if (task.kind !== 'recordDecision' || failed === true) return next;
  const { round, callId, at, entry } = task.decision;
  return markStored(
    next,
    (item) => item.round === round && item.callId === callId && item.at === at && item.entry === entry,
  );
};

/**
 * When the run itself has nothing left to do, its end follows: late calls are handed over, the hook is called, the
 * workflow finishes.
 */
const advanceEnding = (state: MachineState): MachineState => {
  if (state.ending === null || state.op !== null || state.ended) return state;
  if (state.late.length > 0) return { ...state, op: { kind: 'startFollowUp' } };
  return state.about.onEnd && state.op === null
    ? { ...state, op: { kind: 'notifyEnd' } }
    : { ...state, ended: true };
};

/** The last part of every step: the run's end, and the one timer. */
const withTimer = (state: MachineState, at: number): MachineState => {
  const next = advanceEnding(state);
  const wanted = nextWakeUp(next);
  // An armed timer that fires too early stays armed: arming another costs two history events.
  const timer =
    wanted === null
      ? null
      : next.timer !== null && next.timer.at <= wanted
        ? next.timer
        : { at: Math.max(wanted, at) };
  return timer === next.timer ? next : { ...next, timer };
};
