/** Schemas of the console's session, for its bodies and the document. Rule: as in `responses.ts`. Imports zod. */
import { z } from 'zod';

/** A key, or, on a server without keys, a name. */
export const signInSchema = z.union([
  z.strictObject({ key: z.string().min(1).max(1_024) }),
  z.strictObject({ name: z.string().min(1).max(64) }),
]);

const time = z.int();

export const consoleSession = z.strictObject({
  object: z.literal('console.session'),
  person: z.strictObject({
    name: z.string(),
    groups: z.array(z.string()),
    verified: z.boolean().describe('a key, an identity provider or a proxy proves the name'),
  }),
  tenant: z.string(),
  roles: z.array(z.string()),
  csrf_token: z.string().describe('sent in the header x-csrf-token with each request that changes something'),
  expires_at: time.describe('the session ends then in any case'),
  idle_expires_at: time.describe('it ends then if no request comes before'),
  sign_in: z.strictObject({ methods: z.array(z.string()) }),
  links: z.strictObject({ temporal_ui: z.string().nullable(), namespace: z.string().nullable() }),
  features: z.record(z.string(), z.boolean()),
});

export const consoleSessionEnd = z.strictObject({
  object: z.literal('console.session.ended'),
  ended: z.int().describe('how many sessions have ended'),
});
