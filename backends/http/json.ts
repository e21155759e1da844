/**
 * JSON from an upstream server, within bounds.
 *
 * Rule: depth is checked before parsing (a hundred kilobytes of "[" must not cost a stack), `__proto__` keys are
 * dropped after it (harmless in a parsed object, not in one that is copied by assignment).
 * No imports. Backends and tests import it.
 */

export class JsonDepthError extends Error {
  override readonly name = 'JsonDepthError';
}

/** Deepest nesting of arrays and objects in a JSON text; stops counting above `limit`. */
const depthExceeds = (text: string, limit: number): boolean => {
  if (text.length <= limit) return false;
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (inString) {
      if (char === 0x5c) at++;
      else if (char === 0x22) inString = false;
    } else if (char === 0x22) inString = true;
    else if (char === 0x5b || char === 0x7b) {
      if (++depth > limit) return true;
    } else if (char === 0x5d || char === 0x7d) depth--;
  }
  return false;
};

const dropProto = (root: unknown): void => {
  const todo: unknown[] = [root];
  while (todo.length > 0) {
    const item = todo.pop();
    if (typeof item !== 'object' || item === null) continue;
    if (Object.hasOwn(item, '__proto__')) Reflect.deleteProperty(item, '__proto__');
    todo.push(...Object.values(item).filter((child) => typeof child === 'object' && child !== null));
  }
};

/** Parses, or throws `SyntaxError` / `JsonDepthError`. Default depth 100. */
export const parseJson = (text: string, maxDepth = 100): unknown => {
  if (depthExceeds(text, maxDepth)) throw new JsonDepthError(`JSON nested deeper than ${maxDepth} levels`);
  const value: unknown = JSON.parse(text);
  // The second spelling is the escaped one: "\u005f_proto__" parses to the same key.
  if (/__proto__|\\u005f/i.test(text)) dropProto(value);
  return value;
};

/** A plain object to read fields from; undefined for anything else. */
export const asRecord = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
