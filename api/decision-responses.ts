/**
 * Response schemas of decisions: our extension of the wire.
 *
 * Rule: as in `responses.ts`, which names them in the document. Imports zod.
 */
import { z } from 'zod';

const time = z.int();
const type = z.enum(['approve', 'deny']);
const by = z.string().nullable();
const verified = z.boolean().describe('an API key carries the name in `by`');

/** On a tool call of a run step. */
export const stepDecision = z.strictObject({
  type,
  decided_at: time,
  by,
  verified,
  edited_arguments: z
    .string()
    .nullable()
    .optional()
    .describe('when the tool ran with other arguments than the model’s: these; null = too long to be kept'),
});

export const decision = z.strictObject({
  id: z.string(),
  object: z.literal('thread.run.decision'),
  created_at: time.describe('when it was decided'),
  thread_id: z.string(),
  run_id: z.string(),
  call_id: z.string(),
  tool: z.string(),
  decision: type,
  by,
  verified,
  door: z.enum(['http', 'cli', 'temporal_update', 'temporal_signal']),
  arguments: z.string().nullable().describe('the model’s'),
  edited: z.boolean(),
  edited_arguments: z.string().nullable(),
  reason: z.string().nullable().describe('told to the model'),
  note: z.string().nullable().describe('not told to the model'),
  shown_digest: z
    .string()
    .nullable()
    .describe('of the arguments that the decision was about, when it named them'),
  late: z.boolean().describe('the model had gone on without it'),
  refused_edit: z
    .string()
    .nullable()
    .describe('why the tool refused the arguments of the decision before: nothing ran, the call waits again'),
  refused: z
    .strictObject({ code: z.string(), message: z.string() })
    .nullable()
    .describe('why this decision was refused when it came in: it changed nothing; null = it counts'),
});

export const approval = z.strictObject({
  id: z.string().describe('its place in the list, and a page’s cursor'),
  object: z.literal('approval'),
  created_at: time.nullable().describe('when the model made the call'),
  tenant: z.string(),
  thread_id: z.string(),
  run_id: z.string(),
  assistant_id: z.string(),
  call_id: z.string(),
  tool: z.string(),
  arguments: z.string().describe('the model’s, as JSON text'),
  arguments_digest: z.string().nullable().describe('names these arguments in a decision'),
  digest_required: z.boolean().describe('a decision without the digest is refused'),
  on_deadline: z.enum(['fail', 'placeholder', 'follow-up']),
  answer_within: z.int().nullable().describe('seconds from the call on in which an answer is of use'),
  late: z.boolean().describe('the run went on without it: an approval starts a run that follows'),
  expires_at: time
    .nullable()
    .describe('of the run; of a late call, until when its answer is taken, null while the run goes on'),
});
