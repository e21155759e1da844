/**
 * Finds asynchronous checks of a zod schema.
 *
 * Rule: calls are planned synchronously, so every check must be synchronous. Each function of the schema is called once
 * with `undefined` when the tools are defined; its exception is ignored.
 * Imported by `validate-options.ts` only.
 */
import { z } from 'zod';
import { callCheck, definitionOf, innerOf } from './zod-internals.ts';

type Path = readonly string[];

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof Reflect.get(value, 'then') === 'function';

const isAsyncFunction = (value: unknown): boolean =>
  Object.prototype.toString.call(value) === '[object AsyncFunction]';

/** Does the call return a promise? Its rejection is ignored. */
const answersLater = (call: () => unknown): boolean => {
  try {
    const answer = call();
    if (!isThenable(answer)) return false;
    answer.then(undefined, () => undefined);
    return true;
  } catch {
    return false;
  }
};

/** The checks and transforms at one place of a schema. */
const isAsyncHere = (schema: z.core.$ZodType): boolean => {
  const def = definitionOf(schema);
  const own: unknown = Reflect.get(def, 'transform');
  if (
    isAsyncFunction(own) ||
    (typeof own === 'function' &&
      answersLater(() => own(undefined, { value: undefined, issues: [], addIssue: () => undefined })))
  )
    return true;
  return (def.checks ?? []).some((check) => {
    const made = definitionOf(check);
    if (made.check !== 'custom') return false;
    return isAsyncFunction(Reflect.get(made, 'fn')) || answersLater(() => callCheck(check));
  });
};

/** Where a schema has an asynchronous check, as `address.city`; empty text = at the top; undefined = it has none. */
export const asyncCheck = (root: z.core.$ZodType): string | undefined => {
  const seen = new Set<z.core.$ZodType>();
  const visit = (value: unknown, path: Path): string | undefined => {
    if (value instanceof z.core.$ZodType) {
      if (seen.has(value)) return undefined;
      seen.add(value);
      return isAsyncHere(value) ? path.join('.') : inside(value, path);
    }
    if (Array.isArray(value)) return firstOf(value, (item) => visit(item, path));
    return undefined;
  };
  const inside = (schema: z.core.$ZodType, path: Path): string | undefined => {
    const def = definitionOf(schema);
    if (schema instanceof z.core.$ZodLazy) return visit(innerOf(schema), path);
    if (schema instanceof z.core.$ZodObject)
      return (
        firstOf(Object.entries(definitionOf(schema).shape), ([key, item]) => visit(item, [...path, key])) ??
        visit(definitionOf(schema).catchall, path)
      );
    return firstOf(Object.values(def), (item) => visit(item, path));
  };
  return visit(root, []);
};

const firstOf = <Item>(
  items: readonly Item[],
  look: (item: Item) => string | undefined,
): string | undefined => {
  for (const item of items) {
    const found = look(item);
    if (found !== undefined) return found;
  }
  return undefined;
};
