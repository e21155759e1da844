/**
 * Describes the first answer of a call: what it was, its sender and its time. Used when a second answer is rejected.
 *
 * Rule: pure; leaves out what is not certain. Imports protocol and the state, no SDK.
 */
import { isVerdict } from '../../protocol/decisions.ts';
import { quote } from '../../protocol/rules/validation.ts';
import type { MachineState } from './state.ts';

export interface EarlierAnswer {
  decision?: 'approve' | 'deny';
  by?: string;
  verified?: true;
  /** Unix ms. */
  at?: number;
  /** Set for a call that waited for an output. */
  output?: string;
}

const OUTPUT_CHARS = 60;

/** Null when no answer of the call is recorded. */
export const earlierAnswer = (state: MachineState, callId: string): EarlierAnswer | null => {
  // An approval whose arguments the tool refused does not count: the call waits again.
  const decided = state.decisions?.filter(isVerdict).findLast((item) => item.callId === callId);
  if (decided !== undefined) {
    const { decision, by, verified, at } = decided;
    return {
      decision,
      at,
      ...(by === undefined ? {} : { by }),
      ...(verified === undefined ? {} : { verified }),
    };
  }
  const call = state.calls.find((item) => item.callId === callId);
  const given = state.late.find((item) => item.callId === callId)?.given?.answer ?? call?.answer;
  const past = state.past.findLast((item) => item.callId === callId);
  const by = given?.by ?? past?.by;
  if (given === undefined && by === undefined) return null;
  return {
    ...(by === undefined ? {} : { by }),
    ...(given?.verified === undefined ? {} : { verified: given.verified }),
    ...(given === undefined ? {} : { at: given.at }),
    ...(call?.outcome === undefined ? {} : { output: call.outcome.output }),
  };
};

/**
 * The end of a sentence that starts with the call: `was approved by "ada" (not verified) at 2026-11-26T14:00:00.000Z`.
 */
export const earlierAnswerText = ({ decision, by, verified, at, output }: EarlierAnswer): string =>
  [
    `was ${decision === undefined ? 'answered' : decision === 'approve' ? 'approved' : 'denied'} before`,
    ...(output === undefined ? [] : [`with ${quote(output, OUTPUT_CHARS)}`]),
    ...(by === undefined ? [] : [`by ${quote(by)} (${verified === true ? 'API key' : 'not verified'})`]),
    ...(at === undefined ? [] : [`at ${new Date(at).toISOString()}`]),
  ].join(' ');
