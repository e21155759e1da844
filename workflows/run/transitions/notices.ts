/**
 * Reminders and escalations: what the policy of a waiting call wants at this moment.
 *
 * Rule: each comes once, is an entry of the record, and changes the call's ballot; a reminder decides nothing, an escalation
 * lets more people decide. A call that nobody waits for any more gets none.
 * Imports the machine's pure parts, no SDK. Imported by `round.ts`.
 */
import type { Decision } from '../../../protocol/decisions.ts';
import { EMPTY_BALLOT, withEntry } from '../../../protocol/rules/ballot.ts';
import { withDecision } from '../decisions.ts';
import { waitingCalls } from '../state.ts';
import type { CallState, MachineState } from '../state.ts';
import { countingPolicy, noticesOf } from '../voting.ts';
import { sendLatest } from './send-decision.ts';

const noticeEntry = (
  state: MachineState,
  call: CallState,
  decision: 'remind' | 'escalate',
  at: number,
): Decision => ({
  callId: call.callId,
  name: call.name,
  round: state.round,
  decision,
  at,
  door: 'workflow',
  arguments: null,
  entry: (call.ballot ?? EMPTY_BALLOT).entries,
  undecided: true,
  ...(decision === 'escalate' ? { to: { people: [], groups: countingPolicy(call)?.escalateTo ?? [] } } : {}),
});

const withNotice = (
  state: MachineState,
  callId: string,
  reason: 'remind' | 'escalate',
  at: number,
): MachineState => {
  const call = state.calls.find((item) => item.callId === callId);
  if (call === undefined) return state;
  const entry = noticeEntry(state, call, reason, at);
  const ballot = withEntry(call.ballot ?? EMPTY_BALLOT, entry);
  const notice = {
    key: `waiting:${state.round}:${callId}:${reason}`,
    kind: 'notifyWaiting',
    because: { callId, reason },
  } as const;
  const next: MachineState = {
    ...state,
    calls: state.calls.map((item) => (item === call ? { ...call, ballot } : item)),
    tasks: state.about.onWaiting ? [...state.tasks, notice] : state.tasks,
  };
  return sendLatest(withDecision(next, entry), entry);
};

/** Everything that is due, in the order of the calls; of one call the reminder first. */
export const withNotices = (state: MachineState, at: number): MachineState =>
  waitingCalls(state)
    .flatMap((call) =>
      noticesOf(call)
        .filter((notice) => at >= notice.at)
        .map(({ reason }) => ({ callId: call.callId, reason })),
    )
    .reduce((next, { callId, reason }) => withNotice(next, callId, reason, at), state);
