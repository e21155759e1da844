/**
 * One piece of a call as a server sends it, read into plain fields.
 *
 * Rule: shapes only; what a piece means for the calls before it is the assembler's to say. Pure.
 * Imported by the assembler.
 */
import { count, text } from './json-text.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';
import { collectFields, type Fields } from './provider-fields.ts';

export interface Piece {
  index: number | null;
  id: string | null;
  name: string;
  args: string;
}

const OWN_CALL_FIELDS = new Set([
  'index',
  'id',
  'type',
  'function',
  'name',
  'arguments',
  'parameters',
  'input',
]);
const OWN_FUNCTION_FIELDS = new Set(['name', 'arguments', 'parameters', 'description', 'strict']);

const argumentsText = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : typeof value === 'object' && value !== null
      ? JSON.stringify(value)
      : '';

/** `{type, function: {name, arguments}}`, or the same without the wrapper. */
export const pieceOf = (value: Record<string, unknown>): Piece => {
  const inner = isRecord(value['function']) ? value['function'] : value;
  return {
    index: count(value['index']),
    id: text(value['id']) || null,
    name: text(inner['name']),
    args: argumentsText(inner['arguments'] ?? inner['parameters'] ?? inner['input']),
  };
};

export const isPlaceholder = (args: string): boolean =>
  args.length <= 8 && /^\s*(\{\s*\}|null)\s*$/.test(args);

/** The same JSON, whatever its spacing. */
export const sameJson = (a: string, b: string): boolean => {
  if (a === b) return true;
  if (Math.abs(a.length - b.length) > 2_000) return false;
  try {
    return JSON.stringify(JSON.parse(a)) === JSON.stringify(JSON.parse(b));
  } catch {
    return false;
  }
};

/** Adds the fields of a piece that only the server understands. */
export const collectCallFields = (fields: Fields, raw: Record<string, unknown>): void => {
  collectFields(fields, raw, OWN_CALL_FIELDS);
  if (isRecord(raw['function'])) collectFields(fields, raw['function'], OWN_FUNCTION_FIELDS, 'function');
};
