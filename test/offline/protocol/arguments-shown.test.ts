/** How arguments are read and shown: one way to read them, and nothing hidden in what is shown. Pure. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ARGUMENT_LIMITS } from '../../../protocol/limits.ts';
import {
  showArguments,
  showValue,
  summarizeArguments,
  wrapShown,
} from '../../../protocol/rules/show-arguments.ts';
import { canonicalJson, parseArguments, type JsonObject } from '../../../protocol/rules/tool-arguments.ts';
import { visible } from '../../../protocol/rules/visible.ts';

const RUNS = { numRuns: 400, seed: 20261126 };

/** What no shown text may hold, written down apart from the code: line feeds between its lines excepted. */
const MISLEADING =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u00A0\u1680\u2000-\u200A\u202F\u205F\u3000\u2800\u115F\u3164\p{Variation_Selector}]/u;
const FENCE = /`{3}|~{3}/;

/** Strings full of what deceives. */
const nasty = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: fc.string({ unit: 'grapheme', maxLength: 8 }) },
      fc.string({ unit: 'binary', maxLength: 4 }),
      fc.constantFrom(
        '\uFFF9',
        '\u0605',
        '\u202E',
        '\u2066',
        '\u2069',
        '\u200B',
        '\u200D',
        '\u2028',
        '\u2029',
        '\u00A0',
        '\u3000',
        '\uFEFF',
        '\u0000',
        '\u001B[2J',
        '\r\n',
        '\u0085',
        '\uD800',
        '\uDC00',
        '\u{E0041}',
        '\uFE0F',
        '\u0301',
        '\u20DD',
        '```',
        '~~~~',
        '\\',
        '"',
        '",\n  "amount": 20',
        '<shortened: all of 3 keys>',
        'שלום 12',
        'раypal',
        'x'.repeat(300),
      ),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(''));
const json: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    nasty,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom<unknown>(null, true, false, 0, -0, 1e21, 'null', '1'),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(nasty, tie('value'), { maxKeys: 5 }),
  ),
})).value;
const value: fc.Arbitrary<JsonObject> = fc
  .dictionary(nasty, json, { maxKeys: 6 })
  .filter((object) => parseArguments(JSON.stringify(object)).ok);

const lines = (text: string): string[] => text.split('\n');

