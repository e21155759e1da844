/**
 * Which cells of the machine's table a campaign reached: kind of state × kind of input.
 *
 * Rule: kinds are coarse enough to be listed and fine enough that a cell is one decision of the machine. What must be
 * reached is everything that is not on the list of the unreachable, each with its reason.
 * Only `test/simulation` imports it.
 */
import { FAILURES } from '../../protocol/temporal/names.ts';
import { evaluateAnswer } from '../../workflows/run/evaluate-answer.ts';
import { awaitsExpiry } from '../../workflows/run/deadline.ts';
import type { ActivityFailureInfo, Input, MachineState } from '../../workflows/run/state.ts';
import { waitingCalls } from '../../workflows/run/state.ts';
import { evaluateSubmit } from '../../workflows/run/evaluate-submit.ts';

export const STATE_KINDS = [
  'new',
  'creating a thread',
  'creating',
  'creating, told to stop',
  'tools run',
  'somebody is awaited',
  'tools run, somebody is awaited',
  'awaited past the expiry',
  'submitting',
  'following',
  'closing: cancel',
  'closing: expire',
  'closing: fail',
  'waiting for the expiry',
  'handing over late calls',
  'telling the end',
  'ended',
] as const;
export type StateKind = (typeof STATE_KINDS)[number];

export const stateKind = (state: MachineState): StateKind => {
  if (state.ended) return 'ended';
  if (state.startedAt === 0) return 'new';
  switch (state.op?.kind) {
    case 'startFollowUp':
      return 'handing over late calls';
    case 'notifyEnd':
      return 'telling the end';
    case 'createThread':
      return 'creating a thread';
    case 'create':
      return state.op.cancelling === true ? 'creating, told to stop' : 'creating';
    case 'close':
      return `closing: ${state.op.how.kind}`;
    case 'submit':
      return 'submitting';
    case 'follow':
      return 'following';
    default:
      break;
  }
  if (awaitsExpiry(state)) return 'waiting for the expiry';
  const waits = waitingCalls(state).length > 0;
  const runs = state.calls.some((call) => call.status === 'running');
  if (waits && state.lax) return 'awaited past the expiry';
  if (waits) return runs ? 'tools run, somebody is awaited' : 'somebody is awaited';
  return 'tools run';
};

const failureKind = ({ type, kind }: ActivityFailureInfo): string => {
  switch (type) {
    case FAILURES.backendNoSuchRow:
      return 'no row';
    case FAILURES.backendConflict:
      return 'conflict';
    case FAILURES.backendBusy:
    case FAILURES.backendUnauthorized:
    case FAILURES.backendNotFound:
    case FAILURES.backendRejected:
      return 'refused for good';
    default:
      return kind === 'cancelled'
        ? 'cancelled'
        : kind === 'timeout'
          ? 'timed out'
          : 'out of attempts or time';
  }
};

export const inputKind = (state: MachineState, input: Input): string => {
  switch (input.type) {
    case 'settled': {
      const { status } = input.settlement;
      if (status !== 'requires_action') return `${input.via}: ${status}`;
      if (input.via !== 'follow') return `${input.via}: asks`;
      const ids = new Set(input.settlement.calls.map((call) => call.callId));
      const same = ids.size === state.calls.length && state.calls.every((call) => ids.has(call.callId));
      return same ? 'follow: asks the same' : 'follow: asks for others';
    }
    case 'activityFailed':
      return `${input.via} failed: ${failureKind(input.failure)}`;
    case 'callFailed':
      return `a call failed: ${input.failure.kind}`;
    case 'callDone':
      return 'a call is done';
    case 'answer': {
      const judgement = evaluateAnswer(state, input.payload, input.at);
      switch (judgement.verdict) {
        case 'accept':
          return judgement.late
            ? 'answer: accepted late'
            : `answer: accepted ${judgement.payload.decision ?? 'output'}`;
        case 'repeat':
          return 'answer: repeated';
        default:
          return `answer: refused, ${judgement.reason}`;
      }
    }
    case 'submit':
      return `submit: ${evaluateSubmit(state, input.payload, input.at).verdict}`;
    case 'deadline':
      return 'timer fired';
    default:
      return input.type;
  }
};

export type Coverage = Map<string, number>;

export const cellOf = (state: StateKind, input: string): string => `${state} | ${input}`;

/** What people and clocks do to a run, whose order is what a schedule is about. */
export const ORDERED = [
  'an answer for a call that is not known',
  'an answer in time',
  'an answer after its wait',
  'the same answer again',
  'a different answer',
  'an answer too late',
  'outputs through the API',
  'the same outputs again',
  'a cancel',
  'an expiry',
] as const;
export type Ordered = (typeof ORDERED)[number];

const ORDERED_INPUTS: Readonly<Record<string, Ordered>> = {
  'answer: refused, unknown_call': 'an answer for a call that is not known',
  'answer: accepted output': 'an answer in time',
  'answer: accepted approve': 'an answer in time',
  'answer: accepted deny': 'an answer in time',
  'answer: accepted late': 'an answer after its wait',
  'answer: repeated': 'the same answer again',
  'answer: refused, conflict': 'a different answer',
  'answer: refused, too_late': 'an answer too late',
  'submit: accept': 'outputs through the API',
  'submit: repeat': 'the same outputs again',
  cancelRequested: 'a cancel',
  'create: expired': 'an expiry',
  'submit: expired': 'an expiry',
  'follow: expired': 'an expiry',
  'close: expired': 'an expiry',
};

/** The orders share the map of the cells. */
export const ORDER = 'order: ';
export const orderOf = (first: Ordered, then: Ordered): string => `${ORDER}${first}, then ${then}`;

/** Notes the cells that one run takes, and which of what is `ORDERED` came in it after what. */
export const createNoter = (coverage: Coverage): ((state: MachineState, input: Input) => void) => {
  const seen = new Set<Ordered>();
  const bump = (key: string): void => void coverage.set(key, (coverage.get(key) ?? 0) + 1);
  return (state, input) => {
    // A replay, or a new execution: what came before is told again, or was counted.
    if (input.type === 'start' || input.type === 'resume') seen.clear();
    const kind = inputKind(state, input);
    bump(cellOf(stateKind(state), kind));
    const ordered = ORDERED_INPUTS[kind];
    if (ordered === undefined) return;
    for (const earlier of seen) bump(orderOf(earlier, ordered));
    seen.add(ordered);
  };
};

export const merge = (into: Map<string, number>, from: ReadonlyMap<string, number>): void => {
  for (const [key, count] of from) into.set(key, (into.get(key) ?? 0) + count);
};
