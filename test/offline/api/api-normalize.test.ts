/**
 * One rule for every request: null is the field left out, and `[]` is `{}`. The bodies are generated from the schemas of the
 * route table, so a field that is added later is tested without a line here.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ROUTES } from '../../../api/app.ts';
import { createApi } from '../../../api/index.ts';
import { normalizeBody } from '../../../api/normalize.ts';
import { openApiDocument } from '../../../api/openapi.ts';
import { parseBody } from '../../../api/validate.ts';
import { maxCostSchema, metadataSchema } from '../../../protocol/wire/schemas.ts';
import { createSandbox } from '../../../testing/index.ts';
import { call } from '../../support/http.ts';

/** One body twice: as the API documents it, and as a client sends it that writes null and `[]` for nothing. */
interface Pair {
  plain: unknown;
  sent: unknown;
}
type AnySchema = z.core.$ZodType;

const CANDIDATES: readonly unknown[] = [
  'https://hooks.example/a',
  'run.ended',
  'a',
  'auto',
  'user',
  'text',
  'function',
  'approve',
  'https://a.example/image.png',
  true,
  1,
  300,
  0.5,
];

const unwrap = (schema: AnySchema): AnySchema =>
  schema instanceof z.ZodOptional || schema instanceof z.ZodNullable ? unwrap(schema.unwrap()) : schema;

const emptyAsArray = (pair: Pair): fc.Arbitrary<Pair> =>
  Object.keys(pair.plain as object).length === 0
    ? fc.constantFrom(pair, { ...pair, sent: [] })
    : fc.constant(pair);

const objectPairs = (shape: Readonly<Record<string, AnySchema>>): fc.Arbitrary<Pair> => {
  const fields = Object.entries(shape).map(([key, schema]) => {
    const present = (): fc.Arbitrary<[string, Pair | null, boolean]> =>
      pairs(schema).map((pair) => [key, pair, false]);
    if (!z.safeParse(schema, undefined).success) return present();
    const freeForm = unwrap(schema) instanceof z.ZodUnknown;
    const absent = fc.constantFrom<[string, Pair | null, boolean]>(
      [key, null, false],
      [key, null, !freeForm],
    );
    // Only null fits some fields: they are absent, or null and absent.
    return unwrap(schema) instanceof z.ZodNull ? absent : fc.oneof(present(), absent);
  });
  return fc
    .tuple(...fields)
    .map((chosen): Pair => {
      const plain: Record<string, unknown> = {};
      const sent: Record<string, unknown> = {};
      for (const [key, pair, asNull] of chosen) {
        if (pair !== null) {
          plain[key] = pair.plain;
          sent[key] = pair.sent;
        } else if (asNull) sent[key] = null;
      }
      return { plain, sent };
    })
    .chain((pair) =>
      Object.keys(pair.sent as object).length === 0 ? emptyAsArray(pair) : fc.constant(pair),
    );
};

const same = (value: unknown): Pair => ({ plain: value, sent: value });

const pairs = (wrapped: AnySchema): fc.Arbitrary<Pair> => {
  const schema = unwrap(wrapped);
  if (schema instanceof z.ZodObject) return objectPairs(schema.shape);
  if (schema instanceof z.ZodArray)
    return fc.array(pairs(schema.element), { minLength: 1, maxLength: 2 }).map((items) => ({
      plain: items.map(({ plain }) => plain),
      sent: items.map(({ sent }) => sent),
    }));
  if (schema instanceof z.ZodUnion) return fc.oneof(...schema.options.map(pairs));
  if (schema === unwrap(maxCostSchema))
    return fc.constantFrom<Pair>(same({}), { plain: {}, sent: [] }, same({ USD: '0.50' }));
  if (schema instanceof z.ZodRecord || schema === unwrap(metadataSchema))
    return fc.constantFrom<Pair>(same({}), { plain: {}, sent: [] }, same({ a: 'null' }));
  if (schema instanceof z.ZodUnknown) return fc.constantFrom(null, [], {}, 'a').map(same);
  const fitting = CANDIDATES.filter((value) => z.safeParse(schema, value).success);
  const literals = schema instanceof z.ZodLiteral ? [...schema.values] : [];
  return fc.constantFrom(...literals, ...fitting).map(same);
};

/** The document does not speak of `[]`, which says the same as `{}`. */
const withObjects = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (_key, item: unknown) =>
    Array.isArray(item) && item.length === 0 ? {} : item,
  );

const withBody = ROUTES.flatMap(({ method, path, body }) =>
  body === null ? [] : [{ name: `${method} ${path}`, method, path, body }],
);
const document = openApiDocument(ROUTES, '1') as {
  paths: Record<
    string,
    Record<string, { requestBody: { content: { 'application/json': { schema: object } } } }>
  >;
};

