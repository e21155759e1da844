/**
 * The short code of a waiting call: people type it instead of the call's id.
 *
 * Rule: derived from the ids of run and call, so it is the same everywhere and stored nowhere. Among thousands, two
 * calls may share one; then the ids are required. Pure. Imported by the commands and their output.
 */
import { createHash } from 'node:crypto';

/** Without vowels and lookalikes, so that no code is a word or is misread. */
const ALPHABET = '23456789bcdfghjkmnpqrstvwxz';
const LENGTH = 5;
const CODE = new RegExp(`^[${ALPHABET}]{${LENGTH}}$`);

export const isCallCode = (text: string): boolean => CODE.test(text);

export const callCode = (runId: string, callId: string): string => {
  const digest = createHash('sha256').update(`${runId} ${callId}`).digest();
  return Array.from(digest.subarray(0, LENGTH), (byte) => ALPHABET[byte % ALPHABET.length]).join('');
};

/** The shorter of a call's code and its id, for commands to paste. */
export const shortCall = (runId: string, callId: string): string =>
  callId.length > 2 * LENGTH ? callCode(runId, callId) : callId;
