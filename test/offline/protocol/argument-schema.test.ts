/** The check of a person's arguments, against what others make of the same schemas: Ajv, and the zod it was written from. */
import { Ajv } from 'ajv';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { toEditSchema } from '../../../activities/tools/json-schema.ts';
import { schemaProblem, type JsonSchema } from '../../../protocol/rules/argument-schema.ts';

const RUNS = { numRuns: 500, seed: 20261126 };

const edit = (shape: z.ZodRawShape): JsonSchema => {
  const schema = toEditSchema(z.object(shape));
  if (schema === null) throw new Error('too long to be kept');
  return schema;
};
const said = (schema: JsonSchema, value: unknown): string => {
  const problem = schemaProblem(schema, value);
  return problem === null ? 'fits' : `${problem.field} ${problem.problem}`;
};

const refund = edit({ order: z.string(), amount: z.number().positive(), note: z.string().optional() });

test.each<[string, JsonSchema, unknown, string | RegExp]>([
  ['the right ones', refund, { order: '42', amount: 20 }, 'fits'],
  ['a negative amount', refund, { order: '42', amount: -1 }, 'amount must be greater than 0; got -1'],
  [
    'a misspelled key',
    refund,
    { order: '42', amount: 1, amont: 40 },
    'amont is not a parameter of the tool; the parameters here: "order", "amount", "note"',
  ],
  ['a misspelled key alone', refund, { order: '42', amont: 40 }, 'amont is not a parameter of the tool'],
  ['a missing key', refund, { order: '42' }, 'amount is missing'],
  ['text for a number', refund, { order: '42', amount: '20' }, 'amount must be of type number; got "20"'],
  ['a key of every object', refund, { order: '42', amount: 1, toString: 1 }, /^toString is not a parameter/],
  ['the prototype', refund, { order: '42', amount: 1, constructor: 1 }, /^constructor is not a parameter/],
  ['an integer', edit({ n: z.int() }), { n: 1.5 }, 'n must be of type integer; got 1.5'],
  ['an enum', edit({ n: z.enum(['a', 'b']) }), { n: 'c' }, 'n must be one of ["a","b"]; got "c"'],
  ['a literal', edit({ n: z.literal(7) }), { n: 8 }, /^n must be (one of \[7\]|7); got 8$/],
  ['tenths', edit({ n: z.number().multipleOf(0.1) }), { n: 0.3 }, 'fits'],
  [
    'no tenths',
    edit({ n: z.number().multipleOf(0.1) }),
    { n: 0.35 },
    'n must be a multiple of 0.1; got 0.35',
  ],
  [
    'a pattern',
    edit({ n: z.string().regex(/^a+$/) }),
    { n: 'b' },
    /^n must match the pattern "\^a\+\$"; got "b"$/,
  ],
  ['a list', edit({ n: z.array(z.object({ p: z.number() })) }), { n: [{ p: 1 }, {}] }, 'n[1].p is missing'],
  [
    'a record',
    edit({ n: z.record(z.string(), z.number()) }),
    { n: { 'a b': 'x' } },
    /^n\."a b" must be of type/,
  ],
  [
    'a tuple',
    edit({ n: z.tuple([z.string()]).rest(z.number()) }),
    { n: ['a', 1, 'b'] },
    /^n\[2\] must be of type number/,
  ],
  [
    'an alternative',
    edit({ n: z.union([z.string(), z.object({ p: z.number().max(3) })]) }),
    { n: { p: 4 } },
    'n.p must be at most 3; got 4',
  ],
  ['what may not be', edit({ n: z.never().optional() }), { n: 1 }, 'n is not allowed; got 1'],
  [
    'characters out of sight',
    refund,
    { order: '42', amount: 1, 'a\u202Eb': 1 },
    /^"a\\u202eb" is not a parameter/,
  ],
])('%s', (_what, schema, value, expected) => {
  expect(said(schema, value)).toMatch(expected);
});