describe('the text that every door shows', () => {
  test('holds no control, format or separator character, no odd space and no fence, for any value', () => {
    fc.assert(
      fc.property(value, fc.constantFrom(40, 400, 8_000, Infinity), (object, most) => {
        const { text } = showValue(object, most);
        expect(lines(text).filter((line) => MISLEADING.test(line) || FENCE.test(line))).toEqual([]);
      }),
      RUNS,
    );
  });

  test('is JSON that parses to exactly the value where nothing was shortened', () => {
    fc.assert(
      fc.property(value, (object) => {
        const { text, shortened } = showValue(object, Infinity);
        expect(shortened).toBe(0);
        // -0 is told from 0, by text and by value.
        expect(canonicalJson(JSON.parse(text))).toBe(canonicalJson(object));
      }),
      RUNS,
    );
  });

  test('and the digest, together, are never the same for two values that differ', () => {
    // The digest is SHA-256 of the canonical text: it differs where that does.
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(value, value, fc.constantFrom(40, 400, 8_000), (a, b, most) => {
        for (const object of [a, b]) {
          const { text, shortened } = showValue(object, most);
          const canonical = canonicalJson(object);
          expect(canonicalJson(JSON.parse(canonical))).toBe(canonical);
          if (shortened > 0) continue;
          // Whole, the text alone tells values apart.
          const before = seen.get(text);
          seen.set(text, canonical);
          expect(before ?? canonical).toBe(canonical);
        }
        const same = canonicalJson(a) === canonicalJson(b);
        expect(same).toBe(Object.keys(a).length === Object.keys(b).length && deepEqual(a, b));
      }),
      RUNS,
    );
  });

  test('tells -0 from 0, which JSON does not', () => {
    expect(showValue({ amount: -0 }).text).toBe('{\n  "amount": -0\n}');
    expect(canonicalJson({ amount: -0 })).not.toBe(canonicalJson({ amount: 0 }));
  });

  test('names every key, however little of the values it has room for', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 60 }), { maxLength: 40 }),
        fc.integer({ min: 0, max: 4_000 }),
        (keys, most) => {
          const object = Object.fromEntries(keys.map((key) => [key, { deep: 'x'.repeat(500) }]));
          fc.pre(parseArguments(JSON.stringify(object)).ok);
          const { text } = showValue(object, most);
          const named = lines(text).flatMap((line) => /^ {2}("(?:[^"\\]|\\.)*"): /.exec(line)?.[1] ?? []);
          expect(named.map((key) => JSON.parse(key) as string).toSorted()).toEqual(
            Object.keys(object).toSorted(),
          );
        },
      ),
      RUNS,
    );
  });

  test('says of each value that was shortened how long it is, where no string can say it', () => {
    const { text, shortened } = showArguments(
      JSON.stringify({
        note: 'n'.repeat(9_000),
        amount: 20_000,
        list: Array.from({ length: 2_000 }, (_, index) => index),
        claim: '" <shortened: the first 2 of 9 characters>',
      }),
    );
    expect(shortened).toBe(2);
    expect(text).toContain('" <shortened: the first 1000 of 9000 characters>,');
    expect(text).toContain('    <shortened: the first 64 of 2000 elements>');
    expect(text).toContain('"amount": 20000');
    // The model's own words stay within their quotes.
    expect(text).toContain('"claim": "\\" <shortened: the first 2 of 9 characters>"');
  });

  test('is bounded: more keys than a person can be shown are counted', () => {
    const many = Object.fromEntries(
      Array.from({ length: 50_000 }, (_, index) => [`k${index}`, 'v'.repeat(9)]),
    );
    const { text, shortened } = showValue(many);
    expect(text.length).toBeLessThan(60_000);
    expect(shortened).toBe(1);
    expect(text).toContain(`<shortened: the first ${ARGUMENT_LIMITS.shownKeys} of 50000 keys>`);
  });

  test.each([
    ['a second amount', '{"order":"42","amount":20,"note":"x","amount":20000}'],
    ['no JSON', '{"order": \u202E'],
    ['a list', '["\u2028"]'],
  ])('of what is no arguments (%s) is the text of the model as one string, and why', (_what, given) => {
    const { text, problem } = showArguments(given);
    expect(JSON.parse(text)).toBe(given);
    expect(problem).toMatch(/^(the key|the same|they) /);
    expect(MISLEADING.test(text) || MISLEADING.test(problem ?? '')).toBe(false);
  });

  test.each([
    ['bidirectional controls', 'a\u202Eb\u2066c', 'a\\u202eb\\u2066c'],
    ['zero width and line separators', 'a\u200Bb\u2028c\uFEFF', 'a\\u200bb\\u2028c\\ufeff'],
    ['spaces that are none', 'a\u00A0b\u3000c\u2800', 'a\\u00a0b\\u3000c\\u2800'],
    ['Latin in disguise', 'раypal.com', '\\u0440\\u0430ypal.com'],
    ['plain Cyrillic', 'Привет, мир', 'Привет, мир'],
    ['Hebrew alone', 'שלום', 'שלום'],
    ['Hebrew that would move digits', 'שלום 12', '\\u05e9\\u05dc\\u05d5\\u05dd 12'],
    ['Chinese and an emoji', '退款 😀', '退款 😀'],
    ['accents', 'Zoe\u0308 é', 'Zoe\u0308 é'],
    ['an accent on nothing', '\u0301x', '\\u0301x'],
    ['half a character', '\uD83Dx', '\\ud83dx'],
    ['tags', 'x\u{E0041}', 'x\\udb40\\udc41'],
  ])('shows %s', (_what, text, shown) => {
    expect(visible(text)).toBe(shown);
    expect(showValue({ v: text }).text).toContain(`"v": "${shown}"`);
  });

  test('shows names in ASCII: a key with a Cyrillic letter is another key', () => {
    const { text } = showArguments('{"аmount": 20, "amount": 20000}');
    expect(text).toBe('{\n  "\\u0430mount": 20,\n  "amount": 20000\n}');
  });
});

