/**
 * A round from its settlement to its submit.
 *
 * Rules (numbered in machine.ts): outputs leave once, together and in order (I1); expiry comes first (I3); answers that
 * another client made useless are reported (I4).
 * Imports the machine's pure parts, no SDK. Imported by the machine.
 */
import type { Settled } from '../../../protocol/ports/backend.ts';
import type { UnusedAnswer } from '../../../protocol/temporal/messages.ts';
import { newCallState, archiveCall, placeholderOutcome, requestOf } from '../call-state.ts';
import { applyClose, expiry, failRun, startClose, wasProlonged } from './close.ts';
import { nextDue, schedulePoll } from '../deadline.ts';
import { markStored } from '../decisions.ts';
import { assertNever } from '../effects.ts';
import { endRun, undecidedVotes, unusedOf } from './end.ts';
import type { Terminal } from './end.ts';
import { withNotices } from './notices.ts';
import { MAX_PAYLOAD_BYTES, fitOutputs, storedBytes } from '../fit-outputs.ts';
import { recordedCalls, takesAnswers, waitingCalls } from '../state.ts';
import type { CallState, LateCall, MachineState, SettlingOperation } from '../state.ts';

export const applySettlement = (
  before: MachineState,
  via: SettlingOperation,
  settlement: Settled,
  at: number,
): MachineState => {
  const run = settlement.run ?? before.run;
  const seen: MachineState = {
    ...(via === 'submit' ? markStored(before, ({ late }) => late !== true) : before),
    run,
    threadId: run?.threadId ?? before.threadId,
  };
  if (via === 'close' && !wasProlonged(seen, settlement)) return applyClose(seen, settlement);
  if (settlement.status !== 'requires_action')
    return endRun(seen, { ...settlement, submitted: outputsAccepted(via, settlement) });
  const state: MachineState = via === 'close' ? { ...seen, closing: null } : seen;
  // A cancelled create has settled: the run is known now and can be closed.
  if (state.closing !== null) return startClose(state, state.closing);
  const known: MachineState = {
    ...state,
    op: null,
    createdAt: settlement.createdAt,
    expiresAt: settlement.expiresAt ?? (state.about.backend === 'chat' ? state.expiresAt : null),
  };
  const same =
    via === 'follow' && (sameCalls(state.calls, settlement.calls) || wasAnswered(state, settlement.calls));
  const late = known.about.backend === 'assistants' && known.expiresAt !== null && at >= known.expiresAt;
  // The upstream named this round before the expiry, and no worker ran until after it. The run has most likely ended,
  // so no call starts: the workflow polls once more.
  if (late && via !== 'follow') {
    const past = [...state.past, ...state.calls.map((call) => archiveCall(call, state.round))];
    return { ...known, past, calls: [], op: { kind: 'follow' } };
  }
  const looked = schedulePoll({ ...known, lax: late }, same ? state.rechecks + 1 : 0, at);
  return same ? advanceRound(looked, at) : nextRound(looked, via, settlement.calls, at);
};

/**
 * True when the run read the outputs of the round. Without a word from the backend, an expired or cancelled run did
 * not.
 */
const outputsAccepted = (via: SettlingOperation, settlement: Terminal): boolean =>
  via === 'submit' &&
  (settlement.outputsTaken ?? (settlement.status !== 'expired' && settlement.status !== 'cancelled'));

const sameCalls = (calls: readonly CallState[], settledCalls: readonly { callId: string }[]): boolean => {
  const ids = new Set(settledCalls.map((call) => call.callId));
  return ids.size === calls.length && calls.every((call) => ids.has(call.callId));
};

/**
 * True when the settlement repeats an earlier round while calls of this round are open. Its calls must not run again.
 */
const wasAnswered = (state: MachineState, settledCalls: readonly { callId: string }[]): boolean =>
  state.calls.some((call) => call.status !== 'done') &&
  state.past.some(({ round }) => {
    const earlier = state.past.filter((call) => call.round === round);
    const ids = new Set(earlier.map(({ callId }) => callId));
    return ids.size === settledCalls.length && settledCalls.every(({ callId }) => ids.has(callId));
  });

