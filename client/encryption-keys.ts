/**
 * The keys of `RUNS_ENCRYPTION_KEYS`: `id:key`, separated by commas or white space.
 *
 * Rule: the first key encrypts, all of them decrypt, so a key is rotated by putting a new one in front. An error names an
 * entry by its position, or by its id, and never shows a key.
 * Imports protocol and Node only. Imported by `encryption.ts` and tests.
 */
import { RunsError } from '../protocol/errors.ts';

export interface EncryptionKeys {
  /** Id of the key that encrypts. */
  current: string;
  /** 32 bytes each, by id. */
  byId: ReadonlyMap<string, Buffer>;
}

const KEY_ID = /^[A-Za-z0-9_.-]{1,64}$/;
const HEX_KEY = /^[0-9a-fA-F]{64}$/;
/** 32 bytes in base64 or base64url, with or without padding. */
const BASE64_KEY = /^[A-Za-z0-9+/_-]{43}=?$/;

const refuse = (position: number, rule: string): RunsError =>
  new RunsError(
    'config',
    `RUNS_ENCRYPTION_KEYS: key ${position} ${rule}. The form is id:key, the key being 32 bytes as 64 hex digits or as base64; \`openssl rand -hex 32\` makes one.`,
  );

const keyBytes = (text: string): Buffer | null => {
  if (HEX_KEY.test(text)) return Buffer.from(text, 'hex');
  if (!BASE64_KEY.test(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === 32 ? bytes : null;
};

/** Throws `RunsError` `config`, which never shows a key. */
export const parseEncryptionKeys = (setting: string): EncryptionKeys => {
  const byId = new Map<string, Buffer>();
  const entries = setting.split(/[\s,]+/).filter((entry) => entry !== '');
  for (const [index, entry] of entries.entries()) {
    const colon = entry.indexOf(':');
    const id = entry.slice(0, Math.max(0, colon));
    if (!KEY_ID.test(id))
      throw refuse(index + 1, 'needs an id of 1 to 64 letters, digits, "_", "." or "-" before its colon');
    const key = keyBytes(entry.slice(colon + 1));
    if (key === null) throw refuse(index + 1, `(${JSON.stringify(id)}) is not 32 bytes`);
    if (byId.has(id)) throw refuse(index + 1, `repeats the id ${JSON.stringify(id)}`);
    if ([...byId.values()].some((other) => other.equals(key)))
      throw refuse(index + 1, `(${JSON.stringify(id)}) repeats the bytes of an earlier key`);
    byId.set(id, key);
  }
  const [current] = byId.keys();
  if (current === undefined)
    throw new RunsError(
      'config',
      'RUNS_ENCRYPTION_KEYS is empty: set id:key, or unset it for no encryption.',
    );
  return { current, byId };
};
