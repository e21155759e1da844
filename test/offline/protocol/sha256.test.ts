/** SHA-256 of the workflow sandbox equals Node's. */
import { hash } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256Hex } from '../../../protocol/rules/sha256.ts';

test('any text has the digest that Node computes', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary', maxLength: 300 }),
        // The edges of a block: 55 bytes are the most that fit beside the padding.
        fc.integer({ min: 0, max: 200 }).map((length) => 'x'.repeat(length)),
      ),
      (text) => {
        expect(sha256Hex(text)).toBe(hash('sha256', text, 'hex'));
      },
    ),
    { numRuns: 3_000 },
  );
});

test('half of a surrogate pair and a text of a megabyte have the digest that Node gives', () => {
  for (const text of ['\ud800', 'a\udc00b', 'é€😀'.repeat(120_000)])
    expect(sha256Hex(text)).toBe(hash('sha256', text, 'hex'));
});