describe('null and []', () => {
  test.each(withBody)('are read as left out wherever they stand in the body of $name', ({ body }) => {
    fc.assert(
      fc.property(pairs(body), ({ plain, sent }) => {
        expect(parseBody(body, sent)).toEqual(parseBody(body, plain));
      }),
      { numRuns: 300 },
    );
  });

  test.each(withBody)('are read as an empty object in place of the body of $name', ({ body }) => {
    expect(normalizeBody(body, null)).toEqual({});
    expect(normalizeBody(body, [])).toEqual({});
  });

  test.each(withBody)('and the document of $name says that null is taken', ({ path, body, method }) => {
    const schema =
      document.paths[path]?.[method.toLowerCase()]?.requestBody.content['application/json'].schema;
    const matches = new Ajv2020({ strict: false }).compile(schema ?? false);
    fc.assert(
      fc.property(pairs(body), ({ sent }) => {
        matches(withObjects(sent));
        expect(matches.errors).toBeNull();
      }),
    );
  });
});

describe('values stay values', () => {
  const schema = z.strictObject({
    parameters: z.record(z.string(), z.unknown()).optional(),
    output: z.unknown().optional(),
    list: z.array(z.string()).optional(),
    required: z.string().nullable(),
    content: z.union([z.string(), z.array(z.string())]),
  });
  test.each([
    ['null inside free-form JSON', { parameters: { default: null, enum: [] } }],
    ['free-form null', { output: null }],
    ['an empty list of a list', { list: [] }],
    ['null of a required field', { required: null }],
    ['an empty list that may be a list or a text', { content: [] }],
    ['an unknown field', { more: null, other: [] }],
  ])('%s', (_, body) => {
    expect(normalizeBody(schema, body)).toBe(body);
  });
});

describe('what clients send', () => {
  test.each([
    ['marvin: an assistant and its message', '/v1/assistants', { model: 'm', tools: null, metadata: null }],
    [
      'marvin: a thread without messages',
      '/v1/threads',
      { messages: null, metadata: {}, tool_resources: null },
    ],
    ['PHP: an empty thread', '/v1/threads', []],
    ['PHP: empty metadata', '/v1/threads', { metadata: [] }],
    [
      'PHP: a function without parameters',
      '/v1/assistants',
      { model: 'm', tools: [{ type: 'function', function: { name: 'f', parameters: [] } }] },
    ],
    [
      'a function whose optional parts are null',
      '/v1/assistants',
      {
        model: 'm',
        tools: [
          { type: 'function', function: { name: 'f', description: null, parameters: null, strict: null } },
        ],
      },
    ],
    [
      'async-openai: an image without detail',
      '/v1/threads',
      {
        messages: [
          {
            role: 'user',
            content: [{ type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: null } }],
            attachments: null,
          },
        ],
      },
    ],
    [
      'a run with every choice left open',
      '/v1/threads/runs',
      {
        assistant_id: 'asst_chat',
        parallel_tool_calls: null,
        tools: null,
        thread: null,
        truncation_strategy: null,
      },
    ],
  ])('%s', async (_, path, body) => {
    const sandbox = await createSandbox({ listen: false });
    const answer = await call(sandbox.fetch, 'POST', path, body);
    expect([answer.status, answer.body]).toEqual([200, expect.anything()]);
    await sandbox.close();
  });

  test("an update's null model leaves the model", async () => {
    const sandbox = await createSandbox({ listen: false });
    const made = (await call(sandbox.fetch, 'POST', '/v1/assistants', { model: 'm', name: 'One' })).body as {
      id: string;
    };
    const answer = await call(sandbox.fetch, 'POST', `/v1/assistants/${made.id}`, {
      model: null,
      name: null,
    });
    expect(answer.body).toMatchObject({ model: 'm', name: 'One' });
    await sandbox.close();
  });

  test('an answer of null is an output, and is left out beside a decision', async () => {
    const sandbox = await createSandbox({ listen: false });
    const answers: unknown[] = [];
    const api = createApi({
      engine: {
        ...sandbox.engine,
        answer: async (_caller, _thread, _run, payload) => {
          answers.push(payload);
          return { run_id: 'r', call_id: payload.call_id, result: 'accepted', waiting: [] };
        },
      },
    });
    const path = '/v1/threads/t/runs/r/answers';
    await call(api.fetch, 'POST', path, { call_id: 'c', output: null });
    await call(api.fetch, 'POST', path, { call_id: 'c', output: null, decision: 'deny', reason: null });
    expect(answers).toEqual([
      { call_id: 'c', output: null },
      { call_id: 'c', decision: 'deny' },
    ]);
    await sandbox.close();
  });
});
