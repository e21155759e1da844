/**
 * Answers in JSON, and the text of objects that are sent many times.
 *
 * Rule: only for objects that never change. Imports nothing; imported by `app.ts`.
 */

/**
 * Serialises an object once, though it may be sent many times. Implementations never change an object that they
 * returned.
 */
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

export const jsonResponse = (text: string, headers: Record<string, string>): Response =>
  new Response(text, { status: 200, headers: { 'content-type': 'application/json', ...headers } });
