/**
 * Response schemas of usage reports.
 *
 * Rule: as in `responses.ts`, which names them in the OpenAPI document. Imports zod.
 */
import { z } from 'zod';
import { usage } from './object-responses.ts';

export const dayUsage = z.strictObject({
  object: z.literal('usage.day'),
  day: z.string().describe('UTC, as YYYY-MM-DD'),
  tenant: z.string(),
  model: z.string(),
  turns: z.int().describe('answers of the model that were counted'),
  usage,
});

export const threadUsage = z.strictObject({
  object: z.literal('thread.usage'),
  thread_id: z.string(),
  runs: z.int().describe('runs that have a usage, live ones included'),
  usage: usage.nullable(),
});
