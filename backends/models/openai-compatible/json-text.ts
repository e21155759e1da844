/**
 * Is a JSON text that arrives in pieces complete? And small readers of unknown JSON.
 *
 * Rule: one pass with a fixed state, whatever the pieces; nothing is parsed twice. Pure.
 * Imported within `backends/models/`.
 */
import { isRecord } from '../../../protocol/rules/is-record.ts';

export const record = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : {});
export const text = (value: unknown): string => (typeof value === 'string' ? value : '');
export const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
/** A whole number from 0, also when it is written as text. */
export const count = (value: unknown): number | null => {
  const number = typeof value === 'string' && /^\d{1,12}$/.test(value.trim()) ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) && number >= 0 ? Math.floor(number) : null;
};

/** `broken`: something other than white space follows the complete text. */
export type JsonState = 'empty' | 'open' | 'complete' | 'broken';

const WHITESPACE = /\s/;
const WORD = /^(null|true|false|-?\d+(\.\d+)?([eE][+-]?\d+)?)$/;

export class JsonProgress {
  #kind: 'none' | 'container' | 'string' | 'word' = 'none';
  #depth = 0;
  #inString = false;
  #escaped = false;
  #done = false;
  #broken = false;
  #word = '';

  push(piece: string): void {
    for (const char of piece) this.#take(char);
  }

  get state(): JsonState {
    if (this.#kind === 'none') return 'empty';
    if (this.#broken) return 'broken';
    if (this.#kind === 'word') return WORD.test(this.#word) ? 'complete' : 'open';
    return this.#done ? 'complete' : 'open';
  }

  #take(char: string): void {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (char === '\\') this.#escaped = true;
      else if (char === '"') {
        this.#inString = false;
        this.#done = this.#depth === 0;
      }
      return;
    }
    if (WHITESPACE.test(char)) {
      if (this.#kind === 'word') this.#done = true;
      return;
    }
    if (this.#done) {
      this.#broken = true;
      return;
    }
    if (this.#kind === 'none')
      this.#kind = char === '{' || char === '[' ? 'container' : char === '"' ? 'string' : 'word';
    if (this.#kind === 'word') {
      if (this.#word.length < 40) this.#word += char;
    } else if (char === '"') this.#inString = true;
    else if (char === '{' || char === '[') this.#depth += 1;
    else if ((char === '}' || char === ']') && (this.#depth -= 1) <= 0) this.#done = true;
  }
}
