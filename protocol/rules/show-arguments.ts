/**
 * Formats the arguments of a tool call for people: one function for Web UI, command line, API and hooks.
 *
 * Rule: it shows the parsed value, whole while it fits. A long value is shortened, and its size stands outside of the
 * quotes, where no string can imitate it; `shortened` tells the channel to say so first. A text that is whole is JSON
 * which parses to exactly the value. Different values never share text and digest.
 * Pure; its work is bounded by the size of its result and one pass over the arguments. Any room may import it; the
 * workflow sandbox may too.
 */
import { ARGUMENT_LIMITS } from '../limits.ts';
import { jsonNumber, parseArguments, type JsonObject } from './tool-arguments.ts';
import { asciiString, visible, visibleString } from './visible.ts';

/** Arguments of a call as a person may read them. */
export interface ShownArguments {
  /** One key or element on each line, without control or format characters. */
  text: string;
  /** How many values are shortened; 0 = `text` is complete. */
  shortened: number;
  /** Why the arguments are not one JSON value: `text` is then the model's text, as one string. */
  problem?: string;
}

interface Limits {
  characters: number;
  elements: number;
  keys: number;
  depth: number;
}
const NO_LIMITS: Limits = { characters: Infinity, elements: Infinity, keys: Infinity, depth: Infinity };
/** Tried in this order until the text fits. */
const LEVELS: readonly Limits[] = [
  NO_LIMITS,
  { characters: 1_000, elements: 64, keys: 64, depth: 8 },
  { characters: 250, elements: 16, keys: 32, depth: 4 },
  { characters: 80, elements: 4, keys: 8, depth: 2 },
];
/** Used when nothing else fits: a line for each key. */
const TIGHTEST_LIMITS: Limits = { characters: 24, elements: 0, keys: 0, depth: 1 };

interface Writer {
  limits: Limits;
  /** Characters left; below 0 the attempt ends. */
  left: number;
  shortened: number;
}

/** A name is worth more characters than a value. */
const MIN_KEY_CHARS = 64;

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** The beginning of a text, never half a character. */
const beginning = (text: string, characters: number): string =>
  text.slice(0, characters).replace(/[\uD800-\uDBFF]$/, '');

const mark = (writer: Writer, what: string): string => {
  writer.shortened += 1;
  return `<shortened: ${what}>`;
};

const stringText = (
  writer: Writer,
  text: string,
  write: (part: string) => string,
  most = writer.limits.characters,
): string => {
  if (text.length <= most) return write(text);
  const kept = beginning(text, most);
  return `${write(kept)} ${mark(writer, `the first ${kept.length} of ${text.length} characters`)}`;
};

const scalarText = (writer: Writer, value: unknown): string => {
  if (typeof value === 'string') return stringText(writer, value, visibleString);
  return typeof value === 'number' ? jsonNumber(value) : String(value);
};

const keyText = (writer: Writer, key: string): string =>
  stringText(writer, key, asciiString, Math.max(MIN_KEY_CHARS, writer.limits.characters));

/** How many entries of a container are shown. The arguments themselves (`depth` 0) show all their keys. */
const allowed = ({ limits }: Writer, list: boolean, depth: number): number => {
  if (limits === NO_LIMITS) return Infinity;
  if (depth === 0) return ARGUMENT_LIMITS.shownKeys;
  if (depth >= limits.depth) return 0;
  return list ? limits.elements : limits.keys;
};

