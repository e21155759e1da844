/** Arguments in, outputs out: properties over arbitrary values. Pure. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { checkArguments } from '../../../activities/tools/check-arguments.ts';
import { cutUtf8, limitOutput, serialise, toOutcome } from '../../../activities/tools/tool-output.ts';
import { ARGUMENT_LIMITS } from '../../../protocol/limits.ts';
import { parseArguments } from '../../../protocol/rules/tool-arguments.ts';
import { utf8Length } from '../../../protocol/rules/tool-outputs.ts';

const RUNS = { numRuns: 300, seed: 20261122 };

describe('arguments', () => {
  test('any text at all gives a value or a problem, never a throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.string({ unit: 'binary' })), (text) => {
        const parsed = parseArguments(text);
        expect(parsed.ok ? Object.prototype.toString.call(parsed.value) : typeof parsed.problem).toBe(
          parsed.ok ? '[object Object]' : 'string',
        );
      }),
      RUNS,
    );
  });

  test('any JSON object without prototype keys comes through unchanged', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        const text = JSON.stringify(object);
        fc.pre(!/"(__proto__|constructor)"/.test(text));
        const parsed = parseArguments(text);
        expect(parsed).toEqual({ ok: true, value: JSON.parse(text) });
      }),
      RUNS,
    );
  });

  test('empty text is a call without arguments', () => {
    expect(parseArguments('')).toEqual({ ok: true, value: {} });
    expect(parseArguments(' \n')).toEqual({ ok: true, value: {} });
  });

  test.each([
    ['{"__proto__": {"admin": true}}', /"__proto__" is not allowed/],
    ['{"a": [{"__proto__": 1}]}', /"__proto__" is not allowed/],
    ['{"constructor": {"prototype": {"x": 1}}}', /"constructor" is not allowed/],
    ['[1]', /must be a JSON object/],
    ['"text"', /must be a JSON object/],
    ['null', /must be a JSON object/],
    ['{"a": }', /not valid JSON/],
    [`{"a": ${'['.repeat(ARGUMENT_LIMITS.depth)}${']'.repeat(ARGUMENT_LIMITS.depth)}}`, /nested deeper than/],
    [`{"a": "${'x'.repeat(ARGUMENT_LIMITS.characters)}"}`, /characters long/],
  ])('refused: %.40s', (text, expected) => {
    const parsed = parseArguments(text);
    expect(parsed.ok ? 'accepted' : parsed.problem).toMatch(expected);
  });

  test('a text of brackets deep enough to end a recursive reader is a problem, not a crash', () => {
    const parsed = parseArguments(`{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`);
    expect(parsed.ok).toBe(false);
  });

  test('a property named constructor is an ordinary one', () => {
    expect(parseArguments('{"constructor": "Bernini"}').ok).toBe(true);
  });

  test("the schema's complaints are compact, however many there are", async () => {
    const shape = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`field${index}`, z.string()]));
    const checked = await checkArguments({ name: 'wide', parameters: z.object(shape) }, '{}');
    if (checked.ok) throw new Error('nothing fits nothing');
    expect(checked.problem).toMatch(
      /^the arguments of "wide" are invalid: field0: .*and 45 more\. Correct them/,
    );
    expect(checked.problem.length).toBeLessThan(800);
  });

  test('defaults and transforms of the schema are applied, unknown keys dropped', async () => {
    const parameters = z.object({ n: z.coerce.number(), unit: z.string().default('m') });
    expect(await checkArguments({ name: 't', parameters }, '{"n": "3", "x": 1}')).toEqual({
      ok: true,
      value: { n: 3, unit: 'm' },
    });
  });
});

describe('outputs', () => {
  test('any value gives an outcome within the limit that JSON and UTF-8 can carry', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true }),
        fc.integer({ min: 256, max: 2_000 }),
        (value, limit) => {
          const outcome = toOutcome('t', value, limit);
          expect(utf8Length(outcome.output)).toBeLessThanOrEqual(outcome.ok ? limit : 500);
          expect(
            new TextDecoder('utf-8', { fatal: true }).decode(new TextEncoder().encode(outcome.output)),
          ).toBe(outcome.output);
          expect(JSON.parse(JSON.stringify(outcome))).toEqual(outcome);
        },
      ),
      RUNS,
    );
  });

  test('any JSON value but a string is sent as JSON, and noted', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(typeof value !== 'string' && !/[\uD800-\uDFFF]/.test(JSON.stringify(value)));
        const outcome = toOutcome('t', value, 500_000);
        expect(JSON.parse(outcome.output)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(outcome.notes).toEqual(['serialised']);
      }),
      RUNS,
    );
  });

  test('a cut text is the longest whole-character prefix that fits', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 60 }),
        fc.integer({ min: 0, max: 120 }),
        (text, bytes) => {
          const head = cutUtf8(text, bytes);
          expect(text.startsWith(head)).toBe(true);
          expect(utf8Length(head)).toBeLessThanOrEqual(bytes);
          const next = text.codePointAt(head.length);
          const oneMore = next === undefined ? Infinity : utf8Length(head + String.fromCodePoint(next));
          expect(oneMore).toBeGreaterThan(bytes);
        },
      ),
      RUNS,
    );
  });

  test('what was cut is said in the text and noted', () => {
    const outcome = toOutcome('t', 'é'.repeat(1_000), 300);
    expect(outcome.ok).toBe(true);
    expect(outcome.notes).toEqual(['truncated']);
    expect(outcome.output).toMatch(/^é+\n\[truncated: the first \d+ of 2000 bytes\]$/u);
    expect(limitOutput('short', 300)).toEqual({ text: 'short', cut: false });
  });

  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = cyclic;
  test.each<[string, unknown, string]>([
    ['a string', 'as it is', 'as it is'],
    ['an empty string', '', ''],
    ['nothing', undefined, 'The tool ran and returned nothing.'],
    ['null', null, 'null'],
    ['a date', new Date(0), '"1970-01-01T00:00:00.000Z"'],
    ['a map', new Map([['a', 1]]), '{"a":1}'],
    ['a map of objects', new Map([[{ k: 1 }, 2]]), '[[{"k":1},2]]'],
    ['a set', new Set([1, 2]), '[1,2]'],
    ['a big integer', 12345678901234567890n, '"12345678901234567890"'],
    ['not a number', { n: NaN, i: Infinity }, '{"n":"NaN","i":"Infinity"}'],
    ['an error', { e: new Error('boom') }, '{"e":{"error":"boom"}}'],
    ['half a character', 'a\uD800b', 'a\uFFFDb'],
  ])('%s', (_what, value, expected) => {
    expect(serialise(value)).toMatchObject({ ok: true, text: expected });
  });

  test.each<[string, unknown, RegExp]>([
    ['a function', () => 1, /returned a function/],
    ['a function inside', { run: () => 1 }, /holds a function/],
    ['a symbol', Symbol('s'), /returned a symbol/],
    ['a cycle', cyclic, /refers to itself/],
    ['bytes', Buffer.from('abc'), /binary data/],
    ['bytes inside', { data: new Uint8Array(3) }, /binary data/],
    [
      'a getter that throws',
      {
        get broken() {
          throw new Error('not today');
        },
      },
      /not today/,
    ],
  ])('%s can not be sent, and the model is told why', (_what, value, expected) => {
    const outcome = toOutcome('t', value, 65_536);
    expect(outcome).toMatchObject({ ok: false, notes: ['invalid_output'] });
    expect(JSON.parse(outcome.output)).toMatchObject({ error: { type: 'invalid_output' } });
    expect(outcome.output).toMatch(expected);
  });
});
