/**
 * Short digests of answers, which tell a repeat from a conflict without storing the text.
 *
 * Rule: deterministic and the same in every version, because carried state contains digests. It is not cryptographic: a
 * forged collision is acknowledged as a repeat, and the first answer stands.
 * Imports nothing.
 */

/** Two independent 53-bit hashes and the length. */
export const contentDigest = (text: string): string =>
  `${cyrb53(text, 1)}-${cyrb53(text, 2)}-${text.length.toString(36)}`;

const cyrb53 = (text: string, seed: number): string => {
  let high = 0xdeadbeef ^ seed;
  let low = 0x41c6ce57 ^ seed;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    high = Math.imul(high ^ unit, 2654435761);
    low = Math.imul(low ^ unit, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return (4294967296 * (2097151 & low) + (high >>> 0)).toString(36);
};
