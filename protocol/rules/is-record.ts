/**
 * Is a value that came from outside an object with fields?
 *
 * Rule: the one answer for the whole project: null and lists are none. Pure; imports nothing, so that workflows, too, may import it.
 */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
