/**
 * A JSON Schema of another author, as the parameters of a tool. Pure.
 *
 * Rule: the schema is untrusted, so it is read by our own bounded checker, which changes no value, evaluates no code and
 * refuses only what the schema refuses. Regular expressions are left out, since one may take forever. The rest of the
 * schema is for the server, which checks its arguments itself.
 * (zod's `fromJSONSchema` fills in defaults and throws at keywords that it does not know; Ajv compiles the schema to code.)
 * Imported by `define.ts` and by tests.
 */
import { z } from 'zod';
import { ARGUMENT_LIMITS, schemaProblem, type JsonSchema } from '../../protocol/index.ts';
import { stripAnnotations } from './json-schema.ts';
import { isRecord } from '../../protocol/rules/is-record.ts';

const NAMED = new Set(['properties', '$defs', 'definitions', 'dependentSchemas']);
const DATA = new Set(['enum', 'const', 'default', 'examples', 'required']);

/** Without patterns, and without a verdict about keys that a pattern might allow. */
const stripPatterns = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(stripPatterns);
  if (!isRecord(value)) return value;
  const dropped =
    value['patternProperties'] === undefined
      ? ['pattern']
      : ['pattern', 'patternProperties', 'additionalProperties'];
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !dropped.includes(key))
      .map(([key, item]) => [
        key,
        DATA.has(key)
          ? item
          : NAMED.has(key) && isRecord(item)
            ? Object.fromEntries(Object.entries(item).map(([name, part]) => [name, stripPatterns(part)]))
            : stripPatterns(item),
      ]),
  );
};

const checkable = (schema: JsonSchema): JsonSchema => stripPatterns(schema) as JsonSchema;

/** Arguments pass as they are, or are refused. */
export const foreignParameters = (schema: JsonSchema): z.ZodObject => {
  const rules = checkable(schema);
  return z.looseObject({}).superRefine((value, context) => {
    const found = schemaProblem(rules, value);
    if (found !== null)
      context.addIssue({
        code: 'custom',
        message: found.problem,
        path: found.field === '' ? [] : [found.field],
      });
  });
};

/** What a person's own arguments are checked against. null = too long to be kept in history: only the tool checks. */
export const foreignEditSchema = (schema: JsonSchema): JsonSchema | null => {
  const rules = stripAnnotations(checkable(schema)) as JsonSchema;
  return JSON.stringify(rules).length > ARGUMENT_LIMITS.schemaChars ? null : rules;
};
