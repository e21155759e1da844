/**
 * JSON Schema of a tool's arguments → fields of a form.
 *
 * Rule: pure. A part that no field covers (alternatives, references, lists of objects) is edited as JSON text, so nothing of the
 * arguments is lost; the server checks them by the whole schema. Imported by `schema-form.tsx` and tests.
 */
import { isRecord } from '../../../protocol/rules/is-record.ts';

export type FieldKind = 'text' | 'number' | 'boolean' | 'choice' | 'texts' | 'group' | 'json';

export interface SchemaField {
  name: string;
  kind: FieldKind;
  required: boolean;
  description: string | null;
  /** Of a choice. */
  choices: readonly string[];
  schema: Readonly<Record<string, unknown>>;
}

type Schema = Readonly<Record<string, unknown>>;

const isText = (value: unknown): value is string => typeof value === 'string';
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

const ALTERNATIVES = ['anyOf', 'oneOf', 'allOf', '$ref', 'not', 'if', 'const'];

const hasAlternatives = (schema: Schema): boolean => ALTERNATIVES.some((key) => key in schema);

const declaredKind = (schema: Schema): FieldKind => {
  if (hasAlternatives(schema)) return 'json';
  const { type, items } = schema;
  if (schema['enum'] !== undefined) return isTexts(schema['enum']) ? 'choice' : 'json';
  if (type === 'string') return 'text';
  if (type === 'number' || type === 'integer') return 'number';
  if (type === 'boolean') return 'boolean';
  if (type === 'array' && isRecord(items) && declaredKind(items) === 'text') return 'texts';
  if (type === 'object' && isRecord(schema['properties']) && Object.keys(schema['properties']).length > 0)
    return 'group';
  return 'json';
};

const FITS: Record<FieldKind, (value: unknown, schema: Schema) => boolean> = {
  text: isText,
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
  choice: (value, schema) => isTexts(schema['enum']) && isText(value) && schema['enum'].includes(value),
  texts: isTexts,
  group: isRecord,
  json: () => true,
};

/** The field of a value: what the schema declares, or JSON text where the model sent something else. */
const kindOf = (schema: Schema, value: unknown): FieldKind => {
  const kind = declaredKind(schema);
  return value === undefined || FITS[kind](value, schema) ? kind : 'json';
};

/** The form of an object, with keys that the schema does not name; null = the schema is no object with properties. */
export const schemaFields = (
  schema: Schema | null,
  value: Readonly<Record<string, unknown>>,
): SchemaField[] | null => {
  if (schema === null || hasAlternatives(schema) || !isRecord(schema['properties'])) return null;
  const { properties } = schema;
  const required = isTexts(schema['required']) ? schema['required'] : [];
  const names = [
    ...Object.keys(properties),
    ...Object.keys(value).filter((name) => !Object.hasOwn(properties, name)),
  ];
  return names.map((name) => {
    const found = Object.hasOwn(properties, name) ? properties[name] : undefined;
    const own = isRecord(found) ? found : {};
    const choices = own['enum'];
    return {
      name,
      kind: kindOf(own, Object.hasOwn(value, name) ? value[name] : undefined),
      required: required.includes(name),
      description: isText(own['description']) ? own['description'] : null,
      choices: isTexts(choices) ? choices : [],
      schema: own,
    };
  });
};

/** What a field holds when a person adds it. */
export const initialValue = ({ kind, choices }: Pick<SchemaField, 'kind' | 'choices'>): unknown => {
  const empty: Record<FieldKind, unknown> = {
    text: '',
    number: 0,
    boolean: false,
    choice: choices[0] ?? '',
    texts: [],
    group: {},
    json: null,
  };
  return empty[kind];
};

const limit = (schema: Schema, name: string): number | null =>
  typeof schema[name] === 'number' ? schema[name] : null;

/** Why the text of a number field is refused; null = it is a number that the schema allows. */
export const numberProblem = (text: string, schema: Schema): string | null => {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) return 'Enter a number.';
  if (schema['type'] === 'integer' && !Number.isInteger(value)) return 'Enter a whole number.';
  const [least, most] = [limit(schema, 'minimum'), limit(schema, 'maximum')];
  if (least !== null && value < least) return `Enter ${least} or more.`;
  if (most !== null && value > most) return `Enter ${most} or less.`;
  return null;
};

export interface ChangedArgument {
  key: string;
  before: unknown;
  after: unknown;
}

/** Keys whose values differ, absent ones included as undefined. */
export const changedArguments = (
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): ChangedArgument[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .map((key) => ({ key, before: before[key], after: after[key] }))
    .filter((change) => JSON.stringify(change.before) !== JSON.stringify(change.after));
