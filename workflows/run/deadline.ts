/**
 * When a wait ends by itself, and how.
 *
 * Rule: one moment for the whole round, recomputed from the state and never stored apart from the armed timer.
 * - `fail` beats the others: while one such call is open, no placeholder is given.
 * - Natively the expiry is ours: it ends the run whatever was planned. On somebody else's server the verdict is
 *   theirs: we ask at the expiry, and again at growing intervals while they keep the run waiting. Where they name
 *   none, we look now and then whether the run still waits: it may have been ended there, and nobody would tell us.
 * - Placeholders leave in time: a margin before the expiry, or when the answerer's own time is over.
 * Pure; imports the state only.
 */
import {
  POLL_INITIAL_MS,
  MAX_POLL_MS,
  MARGIN_MS,
  MARGIN_SHARE,
  MAX_MARGIN_SHARE,
  RECHECK_INITIAL_MS,
  MAX_RECHECK_MS,
  VERDICT_SLACK_MS,
} from './timeouts.ts';
import { waitingCalls } from './state.ts';
import type { CallState, MachineState } from './state.ts';

/** The expiry that bounds the run; null when none is known, or when the server does not keep its own. */
export const answerLimit = (state: MachineState): number | null => (state.lax ? null : state.expiresAt);

/** Time kept free before the expiry. */
export const marginOf = (state: MachineState): number => {
  if (state.expiresAt === null) return 0;
  const life = Math.max(0, state.expiresAt - (state.createdAt ?? state.startedAt));
  return Math.min(Math.max(MARGIN_MS, life * MARGIN_SHARE), life * MAX_MARGIN_SHARE);
};

/** By when an automatic call must be done; null = nothing known. */
export const toolEnd = (state: MachineState): number | null => {
  const limit = answerLimit(state);
  return limit === null ? null : limit - marginOf(state);
};

/** Natively, the moment the run is over. */
export const isExpired = (state: MachineState, at: number): boolean =>
  state.about.backend === 'chat' && state.expiresAt !== null && at >= state.expiresAt;

/** The expiry is decided and its moment has not come: the run has nothing left to try until then. */
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

/** By when an answer to this call is of use; null = no limit known. */
export const answerBy = (state: MachineState, call: CallState): number | null => {
  const policy = waitPolicy(call);
  if (policy === null) return null;
  // A call that fails with the run lives as long as the run; natively its own time may be shorter.
  if (policy.onDeadline === 'fail')
    return state.about.backend === 'chat'
      ? least([answerLimit(state), callDeadline(call)])
      : answerLimit(state);
  return least([toolEnd(state), callDeadline(call)]);
};

/** The earliest of the open calls' moments. */
export const waitDeadline = (state: MachineState): number | null =>
  least(waitingCalls(state).map((call) => answerBy(state, call)));

const failing = (calls: readonly CallState[]): CallState[] =>
  calls.filter((call) => waitPolicy(call)?.onDeadline === 'fail');

/** What to do about the open calls at this moment. */
export type Due =
  | { kind: 'nothing' }
  | { kind: 'expire' }
  | { kind: 'ask' }
  | { kind: 'placeholder'; callIds: string[] };

/** When the server's verdict is to be asked for. */
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

/** When to look again; null = never by ourselves. */
export const nextWakeUp = (state: MachineState): number | null => {
  if (awaitsExpiry(state)) return state.expiresAt;
  const open = waitingCalls(state);
  if (open.length === 0 || state.op !== null) return null;
  const fails = failing(open);
  if (fails.length === 0) return least([...open.map((call) => answerBy(state, call)), verdictAt(state)]);
  return state.about.backend === 'chat'
    ? least([state.expiresAt, ...fails.map((call) => answerBy(state, call))])
    : verdictAt(state);
};

/** Is nothing known but that the run waits? Then it is looked at without being due. */
export const hasNoExpiry = (state: MachineState): boolean =>
  state.about.backend === 'assistants' && state.expiresAt === null;

/** The state with its next look: at growing intervals, while the server outlives its own expiry or names none. */
export const schedulePoll = (state: MachineState, looks: number, at: number): MachineState => {
  const [first, most] = state.lax ? [RECHECK_INITIAL_MS, MAX_RECHECK_MS] : [POLL_INITIAL_MS, MAX_POLL_MS];
  return state.lax || hasNoExpiry(state)
    ? { ...state, rechecks: looks, recheckAt: at + Math.min(most, first * 2 ** Math.min(looks, 16)) }
    : { ...state, rechecks: 0, recheckAt: null };
};
