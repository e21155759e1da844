/**
 * A tool as the model sees it: the `function` entry of an assistant's `tools`, with parameters as JSON Schema.
 *
 * Rule: `strict` is set only for schemas that meet strict mode's rules (every property required, nothing additional);
 * otherwise servers refuse the whole assistant.
 * Imported by the other files of this folder.
 */
import { z } from 'zod';
import { ARGUMENT_LIMITS, type FunctionTool, type JsonSchema } from '../../protocol/index.ts';
import type { ToolDefinition } from './types.ts';
import { definitionOf } from './zod-internals.ts';
import { isRecord } from '../../protocol/rules/is-record.ts';

/** Keywords that strict mode refuses. */
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
  schema: foreign = null,
}: Pick<ToolDefinition, 'name' | 'description' | 'parameters'> &
  Partial<Pick<ToolDefinition, 'schema'>>): FunctionTool => {
  if (foreign !== null) return { type: 'function', function: { name, description, parameters: foreign } };
  const { $schema: _dialect, ...written } = z.toJSONSchema(parameters, { io: 'input', target: 'draft-7' });
  // Unknown keys are accepted and dropped, but models are asked to send none.
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

type Override = NonNullable<Parameters<typeof z.toJSONSchema>[1]>['override'];

/**
 * Removes from a generated schema what zod treats differently: it transforms the value first, or knows flags of a
 * pattern.
 */
const stripZodOnlyRules: Override = ({ zodSchema, jsonSchema }) => {
  const def = definitionOf(zodSchema);
  const rules = [def, ...(def.checks ?? []).map((check) => definitionOf(check))];
  const changesValue =
    Reflect.get(def, 'coerce') === true || (def.type === 'pipe' && isTransform(Reflect.get(def, 'in')));
  const changesText = rules.some((rule) => Reflect.get(rule, 'check') === 'overwrite');
  const hasFlags = rules.some((rule) => {
    const pattern: unknown = Reflect.get(rule, 'pattern');
    return pattern instanceof RegExp && /[ims]/.test(pattern.flags);
  });
  const written: Record<string, unknown> = jsonSchema;
  if (changesValue) for (const key of Object.keys(written)) delete written[key];
  if (changesText) for (const key of ['minLength', 'maxLength', 'const', 'enum']) delete written[key];
  if (changesText || hasFlags) for (const key of ['pattern', 'allOf']) delete written[key];
};

const isTransform = (schema: unknown): boolean =>
  schema instanceof z.ZodType && definitionOf(schema).type === 'transform';

/**
 * The schema for edited arguments, which are checked before the tool sees them. It accepts what the tool accepts,
 * except keys that the tool drops. null = too long for history: only the tool checks.
 */
export const toEditSchema = (parameters: z.ZodObject): JsonSchema | null => {
  const { $schema: _dialect, ...written } = z.toJSONSchema(parameters, {
    io: 'input',
    target: 'draft-7',
    override: stripZodOnlyRules,
  });
  const schema = stripAnnotations(closed(written)) as JsonSchema;
  return JSON.stringify(schema).length > ARGUMENT_LIMITS.schemaChars ? null : schema;
};

/** Keywords without an effect on validity. */
const ANNOTATION_KEYWORDS = new Set(['title', 'description', 'default', 'examples', 'format', 'deprecated']);

export const stripAnnotations = (value: unknown, isNames = false): unknown => {
  if (Array.isArray(value)) return value.map((item) => stripAnnotations(item));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => isNames || !ANNOTATION_KEYWORDS.has(key))
      .map(([key, item]) => [
        key,
        !isNames && (key === 'enum' || key === 'const')
          ? item
          : stripAnnotations(item, !isNames && NAMED.has(key)),
      ]),
  );
};

/** Keywords whose keys are names, not keywords. */
const NAMED = new Set(['properties', 'patternProperties', '$defs', 'definitions']);

/** Adds `additionalProperties: false` to every object that names its properties and does not mention others. */
const closed = (schema: Record<string, unknown>): Record<string, unknown> => {
  // A closed part of `allOf` would refuse the properties of the other parts.
  const visit = (value: unknown, isPart = false): unknown => {
    if (Array.isArray(value)) return value.map((item) => visit(item, isPart));
    if (!isRecord(value)) return value;
    const inner = Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        NAMED.has(key)
          ? Object.fromEntries(Object.entries(isRecord(item) ? item : {}).map(([k, v]) => [k, visit(v)]))
          : key === 'default' || key === 'enum' || key === 'const' || key === 'examples'
            ? item
            : visit(item, key === 'allOf' || (isPart && (key === 'anyOf' || key === 'oneOf'))),
      ]),
    );
    return !isPart && inner['properties'] !== undefined && inner['additionalProperties'] === undefined
      ? { ...inner, additionalProperties: false }
      : inner;
  };
  return visit(schema) as Record<string, unknown>;
};
