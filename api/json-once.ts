/**
 * JSON of objects that are answered many times.
 *
 * Rule: for objects that never change. Imports nothing; `app.ts` uses it.
 */

/** The text of an object that an engine may hand out many times is made once. Engines never change what they gave. */
export const jsonOnce = (): ((value: object) => string) => {
  const known = new WeakMap<object, string>();
  return (value) => {
    const before = known.get(value);
    if (before !== undefined) return before;
    const text = JSON.stringify(value);
    known.set(value, text);
    return text;
  };
};
