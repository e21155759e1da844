/**
 * A run's lifecycle as a pure function: `step(state, input)` gives the next state and what the world must do.
 *
 * Rules, cited below by number:
 * I1 a round's outputs leave once, all together, in the model's order;
 * I2 a run that has ended, or is being closed, accepts nothing and starts nothing but its own end;
 * I3 expiry beats a late output (natively by our clock, elsewhere by the server's verdict);
 * I4 every acknowledged answer is submitted or reported as unused;
 * I5 at most one backend operation is in flight; what is not expected is ignored, since it comes from one told to stop.
 * No SDK, no clock, no ids of its own. The driver and tests import it.
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

/** Nothing was in flight when the execution changed: a create that was to stop has not begun, so only its token is looked for. */
const resumeState = (state: MachineState): MachineState =>
  state.op?.kind === 'create' && state.closing !== null ? startClose(state, state.closing) : state;

/** What the state would be if nothing had been started yet: the difference to it is what must be started. */
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

/** What was given up stays owed: an entry for the store then travels with the round's outputs or the run's end. */
const taskDone = (
  state: MachineState,
  { key, failed }: Extract<Input, { type: 'taskDone' }>,
): MachineState => {
  const task = state.tasks.find((item) => item.key === key);
  if (task === undefined) return state;
  const next = { ...state, tasks: state.tasks.filter((item) => item !== task) };
  if (task.kind !== 'recordDecision' || failed === true) return next;
  const { round, callId, at } = task.decision;
  return markStored(next, (item) => item.round === round && item.callId === callId && item.at === at);
};

/** Once nothing of the run itself is left to do, its end is told: late calls handed over, then the hook, then the finish. */
const advanceEnding = (state: MachineState): MachineState => {
  if (state.ending === null || state.op !== null || state.ended) return state;
  if (state.late.length > 0) return { ...state, op: { kind: 'startFollowUp' } };
  return state.about.onEnd && state.op === null
    ? { ...state, op: { kind: 'notifyEnd' } }
    : { ...state, ended: true };
};

/** Last touch of every step: the end's own chain, and the one timer. */
const withTimer = (state: MachineState, at: number): MachineState => {
  const next = advanceEnding(state);
  const wanted = nextWakeUp(next);
  // An armed timer that comes too early is left alone: it costs less than two events to arm it anew.
  const timer =
    wanted === null
      ? null
      : next.timer !== null && next.timer.at <= wanted
        ? next.timer
        : { at: Math.max(wanted, at) };
  return timer === next.timer ? next : { ...next, timer };
};