const nextRound = (
  state: MachineState,
  via: SettlingOperation,
  planned: Extract<Settled, { status: 'requires_action' }>['calls'],
  at: number,
): MachineState => {
  const round = state.round + 1;
  const open: MachineState = {
    ...state,
    round,
    past: [...state.past, ...state.calls.map((call) => archiveCall(call, state.round))],
    // Another client answered the round upstream, so answers given here are unused (I4).
    unused: via === 'follow' ? [...state.unused, ...unusedOf(state, 'superseded')] : state.unused,
    tasks: state.tasks.filter((task) => task.kind !== 'recordAnswers'),
    calls: [],
  };
  const calls = [...new Map(planned.toReversed().map((call) => [call.callId, call])).values()].toReversed();
  if (calls.length === 0 || calls.some((call) => call.callId === ''))
    return failRun(open, {
      code: 'backend_unsupported',
      message: 'The server waits for tool outputs but names no calls, so no answer is possible.',
    });
  const { maxRounds, maxCalls } = state.about;
  if (round > maxRounds || state.past.length + state.calls.length + calls.length > maxCalls)
    return failRun(open, {
      code: 'budget_exceeded',
      message: `The run asked for round ${round} with ${calls.length} calls; it may have ${maxRounds} rounds and ${maxCalls} calls in all. Raise maxRounds or maxCalls if that is too little.`,
    });
  const begun: MachineState = { ...open, calls: calls.map((call) => newCallState(open, call, at)) };
  const notice = { key: `waiting:${round}`, kind: 'notifyWaiting' } as const;
  return advanceRound(
    state.about.onWaiting && waitingCalls(begun).length > 0
      ? { ...begun, tasks: [...begun.tasks, notice] }
      : begun,
    at,
  );
};

/** After any change in a round: deadlines first (I3), then the submit once every call has an outcome (I1). */
export const advanceRound = (state: MachineState, at: number): MachineState => {
  if (!takesAnswers(state)) return state;
  const due = nextDue(state, at);
  switch (due.kind) {
    case 'expire':
      return startClose(state, expiry(state));
    case 'ask':
      return { ...state, op: { kind: 'follow' } };
    case 'placeholder':
      return advanceRound(withPlaceholders(state, due.callIds), at);
    case 'nothing':
      break;
    default:
      return assertNever(due);
  }
  return state.op === null && state.calls.every((call) => call.status === 'done')
    ? submitting(state)
    : withNotices(state, at);
};

const submitting = (state: MachineState): MachineState => {
  const fitted = fitOutputs(
    state.calls.map((call) => ({ callId: call.callId, output: call.outcome?.output ?? '' })),
    undefined,
    new Set(recordedCalls(state).map(({ callId }) => callId)),
  );
  const calls = state.calls.map((call, index) => {
    const output = fitted[index]?.output;
    return call.outcome === undefined || output === undefined || output === call.outcome.output
      ? call
      : {
          ...call,
          outcome: { ...call.outcome, output, notes: [...(call.outcome.notes ?? []), 'truncated' as const] },
        };
  });
  // The submit carries all answers and decisions of the round, so their single tasks are dropped.
  const tasks = state.tasks.filter(
    (task) =>
      task.kind !== 'recordAnswers' && (task.kind !== 'recordDecision' || task.decision.late === true),
  );
  return { ...state, calls, tasks, op: { kind: 'submit' } };
};

/** Late calls are handed over in one payload, with room for later answers. */
const fitsPayload = (late: readonly LateCall[]): boolean => storedBytes(late) <= MAX_PAYLOAD_BYTES / 2;

const withPlaceholders = (state: MachineState, callIds: readonly string[]): MachineState => {
  const late: LateCall[] = [];
  const unused: UnusedAnswer[] = [];
  const calls = state.calls.map((call): CallState => {
    if (!callIds.includes(call.callId) || call.plan.kind === 'automatic' || call.plan.kind === 'refused')
      return call;
    const kept: LateCall = {
      ...requestOf(call),
      plan: call.plan,
      round: state.round,
      ...(call.refusedEdit === undefined ? {} : { refusedEdit: call.refusedEdit }),
      ...(call.ballot === undefined ? {} : { ballot: call.ballot }),
    };
    const followsUp =
      call.plan.wait.onDeadline === 'follow-up' && fitsPayload([...state.late, ...late, kept]);
    if (followsUp) late.push(kept);
    else unused.push(...undecidedVotes(call, 'undecided'));
    return { ...call, status: 'done', outcome: placeholderOutcome(followsUp) };
  });
  return { ...state, calls, late: [...state.late, ...late], unused: [...state.unused, ...unused] };
};
