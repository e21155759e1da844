/**
 * How deep and how large is what a JSON text holds, before anything is made of it.
 *
 * Rule: one pass, piece by piece as the text arrives, with a fixed state; counting ends at the first excess. Whether the text
 * is JSON at all is the parser's to say.
 * Imports nothing. Anybody may import it.
 */

export interface JsonBounds {
  /** Nesting of objects and arrays. */
  depth: number;
  /** Objects, arrays, strings, numbers and literals, keys not counted. */
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

  /** UTF-8, cut anywhere: only ASCII counts, and no other character has a byte of it. */
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
    // Each value but the outermost one follows a comma or begins its container; empty containers count once too often.
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

/** Of a whole text; null = within the bounds. */
export const jsonExcess = (text: string, bounds: JsonBounds): JsonExcess | null =>
  new JsonScan(bounds).text(text);

/** Removes keys named `__proto__` from parsed JSON: an assignment or spread of them would change a prototype. */
export const dropProtoKeys = (root: unknown): void => {
  const todo: unknown[] = [root];
  for (let item = todo.pop(); item !== undefined; item = todo.pop()) {
    if (typeof item !== 'object' || item === null) continue;
    if (Object.hasOwn(item, '__proto__')) Reflect.deleteProperty(item, '__proto__');
    for (const child of Object.values(item))
      if (typeof child === 'object' && child !== null) todo.push(child);
  }
};

/** Only such a text can hold that key: any of its letters may be escaped. */
export const mayHoldProto = (text: string): boolean => text.includes('__proto__') || text.includes('\\u');