describe('what zod does before it looks is left to the tool', () => {
  test.each<[string, z.ZodRawShape, unknown]>([
    ['a coercion', { n: z.coerce.number().positive() }, { n: '20' }],
    ['a preprocessor', { n: z.preprocess((v) => Number(v), z.number()) }, { n: '20' }],
    ['trimming', { n: z.string().trim().max(3) }, { n: '  abc  ' }],
    [
      'lower case',
      {
        n: z
          .string()
          .toLowerCase()
          .regex(/^[a-z]+$/),
      },
      { n: 'ABC' },
    ],
    ['a pattern with flags', { n: z.string().regex(/^abc$/i) }, { n: 'ABC' }],
    ['a refinement', { n: z.number().refine((n) => n % 2 === 0) }, { n: 3 }],
    ['a format', { n: z.url() }, { n: 'no address' }],
    ['keys that a loose object takes', { n: z.looseObject({ a: z.string() }) }, { n: { a: 'x', b: 1 } }],
    [
      'both parts of an intersection',
      { n: z.intersection(z.object({ a: z.string() }), z.object({ b: z.string() })) },
      { n: { a: 'x', b: 'y' } },
    ],
    ['a default', { n: z.number().default(3), default: z.string() }, { default: 'x' }],
  ])('%s', (_what, shape, value) => {
    expect(schemaProblem(edit(shape), value)).toBeNull();
  });
});

const shape = {
  order: z.string().min(2).max(6),
  amount: z.number().gt(0).lte(100),
  count: z.int().min(0).optional(),
  kind: z.enum(['cash', 'card']).optional(),
  tags: z.array(z.string()).min(1).max(3).optional(),
  to: z
    .discriminatedUnion('by', [
      z.object({ by: z.literal('iban'), iban: z.string() }),
      z.object({ by: z.literal('mail'), mail: z.string().regex(/@/), cc: z.boolean().nullable() }),
    ])
    .optional(),
  extra: z.record(z.string(), z.number()).optional(),
};
const strict = z.strictObject(shape);
/** Mostly what fits, now and then what does not. */
const mostly = <T>(fits: fc.Arbitrary<T>, ...others: fc.Arbitrary<unknown>[]): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 12, arbitrary: fits }, ...others);
const near = fc
  .tuple(
    fc.record({
      order: mostly(
        fc.string({ unit: 'grapheme-ascii', minLength: 2, maxLength: 6 }),
        fc.constant('x'),
        fc.constant(7),
      ),
      amount: mostly(
        fc.integer({ min: 1, max: 100 }),
        fc.double({ noNaN: true }),
        fc.constantFrom(0, 101, '20'),
      ),
    }),
    fc.record(
      {
        count: mostly(fc.nat(5), fc.constantFrom(-1, 1.5)),
        kind: mostly(fc.constantFrom('cash', 'card'), fc.constant('gold')),
        tags: mostly(
          fc.array(fc.string(), { minLength: 1, maxLength: 3 }),
          fc.constantFrom([], [1], ['a', 'b', 'c', 'd']),
        ),
        to: mostly(
          fc.oneof(
            fc.record({ by: fc.constant('iban'), iban: fc.string() }),
            fc.record({ by: fc.constant('mail'), mail: fc.constant('a@b'), cc: fc.constantFrom(true, null) }),
          ),
          fc.constantFrom(
            { by: 'x' },
            { by: 'mail', mail: 'ab', cc: null },
            { by: 'mail', mail: 'a@b', cc: 1 },
            { by: 'iban', iban: 'x', mail: 'a@b' },
          ),
        ),
        extra: mostly(
          fc.dictionary(fc.string({ maxLength: 3 }), fc.integer(), { maxKeys: 2 }),
          fc.constant({ a: 'x' }),
        ),
      },
      { requiredKeys: [] },
    ),
    mostly(fc.constant({}), fc.constant({ amont: 1 })),
  )
  .map(([must, may, odd]) => ({ ...must, ...may, ...(odd as object) }));

test('near misses of a schema without refinements are judged as zod judges them, key for key', () => {
  const schema = toEditSchema(strict);
  if (schema === null) throw new Error('too long to be kept');
  let refused = 0;
  fc.assert(
    fc.property(near, (value) => {
      const fits = strict.safeParse(value).success && !hasStrangers(value);
      refused += fits ? 0 : 1;
      expect(schemaProblem(schema, value) === null).toBe(fits);
    }),
    RUNS,
  );
  expect(refused).toBeGreaterThan(100);
  expect(refused).toBeLessThan(500);
});

/** zod drops keys of nested objects that it does not know; an edit that has some is refused. */
const hasStrangers = ({ to }: { to?: unknown }): boolean =>
  typeof to === 'object' && to !== null && Reflect.get(to, 'by') === 'iban' && 'mail' in to;