const containerText = (writer: Writer, value: object, depth: number): string => {
  const list = Array.isArray(value);
  const [open, close] = list ? ['[', ']'] : ['{', '}'];
  const entries: [string, unknown][] = Object.entries(value);
  if (entries.length === 0) return `${open}${close}`;
  const most = allowed(writer, list, depth);
  const size = `${entries.length} ${list ? 'elements' : 'keys'}`;
  if (most === 0) return `${open}${mark(writer, `all of ${size}`)}${close}`;
  const lines: string[] = [];
  const indent = '  '.repeat(depth + 1);
  for (const [index, [key, item]] of entries.entries()) {
    if (index >= most || writer.left < 0) break;
    const start = `${indent}${list ? '' : `${keyText(writer, key)}: `}`;
    const inner = isContainer(item);
    const text = inner ? containerText(writer, item, depth + 1) : scalarText(writer, item);
    // The values of a container were counted when they were written.
    writer.left -= start.length + (inner ? 0 : text.length) + 2;
    lines.push(`${start}${text}${index === entries.length - 1 ? '' : ','}`);
  }
  if (entries.length > most) lines.push(`${indent}${mark(writer, `the first ${most} of ${size}`)}`);
  return [open, ...lines, `${'  '.repeat(depth)}${close}`].join('\n');
};

/** A value that `parseArguments` returned, in about `most` characters. */
export const showValue = (value: JsonObject, most: number = ARGUMENT_LIMITS.shownChars): ShownArguments => {
  const write = (limits: Limits, left: number): ShownArguments & { fits: boolean } => {
    const writer: Writer = { limits, left, shortened: 0 };
    const text = containerText(writer, value, 0);
    return { text, shortened: writer.shortened, fits: writer.left >= 0 };
  };
  for (const limits of LEVELS) {
    const { fits, ...shown } = write(limits, most);
    if (fits) return shown;
  }
  const { text, shortened } = write(TIGHTEST_LIMITS, Infinity);
  return { text, shortened };
};

/** The arguments of a call: JSON text of a model or a person. `most = Infinity`: never shortened. */
export const showArguments = (json: string, most: number = ARGUMENT_LIMITS.shownChars): ShownArguments => {
  const parsed = parseArguments(json);
  if (parsed.ok) return showValue(parsed.value, most);
  const writer: Writer = { limits: { ...NO_LIMITS, characters: most }, left: Infinity, shortened: 0 };
  const text = stringText(writer, json, visibleString);
  return { text, shortened: writer.shortened, problem: visible(parsed.problem) };
};

/** For a list: everything in one line if it fits, else only its size. */
export const summarizeArguments = (json: string, most: number): string => {
  const parsed = parseArguments(json);
  if (!parsed.ok) return `unreadable, ${json.length} characters`;
  const { text } = showValue(parsed.value, Infinity);
  const line = text
    .split('\n')
    .map((part) => part.trimStart().replace(/^("(?:[^"\\]|\\.)*"): /, '$1:'))
    .join('');
  if (line.length <= most) return line;
  const keys = Object.keys(parsed.value).length;
  return `${keys} key${keys === 1 ? '' : 's'}, ${json.length} characters`;
};

/** Most letters from here on take two columns. */
const FIRST_WIDE_CODE_POINT = 0x2e80;
const columns = (token: string): number =>
  (token.codePointAt(0) ?? 0) < FIRST_WIDE_CODE_POINT ? token.length : 2;

/**
 * Breaks shown text into lines of about `width` columns, for places that cut longer lines. A continued line starts with
 * `↪`. The model cannot make such a line, since its strings contain no line feed.
 */
export const wrapShown = (text: string, width: number): string[] =>
  text.split('\n').flatMap((line) => {
    const indent = `${/^ */.exec(line)?.[0] ?? ''}  ↪ `;
    const lines: string[] = [];
    let current = '';
    let used = 0;
    // The note of how much is missing is never broken, nor is an escape; a combining mark stays with its letter.
    for (const [token] of line.matchAll(/(?:<shortened: [^<>"]+>|\\u[0-9a-f]{4}|\\.|.)\p{M}*/gsu)) {
      const size = columns(token);
      if (used + size > width) {
        lines.push(current);
        current = indent;
        used = indent.length;
      }
      current += token;
      used += size;
    }
    return [...lines, current];
  });
