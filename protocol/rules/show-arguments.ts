/**
 * The arguments of a tool call as every door shows them: one function for Web UI, command line, API and hooks.
 *
 * Rule: the parsed value, all of it while it fits. What is too long is shortened value by value, each with its size said
 * outside of the quotes, where no string can imitate it; `shortened` tells the door to say so first. Whole, the text is
 * JSON that parses to exactly the value. Values that differ never share text and digest.
 * Pure; its work is bounded by what it shows and one reading of the arguments. Anybody may import it; the workflow
 * sandbox may too.
 */
import { ARGUMENT_LIMITS } from '../limits.ts';
import { jsonNumber, parseArguments, type JsonObject } from './tool-arguments.ts';
import { asciiString, visible, visibleString } from './visible.ts';

export interface ShownArguments {
  /** One key or element on each line, without control or format characters. */
  text: string;
  /** How many values do not stand here whole; 0 = `text` is all there is. */
  shortened: number;
  /** Why the arguments can't be read as one value: `text` is then what the model wrote, as one string. */
  problem?: string;
}

interface Limits {
  characters: number;
  elements: number;
  keys: number;
  depth: number;
}
const WHOLE: Limits = { characters: Infinity, elements: Infinity, keys: Infinity, depth: Infinity };
/** Tried in this order until the text fits. */
const LEVELS: readonly Limits[] = [
  WHOLE,
  { characters: 1_000, elements: 64, keys: 64, depth: 8 },
  { characters: 250, elements: 16, keys: 32, depth: 4 },
  { characters: 80, elements: 4, keys: 8, depth: 2 },
];
/** Taken when nothing fits: a line for each key. */
const LEAST: Limits = { characters: 24, elements: 0, keys: 0, depth: 1 };

interface Writer {
  limits: Limits;
  /** Characters left; below 0 the writing is given up. */
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

/** How many entries of a container stand here. The arguments themselves (`depth` 0) show all their keys. */
const allowed = ({ limits }: Writer, list: boolean, depth: number): number => {
  if (limits === WHOLE) return Infinity;
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
    // What stands in a container was counted there.
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
  const { text, shortened } = write(LEAST, Infinity);
  return { text, shortened };
};

/** The arguments of a call, JSON text of a model or a person. `most = Infinity`: never shortened. */
export const showArguments = (json: string, most: number = ARGUMENT_LIMITS.shownChars): ShownArguments => {
  const parsed = parseArguments(json);
  if (parsed.ok) return showValue(parsed.value, most);
  const writer: Writer = { limits: { ...WHOLE, characters: most }, left: Infinity, shortened: 0 };
  const text = stringText(writer, json, visibleString);
  return { text, shortened: writer.shortened, problem: visible(parsed.problem) };
};

/** For a list: all of it in one line where it fits, else how much there is, never a part of it. */
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

/** Letters from here on take two columns, mostly. */
const WIDE_FROM = 0x2e80;
const columns = (token: string): number => ((token.codePointAt(0) ?? 0) < WIDE_FROM ? token.length : 2);

/**
 * Shown text in lines of about `width` columns, for places that cut what is longer. A line that goes on another one starts
 * with `↪`, as no line of a shown text does: the model can't make one, since its strings hold no line feed.
 */
export const wrapShown = (text: string, width: number): string[] =>
  text.split('\n').flatMap((line) => {
    const indent = `${/^ */.exec(line)?.[0] ?? ''}  ↪ `;
    const lines: string[] = [];
    let current = '';
    let used = 0;
    // What says how much is missing stays whole, and so does an escape; a mark stays with its letter.
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
