/**
 * Deadlines of a wait: computes when the deadline timer fires, and how the wait then ends. `machine.ts` arms the timer.
 *
 * Rule: the whole round has one deadline. It is recomputed from the state, and stored nowhere else except in the armed
 * timer.
 * - `fail` wins: while a call with `onDeadline: fail` is open, no call gets a placeholder.
 * - On the `chat` backend the run ends at its expiry. On the `assistants` backend the upstream decides: the workflow
 *   polls at the expiry, then at growing intervals while the run still waits. When the upstream names no expiry, the
 *   workflow polls now and then, since the run may have ended there.
 * - Placeholders leave in time: a margin before the expiry, or at the call's own deadline.
 * Pure; imports the state and the margin.
 */
import { expiryMargin } from '../../protocol/rules/answer-deadline.ts';
import {
  POLL_INITIAL_MS,
  MAX_POLL_MS,
  RECHECK_INITIAL_MS,
  MAX_RECHECK_MS,
  VERDICT_SLACK_MS,
} from './timeouts.ts';
import { waitingCalls } from './state.ts';
import { noticesOf } from './voting.ts';
import type { CallState, MachineState } from './state.ts';

/** The expiry that bounds the run; null when it is unknown, or when the upstream does not enforce it. */
export const answerLimit = (state: MachineState): number | null => (state.lax ? null : state.expiresAt);

/** The margin before the expiry. */
export const marginOf = (state: MachineState): number =>
  expiryMargin(state.expiresAt, state.createdAt ?? state.startedAt);

/** The deadline of an automatic call; null = none is known. */
export const toolEnd = (state: MachineState): number | null => {
  const limit = answerLimit(state);
  return limit === null ? null : limit - marginOf(state);
};

/** On the `chat` backend, the moment at which the run expires. */
export const isExpired = (state: MachineState, at: number): boolean =>
  state.about.backend === 'chat' && state.expiresAt !== null && at >= state.expiresAt;

/** The run will expire, and its expiry is still ahead: the workflow only waits for it. */
export const awaitsExpiry = (state: MachineState): boolean =>
  state.closing?.kind === 'expire' && state.op === null && state.ending === null;

const least = (moments: readonly (number | null)[]): number | null =>
  moments.reduce(
    (best, moment) => (moment !== null && (best === null || moment < best) ? moment : best),
    null,
  );

const waitPolicy = (call: CallState) =>
  call.plan.kind === 'external' || call.plan.kind === 'approval' ? call.plan.wait : null;

const callDeadline = (call: CallState): number | null => {
  const within = waitPolicy(call)?.answerWithinMs ?? null;
  return within === null ? null : (call.waitStart ?? 0) + within;
};

/** The deadline for an answer to this call; null = none is known. */
export const answerBy = (state: MachineState, call: CallState): number | null => {
  const policy = waitPolicy(call);
  if (policy === null) return null;
  // A call with `onDeadline: fail` may wait as long as the run; on `chat` its own limit may be shorter.
  if (policy.onDeadline === 'fail')
    return state.about.backend === 'chat'
      ? least([answerLimit(state), callDeadline(call)])
      : answerLimit(state);
  return least([toolEnd(state), callDeadline(call)]);
};

/** The earliest deadline of the open calls. */
export const waitDeadline = (state: MachineState): number | null =>
  least(waitingCalls(state).map((call) => answerBy(state, call)));

const failing = (calls: readonly CallState[]): CallState[] =>
  calls.filter((call) => waitPolicy(call)?.onDeadline === 'fail');

/** What is due for the open calls at this moment. */
export type Due =
  | { kind: 'nothing' }
  | { kind: 'expire' }
  | { kind: 'ask' }
  | { kind: 'placeholder'; callIds: string[] };

/** When to poll for the upstream's final status. */
const verdictAt = (state: MachineState): number | null => {
  if (state.about.backend !== 'assistants') return null;
  if (state.lax || state.expiresAt === null) return state.recheckAt;
  return state.expiresAt + VERDICT_SLACK_MS;
};

export const nextDue = (state: MachineState, at: number): Due => {
  if (isExpired(state, at)) return { kind: 'expire' };
  const open = waitingCalls(state);
  if (open.length === 0) return { kind: 'nothing' };
  const fails = failing(open);
  if (fails.length > 0) {
    const over = (call: CallState): boolean => {
      const moment = answerBy(state, call);
      return moment !== null && at >= moment;
    };
    if (state.about.backend === 'chat') return fails.some(over) ? { kind: 'expire' } : { kind: 'nothing' };
  } else {
    const callIds = open
      .filter((call) => {
        const moment = answerBy(state, call);
        return moment !== null && at >= moment;
      })
      .map((call) => call.callId);
    if (callIds.length > 0) return { kind: 'placeholder', callIds };
  }
  const verdict = verdictAt(state);
  return verdict !== null && at >= verdict && state.op === null ? { kind: 'ask' } : { kind: 'nothing' };
};

/** When the timer fires next; null = never. */
export const nextWakeUp = (state: MachineState): number | null => {
  if (awaitsExpiry(state)) return state.expiresAt;
  const open = waitingCalls(state);
  if (open.length === 0 || state.op !== null) return null;
  const fails = failing(open);
  const notices = open.flatMap((call) => noticesOf(call).map(({ at }) => at));
  if (fails.length === 0)
    return least([...open.map((call) => answerBy(state, call)), verdictAt(state), ...notices]);
  return state.about.backend === 'chat'
    ? least([state.expiresAt, ...fails.map((call) => answerBy(state, call)), ...notices])
    : least([verdictAt(state), ...notices]);
};

/** What happens when a timer of this moment fires, for people who read the history. */
export const timerPurpose = (state: MachineState, at: number): string => {
  const notice = waitingCalls(state)
    .flatMap(noticesOf)
    .find((item) => item.at === at);
  return notice === undefined ? 'deadline' : notice.reason === 'remind' ? 'reminder' : 'escalation';
};

/** True when all that is known is that the run waits: then it is polled although nothing is due. */
export const hasNoExpiry = (state: MachineState): boolean =>
  state.about.backend === 'assistants' && state.expiresAt === null;

/** Schedules the next poll. Intervals grow while the upstream runs past its own expiry, or names none. */
export const schedulePoll = (state: MachineState, looks: number, at: number): MachineState => {
  const [first, most] = state.lax ? [RECHECK_INITIAL_MS, MAX_RECHECK_MS] : [POLL_INITIAL_MS, MAX_POLL_MS];
  return state.lax || hasNoExpiry(state)
    ? { ...state, rechecks: looks, recheckAt: at + Math.min(most, first * 2 ** Math.min(looks, 16)) }
    : { ...state, rechecks: 0, recheckAt: null };
};
