/**
 * Checks edited arguments against a tool's JSON Schema where zod is not available: in the workflow and at every
 * channel.
 *
 * Rule: it refuses only what the tool's own schema would refuse. Unknown keywords, `format` and values that are too
 * large are left to the tool. Verdicts are part of a run's history, so a change that refuses more needs `patched`.
 * Pure, evaluates no code, bounded steps.
 * Imports protocol's pure modules. Any room may import it; the workflow sandbox may too.
 */
import { quote } from './validation.ts';
import { canonicalJson, type JsonObject } from './tool-arguments.ts';
import { asciiString } from './visible.ts';
import { isRecord } from './is-record.ts';

/** Draft 7, as zod writes it. */
export type JsonSchema = Record<string, unknown>;

export interface FieldProblem {
  /** The field: `amount`, `items[2].price`; empty = the arguments as a whole. */
  field: string;
  /** The rest of a sentence that starts with the field. */
  problem: string;
}

/** Schemas may refer to themselves and branch; past this many checks, or this depth, the rest is left to the tool. */
const MAX_STEPS = 50_000;
const MAX_DEPTH = 512;
const MAX_PATTERN_CHARS = 10_000;
const MAX_NAMES = 16;

interface Check {
  root: JsonSchema;
  steps: number;
  depth: number;
}

type Path = readonly (string | number)[];
type Found = (FieldProblem & { depth: number }) | null;

const isList = (value: unknown): value is unknown[] => Array.isArray(value);

const fieldOf = (path: Path): string =>
  path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      const name = /^[A-Za-z_][A-Za-z0-9_]*$/.test(part) ? part : asciiString(part);
      return index === 0 ? name : `.${name}`;
    })
    .join('');

const found = (path: Path, problem: string): Found => ({ field: fieldOf(path), problem, depth: path.length });

const TYPES: Record<string, (value: unknown) => boolean> = {
  object: isRecord,
  array: isList,
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  integer: (value) => Number.isInteger(value),
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
};

const same = (a: unknown, b: unknown): boolean => canonicalJson(a) === canonicalJson(b);

