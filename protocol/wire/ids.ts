/**
 * Generates ids in the form that clients expect (`run_`, `thread_`, `msg_`, …: convention, not schema).
 *
 * Rule: 24 characters of a 62-letter alphabet, about 142 bits: unguessable and free of collisions without coordination.
 * Not for workflow code: randomness comes from the platform. Other rooms may import it.
 */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

export type IdPrefix = 'run' | 'thread' | 'msg' | 'asst' | 'step' | 'call' | 'req' | 'wh';

export const mintId = (prefix: IdPrefix): string => {
  let id = '';
  while (id.length < 24) {
    for (const byte of globalThis.crypto.getRandomValues(new Uint8Array(32))) {
      // 248 = 4 * 62: bytes above it would favour the first letters.
      if (byte < 248 && id.length < 24) id += ALPHABET[byte % 62];
    }
  }
  return `${prefix}_${id}`;
};
