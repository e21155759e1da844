/**
 * Digest of a payload, for update ids: a lost reply can be asked for again under the same id, and a different payload
 * is never mistaken for the first.
 *
 * Rule: equal JSON values have equal digests whatever the order of their keys.
 * Imported by the client only.
 */
import { createHash } from 'node:crypto';

/** JSON with sorted keys; `undefined` properties are left out, as JSON does. */
export const canonicalJson = (value: unknown): string =>
  JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(
      Object.entries(item)
        .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
        .map(([key, inner]): [string, unknown] => [key, inner]),
    );
  }) ?? 'null';

/** 32 hex characters (128 bits) of SHA-256. */
export const updateIdDigest = (value: unknown): string =>
  createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 32);
