import { Ajv } from 'ajv';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answerToolOf } from '../../../backends/models/openai-compatible/answer-tool.ts';
import { JsonAnswerFilter, NotJson } from '../../../backends/models/openai-compatible/json-answer.ts';
import type { ModelPart, ModelRequest } from '../../../protocol/ports/model.ts';
import { modelRequest } from '../../support/model-turn.ts';
import { propertyRuns } from '../../support/property-runs.ts';

type Schema = Record<string, unknown>;

/** A schema of up to three levels, with definitions that refer to the root and to each other. */
const schemas = fc.letrec<{ schema: Schema }>((tie) => ({
  schema: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<Schema>(
      { type: 'string' },
      { type: 'integer' },
      { type: 'boolean' },
      { type: 'null' },
      { enum: ['a', 1, null] },
      { const: { $ref: '#/not/a/reference' } },
      { $ref: '#/$defs/leaf' },
    ),
    fc.record({ type: fc.constant('array'), items: tie('schema') }),
    fc
      .dictionary(fc.constantFrom('a', 'b', 'value', '$ref', 'final_answer'), tie('schema'), { maxKeys: 3 })
      .map((properties) => ({ type: 'object', properties, required: Object.keys(properties) })),
    fc.array(tie('schema'), { minLength: 1, maxLength: 2 }).map((anyOf) => ({ anyOf })),
  ),
})).schema;
const rooted = schemas.map((schema): Schema => ({ ...schema, $defs: { leaf: { type: 'number' } } }));

const requestFor = (schema: Schema): ModelRequest =>
  modelRequest({ responseFormat: { type: 'json_schema', json_schema: { name: 'answer', schema } } });

const toolFor = (schema: Schema) => {
  const tool = answerToolOf(requestFor(schema), new Set(['no_response_format']));
  if (tool === null) throw new Error('a request for JSON has an answer tool');
  return tool;
};

const cutAt = (text: string, cuts: readonly number[]): string[] => {
  const at = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].toSorted((a, b) => a - b);
  return [0, ...at].map((from, index) => text.slice(from, at[index]));
};

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** The text that is passed on of an answer in pieces; null = it is no JSON. */
const answerOf = (pieces: readonly string[], object: boolean): string | null => {
  const answer = new JsonAnswerFilter({ object, tools: false, answerTool: null });
  const shown: ModelPart[] = [];
  try {
    for (const text of pieces) shown.push(...answer.take([{ kind: 'text', text }]));
    shown.push(...answer.take([{ kind: 'finish', reason: 'stop', raw: 'stop' }]));
  } catch (error) {
    if (error instanceof NotJson) return null;
    throw error;
  }
  return textOf(shown);
};

const textOf = (parts: readonly ModelPart[]): string =>
  parts.map((part) => (part.kind === 'text' ? part.text : '')).join('');

const cuts = fc.array(fc.nat(), { maxLength: 6 });

describe('the parameters of the answer tool', () => {
  test('allow exactly the answers that the schema allows', () => {
    fc.assert(
      fc.property(rooted, fc.jsonValue({ maxDepth: 3 }), (schema, value) => {
        // Ajv calls methods of that name when it compares values.
        fc.pre(!JSON.stringify([schema, value]).includes('"valueOf"'));
        const { tool, wrapped } = toolFor(schema);
        const ajv = new Ajv({ strict: false });
        const parameters = tool.function.parameters ?? {};
        expect(parameters['type']).toBe('object');
        const args = wrapped ? { value } : value;
        expect(ajv.validate(parameters, args)).toBe(ajv.validate(schema, value));
      }),
      { numRuns: propertyRuns(500) },
    );
  });
});

describe('the answer', () => {
  test('of any schema is the JSON text of the call’s arguments, however they are cut, and no call', () => {
    fc.assert(
      fc.property(rooted, fc.jsonValue({ maxDepth: 3 }), cuts, fc.boolean(), (schema, any, at, spaced) => {
        const answerTool = toolFor(schema);
        const value = answerTool.wrapped ? any : { any };
        const args = JSON.stringify(answerTool.wrapped ? { value } : value, null, spaced ? 2 : 0);
        const answer = new JsonAnswerFilter({ object: !answerTool.wrapped, tools: false, answerTool });
        const { name } = answerTool.tool.function;
        const shown = answer.take([
          { kind: 'text', text: 'Here you are: ' },
          { kind: 'call_begun', call: 0, name },
          ...cutAt(args, at).map((text): ModelPart => ({ kind: 'call_piece', call: 0, text })),
          { kind: 'call', call: 0, name, arguments: args },
          { kind: 'finish', reason: 'tool_calls', raw: 'tool_calls' },
        ]);
        expect(JSON.parse(textOf(shown))).toEqual(JSON.parse(JSON.stringify(value)));
        expect(shown.filter(({ kind }) => kind.startsWith('call'))).toEqual([]);
        expect(shown.at(-1)).toEqual({ kind: 'finish', reason: 'stop', raw: 'tool_calls' });
      }),
    );
  });

  test('by the field is passed on as it is, however it is cut', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 })),
        cuts,
        fc.boolean(),
        (value, at, spaced) => {
          const text = JSON.stringify(value, null, spaced ? 2 : 0);
          const answer = new JsonAnswerFilter({ object: true, tools: false, answerTool: null });
          const shown = answer.take([
            ...cutAt(text, at).map((one): ModelPart => ({ kind: 'text', text: one })),
            { kind: 'finish', reason: 'stop', raw: 'stop' },
          ]);
          expect(textOf(shown)).toBe(text);
        },
      ),
    );
  });

  test('is JSON or an error, whatever the model says', () => {
    const words = fc.oneof(
      fc.string(),
      fc.json(),
      fc.json().map((json) => `${json} words`),
    );
    fc.assert(
      fc.property(words, cuts, fc.boolean(), (text, at, object) => {
        const said = answerOf(cutAt(text, at), object);
        expect(said === null || isJson(said)).toBe(true);
      }),
      { numRuns: propertyRuns(1_000) },
    );
  });
});
