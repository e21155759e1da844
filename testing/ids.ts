/**
 * Ids for the scripted servers: random by default, or the same ones on every run from a seed.
 *
 * Rule: the server takes ids from its `IdSource` only, so that a failing seed replays exactly.
 * Imports the protocol's id generator. Ships with the package.
 */
import { mintId } from '../protocol/wire/ids.ts';
import type { IdPrefix } from '../protocol/wire/ids.ts';

/** Gives a new id with the prefix of its kind. */
export type IdSource = (prefix: IdPrefix | 'chatcmpl') => string;

export const randomIds: IdSource = (prefix) =>
  prefix === 'chatcmpl' ? mintId('run').replace(/^run_/, 'chatcmpl-') : mintId(prefix);

/** `run_s7_1`, `thread_s7_2`, …: counted, unique within a source, readable in a failing schedule. */
export const seededIds = (seed: number | string = 0): IdSource => {
  let count = 0;
  return (prefix) => {
    count += 1;
    return prefix === 'chatcmpl' ? `chatcmpl-s${seed}-${count}` : `${prefix}_s${seed}_${count}`;
  };
};
