/** Pure parts of the inbox: filters, one line of arguments, sentences, the form of a schema. */
import { describe, expect, test } from 'vitest';
import { argumentPairs, sizeText } from '../../../console/src/pages/inbox/argument-pairs.ts';
import { choicesOf, filtered, filterOf } from '../../../console/src/pages/inbox/filters.ts';
import type { InboxCall } from '../../../console/src/pages/inbox/inbox-types.ts';
import { decidedBy, votesText } from '../../../console/src/pages/inbox/words.ts';
import {
  changedArguments,
  initialValue,
  numberProblem,
  schemaFields,
} from '../../../console/src/schema-form/schema-fields.ts';

const call = (changes: Partial<InboxCall>): InboxCall => ({
  id: 'a1',
  object: 'approval',
  created_at: 1,
  tenant: 'acme',
  thread_id: 'thread_1',
  run_id: 'run_1',
  assistant_id: 'asst_1',
  call_id: 'call_1',
  tool: 'refund',
  status: 'waiting',
  arguments: '{"order":"A-1"}',
  arguments_digest: null,
  digest_required: false,
  requested_by: 'shop',
  answer_by: 1_000,
  on_deadline: 'fail',
  answer_within: null,
  late: false,
  expires_at: null,
  decision: null,
  refused_edit: null,
  policy: null,
  reminded_at: null,
  escalated_at: null,
  ...changes,
});

describe('filters', () => {
  const calls = [
    call({ id: 'soon', answer_by: 1_000 }),
    call({ id: 'later', answer_by: 90_000, tool: 'mail', assistant_id: 'asst_2' }),
    call({ id: 'never', answer_by: null, thread_id: 'thread_2', arguments: '{"order":"ZÜRICH"}' }),
  ];
  test.each([
    ['', ['soon', 'later', 'never']],
    ['tool=mail', ['later']],
    ['assistant=asst_1', ['soon', 'never']],
    ['thread=thread_2', ['never']],
    ['due=hour', ['soon']],
    ['due=day', ['soon']],
    ['due=none', ['never']],
    ['due=nonsense', ['soon', 'later', 'never']],
    ['q=zürich', ['never']],
    ['q=refund+shop', ['soon', 'never']],
    ['q=refund+nothing', []],
  ])('%s lets through %j', (query, ids) => {
    const found = filtered(calls, filterOf(new URLSearchParams(query)), 0);
    expect(found.map(({ id }) => id)).toEqual(ids);
  });

  test('offer each tool once, the most frequent first', () => {
    expect(choicesOf(calls, 'tool')).toEqual([
      { value: 'refund', count: 2 },
      { value: 'mail', count: 1 },
    ]);
  });
});

test.each([
  [
    '{"order":"A-1","n":2}',
    [
      { key: 'order', value: 'A-1' },
      { key: 'n', value: '2' },
    ],
  ],
  ['{"text":"a\\n\\n b"}', [{ key: 'text', value: 'a b' }]],
  ['{}', []],
  ['[1]', null],
  ['no json', null],
  [`{"text":"${'x'.repeat(60_000)}"}`, null],
])('arguments %.20s are in one line as %j', (json, pairs) => {
  expect(argumentPairs(json)).toEqual(pairs);
});

test('sizes are in their unit', () => {
  expect([sizeText(999), sizeText(52_000), sizeText(1_048_576)]).toEqual([
    '999 characters',
    '52 KB',
    '1.0 MB',
  ]);
});

const mark = { type: 'deny', decided_at: 1, by: 'bob', verified: true } as const;
test.each([
  [{ status: 'decided', decision: mark }, 'bob denied it.'],
  [{ status: 'decided', decision: { ...mark, type: 'approve' } }, 'bob approved it.'],
  [{ status: 'decided', decision: { ...mark, verified: false } }, 'bob (name not verified) denied it.'],
  [{ status: 'decided', decision: { ...mark, by: null } }, 'Somebody without a name denied it.'],
  [{ status: 'expired', decision: null }, 'Nobody decided in time.'],
] as const)('%j reads: %s', (changes, text) => {
  expect(decidedBy(call(changes))).toBe(text);
});

test('the missing approvals are said only where several people decide', () => {
  expect(votesText(call({}))).toBeNull();
  expect(votesText(call({ votes_needed: 1, votes: [] }))).toBeNull();
  expect(votesText(call({ votes_needed: 2, votes: [] }))).toBe('2 more approvals needed');
  expect(
    votesText(call({ votes_needed: 1, votes: [{ by: 'bob', decision: 'approve', at: 1, verified: true }] })),
  ).toBe('1 more approval needed');
});

describe('the form of a schema', () => {
  const schema = {
    type: 'object',
    required: ['order'],
    properties: {
      order: { type: 'string', description: 'Number' },
      amount: { type: 'integer', minimum: 1, maximum: 9 },
      fast: { type: 'boolean' },
      why: { enum: ['late', 'broken'] },
      tags: { type: 'array', items: { type: 'string' } },
      to: { type: 'object', properties: { city: { type: 'string' } } },
      either: { anyOf: [{ type: 'string' }, { type: 'null' }] },
      rows: { type: 'array', items: { type: 'object' } },
    },
  };
  const kinds = (value: Record<string, unknown>): Record<string, string> =>
    Object.fromEntries((schemaFields(schema, value) ?? []).map(({ name, kind }) => [name, kind]));

  test('has a field for each property, and JSON where no field fits', () => {
    expect(kinds({})).toEqual({
      order: 'text',
      amount: 'number',
      fast: 'boolean',
      why: 'choice',
      tags: 'texts',
      to: 'group',
      either: 'json',
      rows: 'json',
    });
    expect(
      schemaFields(schema, {})
        ?.filter(({ required }) => required)
        .map(({ name }) => name),
    ).toEqual(['order']);
  });

  test('edits what the model sent against the schema as JSON, keys that the schema lacks included', () => {
    expect(kinds({ order: 7, amount: 'many', why: 'other', tags: ['a', 1], extra: true })).toMatchObject({
      order: 'json',
      amount: 'json',
      why: 'json',
      tags: 'json',
      extra: 'json',
    });
  });

  test.each([null, { type: 'string' }, { anyOf: [schema] }, { $ref: '#/x' }])(
    'there is none of %j',
    (none) => {
      expect(schemaFields(none, {})).toBeNull();
    },
  );

  test('takes no inherited name for a property', () => {
    const fields = schemaFields({ properties: { constructor: { type: 'string' } } }, {});
    expect(fields).toMatchObject([{ name: 'constructor', kind: 'text' }]);
  });

  test.each([
    ['5', null],
    ['', 'Enter a number.'],
    ['x', 'Enter a number.'],
    ['1.5', 'Enter a whole number.'],
    ['0', 'Enter 1 or more.'],
    ['10', 'Enter 9 or less.'],
  ])('takes %j as an amount: %s', (text, problem) => {
    expect(numberProblem(text, schema.properties.amount)).toBe(problem);
  });

  test('adds a field with a value of its kind', () => {
    expect(initialValue({ kind: 'choice', choices: ['late'] })).toBe('late');
    expect(initialValue({ kind: 'texts', choices: [] })).toEqual([]);
  });

  test('names what differs, absent keys included', () => {
    expect(changedArguments({ a: 1, b: [1], c: 0 }, { a: 2, b: [1], d: null })).toEqual([
      { key: 'a', before: 1, after: 2 },
      { key: 'c', before: 0, after: undefined },
      { key: 'd', before: undefined, after: null },
    ]);
  });
});
