/**
 * Reads the structure of a zod schema by `_zod`, which zod keeps for libraries.
 *
 * Rule: the only file that does so. Imported by the other files of this folder.
 */
import type { z } from 'zod';

/** The definition of a schema or check. */
export const definitionOf = <Schema extends { readonly _zod: { readonly def: unknown } }>({
  _zod: { def },
}: Schema): Schema['_zod']['def'] => def;

/** The schema behind a lazy one. */
export const innerOf = ({ _zod: { innerType } }: z.core.$ZodLazy): z.core.$ZodType => innerType;

/** Calls a check as zod does, with `undefined` as the value, and returns its result. */
export const callCheck = ({ _zod: internals }: z.core.$ZodCheck): unknown =>
  internals.check({ value: undefined as never, issues: [] });