const names = (keys: readonly string[]): string => {
  const more = keys.length - MAX_NAMES;
  const list = keys.slice(0, MAX_NAMES).map((key) => asciiString(key));
  return keys.length === 0 ? 'none' : `${list.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
};

const typeProblem = (schema: JsonSchema, value: unknown, path: Path): Found => {
  const { type } = schema;
  const types = isList(type) ? type : type === undefined ? [] : [type];
  const known = types.filter((name): name is string => typeof name === 'string' && name in TYPES);
  if (
    types.length === 0 ||
    known.length < types.length ||
    known.some((name) => TYPES[name]?.(value) === true)
  )
    return null;
  return found(path, `must be of type ${known.join(' or ')}; got ${quote(value)}`);
};

const valueProblem = (schema: JsonSchema, value: unknown, path: Path): Found => {
  const { enum: allowed, const: only } = schema;
  if (isList(allowed) && !allowed.some((item) => same(item, value)))
    return found(path, `must be one of ${quote(allowed, 200)}; got ${quote(value)}`);
  if ('const' in schema && !same(only, value))
    return found(path, `must be ${quote(only)}; got ${quote(value)}`);
  return null;
};

/** Rounding of binary fractions is no violation: 0.3 is a multiple of 0.1. */
const isMultiple = (value: number, of: number): boolean => {
  const ratio = value / of;
  return Math.abs(ratio - Math.round(ratio)) <= 1e-9 * Math.max(1, Math.abs(ratio));
};

type Rule = readonly [keyword: string, holds: (limit: number) => boolean, words: string];

const numberRules = (value: number): Rule[] => [
  ['minimum', (limit) => value >= limit, 'must be at least'],
  ['maximum', (limit) => value <= limit, 'must be at most'],
  ['exclusiveMinimum', (limit) => value > limit, 'must be greater than'],
  ['exclusiveMaximum', (limit) => value < limit, 'must be less than'],
  ['multipleOf', (limit) => !(limit > 0) || isMultiple(value, limit), 'must be a multiple of'],
];

// zod counts UTF-16 units, JSON Schema counts characters: the rule that refuses less applies.
const lengthRules = (value: string): Rule[] => [
  ['minLength', (limit) => value.length >= limit, 'must have at least this many characters:'],
  [
    'maxLength',
    (limit) => value.length <= limit || Array.from(value).length <= limit,
    'must have at most this many characters:',
  ],
];

const ruleProblem = (schema: JsonSchema, rules: readonly Rule[], value: unknown, path: Path): Found => {
  for (const [keyword, holds, words] of rules) {
    const limit = schema[keyword];
    if (typeof limit === 'number' && !holds(limit))
      return found(path, `${words} ${limit}; got ${quote(value)}`);
  }
  return null;
};

const matches = (pattern: unknown, text: string): boolean => {
  if (typeof pattern !== 'string' || text.length > MAX_PATTERN_CHARS) return true;
  try {
    return new RegExp(pattern, 'u').test(text);
  } catch {
    return true;
  }
};

const stringProblem = (schema: JsonSchema, value: string, path: Path): Found =>
  ruleProblem(schema, lengthRules(value), value, path) ??
  (matches(schema['pattern'], value)
    ? null
    : found(path, `must match the pattern ${quote(schema['pattern'], 200)}; got ${quote(value)}`));

const first = <Item>(items: Iterable<Item>, look: (item: Item) => Found): Found => {
  for (const item of items) {
    const problem = look(item);
    if (problem !== null) return problem;
  }
  return null;
};

const listProblem = (check: Check, schema: JsonSchema, value: unknown[], path: Path): Found => {
  const { items, additionalItems, prefixItems } = schema;
  const tuple = isList(items) ? items : isList(prefixItems) ? prefixItems : [];
  const rest = isList(items) ? additionalItems : items;
  const sizes: Rule[] = [
    ['minItems', (limit) => value.length >= limit, 'must have at least this many elements:'],
    ['maxItems', (limit) => value.length <= limit, 'must have at most this many elements:'],
  ];
  const texts = schema['uniqueItems'] === true ? value.map(canonicalJson) : [];
  return (
    ruleProblem(schema, sizes, value, path) ??
    (new Set(texts).size < texts.length ? found(path, 'must not contain the same element twice') : null) ??
    first(value.entries(), ([index, item]) =>
      problemIn(check, index < tuple.length ? tuple[index] : rest, item, [...path, index]),
    )
  );
};

const objectProblem = (check: Check, schema: JsonSchema, value: JsonObject, path: Path): Found => {
  const { properties, required, additionalProperties, patternProperties, propertyNames } = schema;
  const known = isRecord(properties) ? properties : {};
  const patterns = Object.entries(isRecord(patternProperties) ? patternProperties : {});
  const keys = Object.keys(value);
  const sizes: Rule[] = [
    ['minProperties', (limit) => keys.length >= limit, 'must have at least this many keys:'],
    ['maxProperties', (limit) => keys.length <= limit, 'must have at most this many keys:'],
  ];
  const isKnown = (key: string): boolean =>
    Object.hasOwn(known, key) || patterns.some(([pattern]) => matches(pattern, key));
  // A misspelled key is most likely the missing one, so it is named first.
  const stranger = additionalProperties === false ? keys.find((key) => !isKnown(key)) : undefined;
  if (stranger !== undefined)
    return found(
      [...path, stranger],
      `is not a parameter of the tool; the parameters here: ${names(Object.keys(known))}`,
    );
  const missing = (isList(required) ? required : []).find(
    (key) => typeof key === 'string' && !Object.hasOwn(value, key),
  );
  if (typeof missing === 'string') return found([...path, missing], 'is missing');
  const entryProblem = (key: string): Found => {
    const own = Object.hasOwn(known, key);
    const fitting = patterns.filter(([pattern]) => matches(pattern, key));
    const rules = [...(own ? [known[key]] : []), ...fitting.map(([, rule]) => rule)];
    return first(rules.length === 0 ? [additionalProperties] : rules, (rule) =>
      problemIn(check, rule, value[key], [...path, key]),
    );
  };
  return (
    ruleProblem(schema, sizes, keys, path) ??
    first(keys, (key) => problemIn(check, propertyNames, key, [...path, key]) ?? entryProblem(key))
  );
};

/** The deepest problem of the alternatives most likely concerns the intended one. */
const nearest = (problems: readonly Found[]): Found =>
  problems.reduce((best, one) => ((one?.depth ?? 0) > (best?.depth ?? 0) ? one : best), problems[0] ?? null);

const combinedProblem = (check: Check, schema: JsonSchema, value: unknown, path: Path): Found => {
  const { allOf, anyOf, oneOf, not } = schema;
  const all = first(isList(allOf) ? allOf : [], (part) => problemIn(check, part, value, path));
  if (all !== null) return all;
  for (const parts of [anyOf, oneOf]) {
    // An alternative may fit because a part of it is left to the tool, so two that fit prove nothing.
    const problems = (isList(parts) ? parts : []).map((part) => problemIn(check, part, value, path));
    if (problems.length > 0 && problems.every((problem) => problem !== null)) return nearest(problems);
  }
  return isRecord(not) && Object.keys(not).length === 0
    ? found(path, `is not allowed; got ${quote(value)}`)
    : null;
};

/** The target of a reference within the schema; undefined = not found, left to the tool. */
const resolved = (root: JsonSchema, ref: string): unknown =>
  ref === '#'
    ? root
    : ref.startsWith('#/')
      ? ref
          .slice(2)
          .split('/')
          .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
          .reduce<unknown>(
            (at, part) => (isRecord(at) && Object.hasOwn(at, part) ? at[part] : undefined),
            root,
          )
      : undefined;

function problemIn(check: Check, schema: unknown, value: unknown, path: Path): Found {
  check.steps += 1;
  if (check.steps > MAX_STEPS || check.depth > MAX_DEPTH) return null;
  if (schema === false) return found(path, `is not allowed; got ${quote(value)}`);
  if (!isRecord(schema)) return null;
  check.depth += 1;
  const problem = keywordProblem(check, schema, value, path);
  check.depth -= 1;
  return problem;
}

const keywordProblem = (check: Check, schema: JsonSchema, value: unknown, path: Path): Found => {
  // In draft 7, a reference replaces its siblings.
  if (typeof schema['$ref'] === 'string')
    return problemIn(check, resolved(check.root, schema['$ref']), value, path);
  return (
    typeProblem(schema, value, path) ??
    valueProblem(schema, value, path) ??
    (typeof value === 'number' ? ruleProblem(schema, numberRules(value), value, path) : null) ??
    (typeof value === 'string' ? stringProblem(schema, value, path) : null) ??
    (isList(value) ? listProblem(check, schema, value, path) : null) ??
    (isRecord(value) ? objectProblem(check, schema, value, path) : null) ??
    combinedProblem(check, schema, value, path)
  );
};

/** The first problem of arguments under a tool's schema; null = JSON Schema finds none. */
export const schemaProblem = (schema: JsonSchema, value: unknown): FieldProblem | null => {
  const problem = problemIn({ root: schema, steps: 0, depth: 0 }, schema, value, []);
  return problem === null ? null : { field: problem.field, problem: problem.problem };
};
