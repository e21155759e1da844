/**
 * Removes the forms of "nothing" that clients send: `null` for an optional field is the field left out, and `[]` where
 * an object is expected is `{}` (PHP encodes an empty map so).
 *
 * Rule: the request's schema decides, at every depth, so a new field needs no code here. In free-form JSON (a tool's
 * `parameters`, the `output` of an answer) a null is a value and stays. Imports zod and the schema of metadata.
 */
import { z } from 'zod';
import { metadataSchema } from '../protocol/wire/schemas.ts';
import { isRecord } from '../protocol/rules/is-record.ts';

/** Returns the value itself when there is nothing to change. */
type Normalizer = (value: unknown) => unknown;
type AnySchema = z.core.$ZodType;

const isEmptyArray = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

const unwrap = (schema: AnySchema): AnySchema =>
  schema instanceof z.ZodOptional || schema instanceof z.ZodNullable ? unwrap(schema.unwrap()) : schema;

const METADATA = unwrap(metadataSchema);

const isOptional = (schema: AnySchema): boolean => z.safeParse(schema, undefined).success;
/** Any JSON may stand there, null included. */
const isFreeForm = (schema: AnySchema): boolean => unwrap(schema) instanceof z.ZodUnknown;
const isMap = (schema: AnySchema): boolean => schema instanceof z.ZodRecord || schema === METADATA;

const emptyMap: Normalizer = (value) => (isEmptyArray(value) ? {} : value);

const ofObject = (shape: Readonly<Record<string, AnySchema>>): Normalizer => {
  const fields = new Map(
    Object.entries(shape).map(([key, schema]) => [
      key,
      {
        dropsNull: isOptional(schema) && !isFreeForm(schema),
        normalize: normalizerOf(schema),
      },
    ]),
  );
  return (value) => {
    if (isEmptyArray(value)) return {};
    if (!isRecord(value)) return value;
    let changed = false;
    const rest: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value)) {
      const field = fields.get(key);
      if (item === null && field?.dropsNull === true) {
        changed = true;
        continue;
      }
      rest[key] = field?.normalize === undefined ? item : field.normalize(item);
      if (rest[key] !== item) changed = true;
    }
    return changed ? rest : value;
  };
};

const ofArray = (element: AnySchema): Normalizer | undefined => {
  const normalize = normalizerOf(element);
  if (normalize === undefined) return undefined;
  return (value) => {
    if (!Array.isArray(value)) return value;
    const items = value.map(normalize);
    return items.some((item, index) => item !== value[index]) ? items : value;
  };
};

/** Do the literal fields of an object schema (its `type`) match the value? */
const isMeant = (schema: z.ZodObject, value: Record<string, unknown>): boolean =>
  Object.entries(schema.shape).every(
    ([key, field]) => !(field instanceof z.ZodLiteral) || field.values.has(value[key] as string),
  );

const ofUnion = (options: readonly AnySchema[]): Normalizer => {
  const branches = options.map((option) => ({
    schema: unwrap(option),
    normalize: normalizerOf(option),
  }));
  const takesArrays = branches.some(({ schema }) => schema instanceof z.ZodArray);
  return (value) => {
    if (!takesArrays && isEmptyArray(value)) return {};
    const branch = branches.find(({ schema }) =>
      Array.isArray(value)
        ? schema instanceof z.ZodArray
        : isRecord(value) && schema instanceof z.ZodObject && isMeant(schema, value),
    );
    return branch?.normalize === undefined ? value : branch.normalize(value);
  };
};

/** Undefined when values of the schema have no form of nothing. */
const normalizerOf = (wrapped: AnySchema): Normalizer | undefined => {
  const schema = unwrap(wrapped);
  if (schema instanceof z.ZodObject) return ofObject(schema.shape);
  if (schema instanceof z.ZodArray) return ofArray(schema.element);
  if (schema instanceof z.ZodUnion) return ofUnion(schema.options);
  return isMap(schema) ? emptyMap : undefined;
};

const compiled = new WeakMap<AnySchema, Normalizer>();

/** A request's body without forms of nothing. The body `null` is an empty one. */
export const normalizeBody = (schema: z.ZodType, body: unknown): unknown => {
  let normalize = compiled.get(schema);
  if (normalize === undefined) {
    normalize = normalizerOf(schema) ?? ((value) => value);
    compiled.set(schema, normalize);
  }
  return normalize(body ?? {});
};
