import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonDepthError, parseJson } from '../../../backends/http/json.ts';

const depthOf = (value: unknown): number =>
  typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;

describe('JSON of strangers', () => {
  test('within its bounds it is JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes('__proto__'));
        expect(parseJson(text)).toEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  test('it is refused exactly when it is nested deeper than the limit', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 6 }),
        fc.integer({ min: 0, max: 6 }),
        fc.boolean(),
        (value, limit, spaced) => {
          const text = JSON.stringify(value, null, spaced ? 2 : 0);
          const parse = (): unknown => parseJson(text, limit);
          const tooDeep = depthOf(JSON.parse(text)) > limit;
          let thrown: unknown;
          try {
            parse();
          } catch (error) {
            thrown = error;
          }
          expect(thrown instanceof JsonDepthError).toBe(tooDeep);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('brackets inside strings, escaped quotes and all, are no nesting', () => {
    const value = { 'a"[[[[': '{{{{\\"[[[[', b: '\\' };
    expect(parseJson(JSON.stringify(value), 1)).toEqual(value);
  });

  test('a million brackets cost no stack', () => {
    expect(() => parseJson('['.repeat(1_000_000))).toThrow(JsonDepthError);
  });

  test('no text makes an object whose prototype is not its own', () => {
    const key = fc.constantFrom('__proto__', 'a', 'constructor', 'prototype');
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        fc.integer(),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.array(fc.tuple(key, tie('tree')), { maxLength: 3 }).map((pairs) => ({ pairs })),
      ),
    }));
    const write = (value: unknown): string => {
      if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
      if (typeof value === 'object' && value !== null && 'pairs' in value)
        return `{${(value.pairs as [string, unknown][]).map(([name, item]) => `${JSON.stringify(name).replace('__p', '\\u005f_p')}:${write(item)}`).join(',')}}`;
      return JSON.stringify(value);
    };
    fc.assert(
      fc.property(tree, (value) => {
        const text = write(value);
        const copy: unknown = structuredClone(parseJson(text));
        expect(JSON.stringify(copy)).not.toContain('__proto__');
      }),
      { numRuns: 300 },
    );
  });

  test.each(['', '{', '{"a":1,}', 'undefined', '\u0000'])('%j is no JSON', (text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError);
  });
});
