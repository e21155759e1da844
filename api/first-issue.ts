/**
 * Checks a value against a zod schema, and stops at the first issue.
 *
 * Rule: zod collects every issue of a body, which takes a thousand times as long for a hostile one. So this file walks
 * objects and arrays: unknown keys, then lengths, then members in order; zod checks the rest. A valid value is used
 * unchanged: no schema of this project transforms.
 * Imports zod. Imported by `validate.ts`.
 */
import { z } from 'zod';
import { isRecord } from '../protocol/rules/is-record.ts';

export type Issue = z.core.$ZodIssue;

const under = (key: PropertyKey, issues: Issue[]): Issue[] =>
  issues.map((issue) => ({ ...issue, path: [key, ...issue.path] }));

const byZod = (schema: z.core.$ZodType, value: unknown): Issue[] | null =>
  z.safeParse(schema, value).error?.issues ?? null;

const lengthSchemas = new WeakMap<z.ZodArray, z.ZodType>();

/** An array's own checks, such as its length, without those of its members. */
const ownChecks = (schema: z.ZodArray): z.ZodType => {
  let own = lengthSchemas.get(schema);
  if (own === undefined) {
    const checks = (schema.def.checks ?? []) as z.core.$ZodCheck<unknown[]>[];
    own = z.array(z.unknown()).check(...checks);
    lengthSchemas.set(schema, own);
  }
  return own;
};

const inArray = (schema: z.ZodArray, value: unknown[]): Issue[] | null => {
  const own = byZod(ownChecks(schema), value);
  if (own !== null) return own;
  for (const [index, item] of value.entries()) {
    const issues = firstIssues(schema.def.element, item);
    if (issues !== null) return under(index, issues);
  }
  return null;
};

const inObject = (schema: z.ZodObject, value: Record<string, unknown>): Issue[] | null => {
  const { shape } = schema.def;
  for (const key in value)
    if (!Object.hasOwn(shape, key))
      return [
        { code: 'unrecognized_keys', keys: [key], path: [], message: 'Unrecognized key', input: value },
      ];
  for (const [key, member] of Object.entries(shape)) {
    const issues = firstIssues(member, value[key]);
    if (issues !== null) return under(key, issues);
  }
  return (schema.def.checks ?? []).length === 0 ? null : byZod(schema, value);
};

/** Issues of the first place that has any; null = the value is valid. */
export const firstIssues = (schema: z.core.$ZodType, value: unknown): Issue[] | null => {
  if (schema instanceof z.ZodOptional)
    return value === undefined ? null : firstIssues(schema.def.innerType, value);
  if (schema instanceof z.ZodNullable)
    return value === null ? null : firstIssues(schema.def.innerType, value);
  if (schema instanceof z.ZodArray && Array.isArray(value)) return inArray(schema, value);
  if (schema instanceof z.ZodUnion && Array.isArray(value)) {
    const list = schema.def.options.find((option) => option instanceof z.ZodArray);
    if (list !== undefined) return firstIssues(list, value);
  }
  const strict = schema instanceof z.ZodObject && schema.def.catchall instanceof z.ZodNever;
  return strict && isRecord(value) ? inObject(schema, value) : byZod(schema, value);
};
