/**
 * Parses the arguments of a tool call: JSON text → one value, the same for planning, channels, workflow and tool.
 *
 * Rule: a text that two readers could read differently is refused, never repaired: duplicate keys at any depth, keys
 * that reach prototypes, numbers beyond JSON's range, nesting beyond the limit. Pure, linear in the text, no recursion.
 * Imports limits and problem functions only. Any room may import it; the workflow sandbox may too.
 */
import { ARGUMENT_LIMITS } from '../limits.ts';
import { jsonObject, quote } from './validation.ts';

export type JsonObject = Record<string, unknown>;
/** `problem` is the end of a sentence that starts with the arguments: "they are …". */
export type Parsed<T = unknown> = { ok: true; value: T } | { ok: false; problem: string };

const problem = (text: string): Parsed<never> => ({ ok: false, problem: text });

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** Index of the quote that ends the string that begins at `start`, in valid JSON. */
const stringEnd = (json: string, start: number): number => {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at;
};

/** The first duplicate key of an object in this valid JSON text. `JSON.parse` would silently keep the last one. */
const duplicateKey = (json: string): string | undefined => {
  // One entry for each open bracket; null is a list.
  const open: (Set<string> | null)[] = [];
  let keyComes = false;
  for (let at = 0; at < json.length; at += 1) {
    const character = json[at];
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(null);
    else if (character === '}' || character === ']') open.pop();
    if (character === '{' || character === ',') keyComes = true;
    else if (character === '[') keyComes = false;
    if (character !== '"') continue;
    const end = stringEnd(json, at);
    const keys = open.at(-1);
    if (keyComes && keys != null) {
      const key: unknown = JSON.parse(json.slice(at, end + 1));
      if (typeof key === 'string' && keys.has(key)) return key;
      if (typeof key === 'string') keys.add(key);
    }
    keyComes = false;
    at = end;
  }
  return undefined;
};

/** Why a value may not be the arguments of a call; undefined = it may. */
export const argumentsProblem = (value: unknown): string | undefined => {
  if (!isContainer(value) || Array.isArray(value))
    return `they must be a JSON object, not ${quote(value, 40)}`;
  const open: { value: unknown; depth: number }[] = [{ value, depth: 1 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next.value === 'number' && !Number.isFinite(next.value))
      return 'they contain a number outside the range of JSON numbers';
    if (!isContainer(next.value)) continue;
    if (next.depth > ARGUMENT_LIMITS.depth)
      return `they are nested deeper than ${ARGUMENT_LIMITS.depth} levels`;
    for (const [key, item] of Object.entries(next.value)) {
      const reachesPrototype =
        key === '__proto__' ||
        (key === 'constructor' && isContainer(item) && Object.hasOwn(item, 'prototype'));
      if (reachesPrototype) return `the key ${quote(key)} is not allowed`;
      open.push({ value: item, depth: next.depth + 1 });
    }
  }
  return undefined;
};

/** JSON text → an object. Empty text counts as `{}`: some models call a tool without parameters this way. */
export const parseArguments = (text: string): Parsed<JsonObject> => {
  if (text.length > ARGUMENT_LIMITS.characters)
    return problem(
      `they are ${text.length} characters long; at most ${ARGUMENT_LIMITS.characters} are allowed`,
    );
  const json = text.trim() === '' ? '{}' : text;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return problem(`they are not valid JSON (${quote(text, 40)})`);
  }
  const bad = argumentsProblem(value);
  if (bad !== undefined) return problem(bad);
  const twice = duplicateKey(json);
  return twice === undefined
    ? { ok: true, value: value as JsonObject }
    : problem(`the same object contains the key ${quote(twice)} twice`);
};

/** Edited arguments of a person: an object, or its text, parsed as strictly as the model's. */
export const parseEditedArguments = (value: unknown): Parsed<JsonObject> => {
  if (typeof value === 'string') return parseArguments(value);
  const bad = argumentsProblem(value);
  return bad === undefined ? { ok: true, value: jsonObject(value) ?? {} } : problem(bad);
};

/** A number as JSON, except that -0 stays -0: it is another value than 0. */
export const jsonNumber = (value: number): string => (Object.is(value, -0) ? '-0' : JSON.stringify(value));

/**
 * One text for each value: keys sorted by UTF-16 unit, no spaces. Digests are computed from it. The caller bounds the
 * value's depth, as `argumentsProblem` does.
 */
export const canonicalJson = (value: unknown): string => {
  if (typeof value === 'number') return jsonNumber(value);
  if (!isContainer(value)) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
};
