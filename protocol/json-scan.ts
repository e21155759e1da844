/**
 * Measures nesting and number of values of a JSON text before it is parsed.
 *
 * Rule: one pass, chunk by chunk as the text arrives, with constant state; it stops at the first excess. It does not
 * check the syntax; the parser does.
 * Imports nothing. Any room may import it.
 */

export interface JsonBounds {
  /** Nesting of objects and arrays. */
  depth: number;
  /** Objects, arrays, strings, numbers and literals; keys do not count. */
  values: number;
}

export interface JsonExcess {
  what: keyof JsonBounds;
  limit: number;
}

const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;

export class JsonScan {
  readonly #bounds: JsonBounds;
  #inString = false;
  #escaped = false;
  #depth = 0;
  #values = 1;

  constructor(bounds: JsonBounds) {
    this.#bounds = bounds;
  }

  /** UTF-8 chunks, cut anywhere: only ASCII bytes are counted, and no other character contains one. */
  bytes(piece: Uint8Array): JsonExcess | null {
    for (let at = 0; at < piece.length; at += 1) {
      if (this.#exceeds(piece[at] ?? 0)) return this.#excess();
    }
    return null;
  }

  text(piece: string): JsonExcess | null {
    for (let at = 0; at < piece.length; at += 1) {
      if (this.#exceeds(piece.charCodeAt(at))) return this.#excess();
    }
    return null;
  }

  #exceeds(code: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (code === BACKSLASH) this.#escaped = true;
      else if (code === QUOTE) this.#inString = false;
      return false;
    }
    // Each value but the outermost follows a comma or opens its container; an empty container counts one too many.
    if (code === QUOTE) this.#inString = true;
    else if (code === COMMA) return (this.#values += 1) > this.#bounds.values;
    else if (code === 123 || code === 91) {
      this.#values += 1;
      return (this.#depth += 1) > this.#bounds.depth || this.#values > this.#bounds.values;
    } else if (code === 125 || code === 93) this.#depth -= 1;
    return false;
  }

  #excess(): JsonExcess {
    const what = this.#depth > this.#bounds.depth ? 'depth' : 'values';
    return { what, limit: this.#bounds[what] };
  }
}

/** Does the text hold at most `limit` characters that open an object or an array, those within strings included? */
const opensAtMost = (text: string, limit: number): boolean => {
  let opened = 0;
  for (const bracket of ['{', '['])
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1))
      if ((opened += 1) > limit) return false;
  return true;
};

/**
 * Measures a whole text; null = within the limits. A text with fewer characters than values and fewer brackets than
 * levels is within them: the search for brackets takes a tenth of the time of the pass over each character, which the
 * small events of a stream have no need of.
 */
export const jsonExcess = (text: string, bounds: JsonBounds): JsonExcess | null =>
  text.length < bounds.values && opensAtMost(text, bounds.depth) ? null : new JsonScan(bounds).text(text);

/** Removes keys named `__proto__` from parsed JSON: assigning or spreading them would change a prototype. */
export const dropProtoKeys = (root: unknown): void => {
  const todo: unknown[] = [root];
  for (let item = todo.pop(); item !== undefined; item = todo.pop()) {
    if (typeof item !== 'object' || item === null) continue;
    if (Object.hasOwn(item, '__proto__')) Reflect.deleteProperty(item, '__proto__');
    for (const child of Object.values(item))
      if (typeof child === 'object' && child !== null) todo.push(child);
  }
};

/** Only a text with an escape or the key itself can contain it: any letter may be escaped. */
export const mayHoldProto = (text: string): boolean => text.includes('__proto__') || text.includes('\\u');
