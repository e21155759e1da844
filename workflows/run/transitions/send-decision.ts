/**
 * Sends an entry of the record to the store at once, as a task beside the run.
 *
 * Rule: on `chat` only, where a store is. What a task does not bring there travels with the outputs of the round or with the
 * run's end.
 * Imports the machine's pure parts, no SDK. Imported by the other transitions.
 */
import type { Decision } from '../../../protocol/decisions.ts';
import { decisionsOf, toStore } from '../decisions.ts';
import type { MachineState } from '../state.ts';

/**
 * Sends the latest decision to the store, where this execution does so. `whole`: the decision with the texts that the
 * state drops.
 */
export const sendLatest = (state: MachineState, whole?: Decision): MachineState => {
  const decision = whole ?? decisionsOf(state).at(-1);
  // Entries of a ballot are newer than the patch: on `chat`, they are always sent.
  const records =
    state.recordsDecisions === true || (decision?.entry !== undefined && state.about.backend === 'chat');
  if (decision === undefined || !records) return state;
  const number = decision.entry === undefined ? '' : `:${decision.entry}`;
  const key = `decision:${decision.round}:${decision.callId}:${decision.at}${number}`;
  return {
    ...state,
    tasks: [...state.tasks, { key, kind: 'recordDecision', decision: toStore(decision) }],
  };
};