/** Equality of JSON values that tells -0 from 0, written apart from the canonical text. */
const deepEqual = (a: unknown, b: unknown): boolean => {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return Object.is(a, b);
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [x, y] = [Object.entries(a), Object.entries(b)];
  return (
    x.length === y.length &&
    x.every(([key, item]) => Object.hasOwn(b, key) && deepEqual(item, Reflect.get(b, key)))
  );
};

describe('reading', () => {
  /** A writer of JSON that repeats a key somewhere. */
  const withTwice = fc.tuple(value, nasty, fc.jsonValue(), fc.jsonValue(), fc.boolean());

  test('refuses a key that stands twice, at any depth and however it is spelled', () => {
    fc.assert(
      fc.property(withTwice, ([object, key, first, second, deep]) => {
        const quoted = JSON.stringify(key);
        const spelled = `"${escapedUnits(key)}"`;
        const twice = `{${quoted}: ${JSON.stringify(first)}, "x y": [], ${spelled}: ${JSON.stringify(second)}}`;
        fc.pre(key !== 'x y');
        const rest = JSON.stringify(object).slice(1, -1);
        const text = deep ? `{"zz deep": [{"a": ${twice}}]${rest === '' ? '' : `, ${rest}`}}` : twice;
        fc.pre(!Object.hasOwn(object, 'zz deep'));
        const parsed = parseArguments(text);
        expect(parsed.ok).toBe(false);
      }),
      RUNS,
    );
  });

  test('takes what JSON.parse takes where no key stands twice', () => {
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 1, '\t'), (object, indent) => {
        const text = JSON.stringify(object, null, indent);
        expect(parseArguments(text)).toEqual({ ok: true, value: JSON.parse(text) });
      }),
      RUNS,
    );
  });
});

const escapedUnits = (text: string): string =>
  Array.from(
    { length: text.length },
    (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`,
  ).join('');

describe('lines that a place would cut', () => {
  test('are wrapped, with a sign that no string can make, and lose nothing', () => {
    fc.assert(
      fc.property(value, fc.integer({ min: 20, max: 80 }), (object, width) => {
        const { text } = showValue(object, Infinity);
        const wrapped = wrapShown(text, width);
        const joined = wrapped.reduce((whole, line) =>
          /^ *↪ /.test(line) ? `${whole}${line.replace(/^ *↪ /, '')}` : `${whole}\n${line}`,
        );
        expect(joined).toBe(text);
        expect(text.split('\n').filter((line) => /^ *↪/.test(line))).toEqual([]);
      }),
      RUNS,
    );
  });

  test('keep escapes whole, and count wide letters twice', () => {
    expect(wrapShown('  "note": "abc\\u202e退款退款"', 16)).toEqual([
      '  "note": "abc',
      '    ↪ \\u202e退款',
      '    ↪ 退款"',
    ]);
  });
});

describe('one line of a list', () => {
  test('is all of the arguments, as JSON, or says how much there is and shows nothing of it', () => {
    fc.assert(
      fc.property(value, fc.integer({ min: 10, max: 200 }), (object, most) => {
        const given = JSON.stringify(object);
        const line = summarizeArguments(given, most);
        const whole = line.startsWith('{');
        expect(whole ? canonicalJson(JSON.parse(line)) : line).toBe(
          whole
            ? canonicalJson(JSON.parse(given))
            : `${Object.keys(object).length} key${Object.keys(object).length === 1 ? '' : 's'}, ${given.length} characters`,
        );
      }),
      RUNS,
    );
    expect(summarizeArguments('{"order":"42","amount":1}', 48)).toBe('{"order":"42","amount":1}');
    expect(summarizeArguments('{"a":1,"a":2}', 48)).toBe('unreadable, 13 characters');
  });
});
