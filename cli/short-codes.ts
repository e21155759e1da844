/**
 * What people type in the place of long ids: a waiting call's code, and the start of a run's id.
 *
 * Rule: derived from the ids alone, so a code is the same everywhere and needs no store. Several runs or calls may share
 * one; a command that finds several lists them and does nothing. Pure. Imported by the commands and their output.
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

/** An id as the API mints it. */
const FULL_RUN_ID = /^run_[A-Za-z0-9]{24}$/;
/** 62 ** 6 starts: that two of a hundred thousand runs share one has a chance of 9 %. */
const RUN_START = 'run_'.length + 6;

export const isWholeRunId = (text: string): boolean => FULL_RUN_ID.test(text);

/** The start of a minted id; an id that a caller chose stays as it is. */
export const shortRun = (runId: string): string => (isWholeRunId(runId) ? runId.slice(0, RUN_START) : runId);

/** Starts of ids that a text may stand for: `run_` may be left out. Too short a text stands for none. */
export const runIdPrefixes = (text: string): string[] => {
  const bare = text.startsWith('run_') ? text.slice('run_'.length) : text;
  if (bare.length < 4) return [];
  return text === bare ? [text, `run_${text}`] : [text];
};
