/** Models as the OpenAPI document describes them. Rule: see `responses.ts`. */
import { z } from 'zod';

export const model = z.strictObject({
  id: z.string(),
  object: z.literal('model'),
  created: z.int().describe('0 when it is not known'),
  owned_by: z.string(),
});

/** The vendor's list of models has no cursors. */
export const modelPage = z.strictObject({ object: z.literal('list'), data: z.array(model) });
