/**
 * SHA-256 in plain code, for the workflow sandbox, which has no hash of its own. Everywhere else Node's hash does it.
 *
 * Rule: FIPS 180-4; a test compares it with Node's on random texts. Not for secrets: its time depends on nothing but the
 * length, and nobody has proved that.
 * No imports, no state in module scope. Any room may import it; the workflow sandbox may too.
 */

/** The first 64 primes, from which the constants of the standard are computed. */
const primes = (): number[] => {
  const found: number[] = [];
  for (let candidate = 2; found.length < 64; candidate += 1)
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate);
  return found;
};

/** The first 32 bits of the fraction. */
const fraction = (value: number): number => ((value - Math.floor(value)) * 4_294_967_296) | 0;

const rotate = (word: number, by: number): number => (word >>> by) | (word << (32 - by));

/** UTF-8; half of a surrogate pair becomes U+FFFD, as everywhere. */
const bytesOf = (text: string): number[] => {
  const bytes: number[] = [];
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    const code = point >= 0xd800 && point <= 0xdfff ? 0xfffd : point;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else
      bytes.push(
        0xf0 | (code >> 18),
        0x80 | ((code >> 12) & 63),
        0x80 | ((code >> 6) & 63),
        0x80 | (code & 63),
      );
  }
  return bytes;
};

/** The message in words of 32 bits: a bit of 1, zeros, and the length in bits. */
const padded = (bytes: readonly number[]): Uint32Array => {
  const words = new Uint32Array(((bytes.length + 8) >> 6) * 16 + 16);
  const put = (index: number, byte: number): void => {
    words[index >> 2] = (words[index >> 2] ?? 0) | (byte << (24 - (index & 3) * 8));
  };
  for (const [index, byte] of bytes.entries()) put(index, byte);
  put(bytes.length, 0x80);
  words[words.length - 2] = Math.floor((bytes.length * 8) / 4_294_967_296);
  words[words.length - 1] = bytes.length * 8;
  return words;
};

type Words = number[] | Uint32Array;
const at = (words: Words, index: number): number => words[index] ?? 0;

/** One block of 16 words changes the eight words of the hash. */
const compress = (hash: number[], block: Uint32Array, constants: readonly number[]): number[] => {
  const schedule = [...block];
  for (let index = 16; index < 64; index += 1) {
    const early = at(schedule, index - 15);
    const late = at(schedule, index - 2);
    const small = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
    const large = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
    schedule.push((at(schedule, index - 16) + small + at(schedule, index - 7) + large) | 0);
  }
  let state = [...hash];
  for (let index = 0; index < 64; index += 1) {
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
    const choice = (e & f) ^ (~e & g);
    const first =
      (h +
        (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
        choice +
        (constants[index] ?? 0) +
        at(schedule, index)) |
      0;
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const second = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority) | 0;
    state = [(first + second) | 0, a, b, c, (d + first) | 0, e, f, g];
  }
  return hash.map((word, index) => (word + at(state, index)) | 0);
};

/** Hex digits of the SHA-256 of the text's UTF-8. */
export const sha256Hex = (text: string): string => {
  const first = primes();
  const constants = first.map((prime) => fraction(Math.cbrt(prime)));
  const words = padded(bytesOf(text));
  let hash = first.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
  for (let from = 0; from < words.length; from += 16)
    hash = compress(hash, words.subarray(from, from + 16), constants);
  return hash.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
};
