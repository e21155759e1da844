/**
 * Which cells of the machine's table a campaign reached: kind of state × kind of input.
 *
 * Rule: kinds are coarse enough to be listed and fine enough that a cell is one decision of the machine. What must be
 * reached is everything that is not on the list of the unreachable, each with its reason.
 * Only `test/sim` imports it.
 */
import { FAILURES } from '../../protocol/names.ts';
import { judge } from '../../workflows/run/answers.ts';
import type { Input, RunState } from '../../workflows/run/state.ts';
import { waitingCalls } from '../../workflows/run/state.ts';
import { judgeSubmit } from '../../workflows/run/submits.ts';

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
  'handing over late calls',
  'telling the end',
  'ended',
] as const;
export type StateKind = (typeof STATE_KINDS)[number];

export const stateKind = (state: RunState): StateKind => {
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
  const waits = waitingCalls(state).length > 0;
  const runs = state.calls.some((call) => call.status === 'running');
  if (waits && state.lax) return 'awaited past the expiry';
  if (waits) return runs ? 'tools run, somebody is awaited' : 'somebody is awaited';
  return 'tools run';
};

const failureKind = (type: string, kind: string): string => {
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

export const inputKind = (state: RunState, input: Input): string => {
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
      return `${input.via} failed: ${failureKind(input.failure.type, input.failure.kind)}`;
    case 'callFailed':
      return `a call failed: ${input.failure.kind}`;
    case 'callDone':
      return 'a call is done';
    case 'answer': {
      const judgement = judge(state, input.payload, input.at);
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
      return `submit: ${judgeSubmit(state, input.payload, input.at).verdict}`;
    case 'deadline':
      return 'timer fired';
    default:
      return input.type;
  }
};

export type Coverage = Map<string, number>;

export const cellOf = (state: StateKind, input: string): string => `${state} | ${input}`;

export const noteCell = (coverage: Coverage, state: RunState, input: Input): void => {
  const cell = cellOf(stateKind(state), inputKind(state, input));
  coverage.set(cell, (coverage.get(cell) ?? 0) + 1);
};

export const merge = (into: Map<string, number>, from: ReadonlyMap<string, number>): void => {
  for (const [key, count] of from) into.set(key, (into.get(key) ?? 0) + count);
};
