/**
 * What a zod schema is made of, by the door that zod keeps for libraries (`_zod`).
 *
 * Rule: the only file that opens it. Imported by the other files of this folder.
 */
import type { z } from 'zod';

/** What a schema or check was made with. */
export const definitionOf = <Schema extends { readonly _zod: { readonly def: unknown } }>({
  _zod: { def },
}: Schema): Schema['_zod']['def'] => def;

/** The schema that a lazy one stands for. */
export const innerOf = ({ _zod: { innerType } }: z.core.$ZodLazy): z.core.$ZodType => innerType;

/** Calls a check as zod would, with `undefined` for the value; gives what it returns. */
export const callCheck = ({ _zod: internals }: z.core.$ZodCheck): unknown =>
  internals.check({ value: undefined as never, issues: [] });
