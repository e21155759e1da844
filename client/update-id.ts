/**
 * Digest of a payload, for update ids: a lost reply can be asked for again under the same id, and a different payload
 * is never mistaken for the first.
 *
 * Rule: equal JSON values have equal digests whatever the order of their keys.
 * Imported by the client only.
 */
import { createHash } from 'node:crypto';
import { canonicalJson } from '../protocol/rules/tool-arguments.ts';

/** 32 hex characters (128 bits) of SHA-256. `undefined` properties are left out, as JSON does. */
export const updateIdDigest = (value: unknown): string =>
  createHash('sha256')
    .update(canonicalJson(JSON.parse(JSON.stringify(value) ?? 'null')))
    .digest('hex')
    .slice(0, 32);
