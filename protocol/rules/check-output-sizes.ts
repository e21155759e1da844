/**
 * Refuses tool outputs that are too large, with the API's own errors.
 *
 * Rule: the sizes are those of `tool-outputs.ts`. Imported by api/ and service/, not by workflow code, which has its own errors.
 */
import { apiErrors } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { ToolOutput } from '../wire/objects.ts';
import { outputBytesOverLimit } from './tool-outputs.ts';

export const checkOutputSizes = (outputs: readonly ToolOutput[]): void => {
  for (const [index, { output }] of outputs.entries())
    if (output.length > LIMITS.outputChars) throw apiErrors.outputTooLong(index, output.length);
  if (outputBytesOverLimit(outputs.map(({ output }) => output)) !== null) throw apiErrors.outputsTooLarge();
};
