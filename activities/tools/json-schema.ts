/**
 * A tool as a model is told of it: the `function` entry of an assistant's `tools`, parameters as JSON Schema.
 *
 * Rule: `strict` is claimed only for schemas that meet strict mode's rules (every property required, nothing
 * additional); claiming it for others makes servers refuse the whole assistant.
 * Imported by the other files of this folder.
 */
import { z } from 'zod';
import type { FunctionTool } from '../../protocol/index.ts';
import type { ToolDefinition } from './types.ts';

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Keywords that strict mode does not know. */
const NOT_STRICT = ['oneOf', 'allOf', 'not', 'patternProperties', 'propertyNames', 'if', 'then', 'else'];

const meetsStrict = (schema: unknown): boolean => {
  if (Array.isArray(schema)) return schema.every(meetsStrict);
  if (!isRecord(schema)) return true;
  if (NOT_STRICT.some((keyword) => keyword in schema)) return false;
  const { properties, required, additionalProperties, ...rest } = schema;
  if (schema['type'] === 'object' || properties !== undefined) {
    if (!isRecord(properties) || additionalProperties !== false) return false;
    const names: unknown[] = Array.isArray(required) ? required : [];
    if (!Object.keys(properties).every((name) => names.includes(name))) return false;
    if (!Object.values(properties).every(meetsStrict)) return false;
  }
  // `default` holds data, not a schema, and strict mode refuses it.
  if ('default' in rest) return false;
  const { enum: _enum, const: _const, ...schemas } = rest;
  return Object.values(schemas).every(meetsStrict);
};

/** Throws when zod can't express the parameters as JSON Schema. */
export const toFunctionTool = ({
  name,
  description,
  parameters,
}: Pick<ToolDefinition, 'name' | 'description' | 'parameters'>): FunctionTool => {
  const { $schema: _dialect, ...written } = z.toJSONSchema(parameters, { io: 'input', target: 'draft-7' });
  // Arguments with unknown keys are accepted and the keys dropped; models are still asked not to send any.
  const schema: Record<string, unknown> = closed(written);
  return {
    type: 'function',
    function: {
      name,
      description,
      parameters: schema,
      ...(meetsStrict(schema) ? { strict: true } : {}),
    },
  };
};

/** Adds `additionalProperties: false` to every object that names its properties and says nothing about others. */
const closed = (schema: Record<string, unknown>): Record<string, unknown> => {
  const visit = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(visit);
    if (!isRecord(value)) return value;
    const inner = Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        key === 'properties' || key === '$defs' || key === 'definitions'
          ? Object.fromEntries(Object.entries(isRecord(item) ? item : {}).map(([k, v]) => [k, visit(v)]))
          : key === 'default' || key === 'enum' || key === 'const' || key === 'examples'
            ? item
            : visit(item),
      ]),
    );
    return inner['properties'] !== undefined && inner['additionalProperties'] === undefined
      ? { ...inner, additionalProperties: false }
      : inner;
  };
  return visit(schema) as Record<string, unknown>;
};
