/**
 * Ids of calls as a server gets them back.
 *
 * Rule: the server's own id when it is usable; otherwise nine characters of a-z, A-Z and 0-9, the strictest rule that any
 * server has, made from our id so that every attempt sends the same.
 * Imports Node's digest. Imported within `backends/models/` and by tests.
 */
import { createHash } from 'node:crypto';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const LENGTH = 9;
const MAX_CHARS = 256;

export const shortCallId = (callId: string): string => {
  let rest = createHash('sha256').update(callId).digest().readBigUInt64BE(0);
  let id = '';
  for (let at = 0; at < LENGTH; at += 1) {
    id += ALPHABET[Number(rest % 62n)] ?? 'A';
    rest /= 62n;
  }
  return id;
};

const PRINTABLE = /^[\x20-\x7e]+$/;

/** The server's ids of one turn's calls; null where one is missing, repeated or no id. */
export const usableIds = (ids: readonly (string | null)[]): (string | null)[] =>
  ids.map((id) =>
    id !== null &&
    id.length <= MAX_CHARS &&
    PRINTABLE.test(id) &&
    ids.filter((other) => other === id).length === 1
      ? id
      : null,
  );