/** Schemas of all keywords that the check knows, values that come near them. */
const keyword = fc.oneof(
  fc.record({ type: fc.constantFrom('object', 'array', 'string', 'number', 'integer', 'boolean', 'null') }),
  fc.record({ type: fc.constant(['string', 'null']) }),
  fc.record({
    enum: fc.uniqueArray(fc.jsonValue({ maxDepth: 1 }), {
      minLength: 1,
      maxLength: 3,
      selector: (item) => JSON.stringify(item),
    }),
  }),
  fc.record({ const: fc.jsonValue({ maxDepth: 1 }) }),
  fc.record({ minimum: fc.integer({ min: -3, max: 3 }) }),
  fc.record({ maximum: fc.integer({ min: -3, max: 3 }) }),
  fc.record({ exclusiveMinimum: fc.integer({ min: -3, max: 3 }) }),
  fc.record({ exclusiveMaximum: fc.integer({ min: -3, max: 3 }) }),
  fc.record({ multipleOf: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ minLength: fc.nat(3), maxLength: fc.nat(5) }),
  fc.record({ pattern: fc.constantFrom('^a', 'b$', '^[a-c]*$') }),
  fc.record({ minItems: fc.nat(2), maxItems: fc.nat(4), uniqueItems: fc.boolean() }),
  fc.record({ minProperties: fc.nat(2), maxProperties: fc.nat(4) }),
);
const schema: fc.Arbitrary<JsonSchema> = fc.letrec<{ schema: JsonSchema }>((tie) => ({
  schema: fc
    .tuple(
      fc.array(keyword, { maxLength: 2 }),
      fc.option(
        fc.oneof(
          { maxDepth: 3, depthSize: 'small' },
          fc.constant({ required: ['a'] }),
          fc.record({
            properties: fc.dictionary(fc.constantFrom('a', 'b'), tie('schema')),
            additionalProperties: fc.oneof(fc.boolean(), tie('schema')),
          }),
          fc.record({
            patternProperties: fc.dictionary(fc.constantFrom('^a', 'b'), tie('schema')),
            additionalProperties: fc.boolean(),
          }),
          fc.record({ propertyNames: tie('schema') }),
          fc.record({ items: tie('schema') }),
          fc.record({
            items: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }),
            additionalItems: fc.oneof(fc.boolean(), tie('schema')),
          }),
          fc.record({ allOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }) }),
          fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }) }),
          fc.constant({ $ref: '#/definitions/one' }),
        ),
        { nil: undefined },
      ),
    )
    // Draft 7: nothing counts beside a reference; Ajv counts it.
    .map(
      ([words, more]) =>
        (more !== undefined && '$ref' in more ? more : Object.assign({}, ...words, more)) as JsonSchema,
    ),
})).schema;
const small: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 2, depthSize: 'small' },
    fc.integer({ min: -4, max: 4 }),
    fc.constantFrom<unknown>(null, true, 1.5, '', 'a', 'ab', 'abc', 'cb'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { maxKeys: 3 }),
  ),
})).value;

test('Ajv refuses exactly what is refused here, for every schema of these keywords', () => {
  const ajv = new Ajv({ strict: false, ownProperties: true, logger: false });
  let refused = 0;
  fc.assert(
    fc.property(schema, small, (rules, value) => {
      const root = { ...rules, definitions: { one: { type: 'string' } } };
      const fits = ajv.compile(root)(value);
      refused += fits ? 0 : 1;
      expect({ fits: schemaProblem(root, value) === null }).toEqual({ fits });
    }),
    { ...RUNS, numRuns: 800 },
  );
  expect(refused).toBeGreaterThan(100);
});

describe('nothing holds the workflow up', () => {
  test('a schema that refers to itself without end, or branches without measure, is left to the tool', () => {
    expect(schemaProblem({ $ref: '#' }, {})).toBeNull();
    const wide = { anyOf: Array.from({ length: 10 }, () => ({ $ref: '#' })) };
    expect(schemaProblem(wide, 1)).toBeNull();
    expect(schemaProblem({ $ref: '#/definitions/none' }, 1)).toBeNull();
    expect(schemaProblem({ pattern: '(' }, 'x')).toBeNull();
  });

  test('a schema that refers to itself is followed into the value', () => {
    const tree = {
      type: 'object',
      properties: { kids: { type: 'array', items: { $ref: '#' } } },
      additionalProperties: false,
    };
    expect(said(tree, { kids: [{ kids: [] }, { kids: [{ kid: 1 }] }] })).toBe(
      'kids[1].kids[0].kid is not a parameter of the tool; the parameters here: "kids"',
    );
  });
});
