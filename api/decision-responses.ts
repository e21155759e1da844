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
    .describe(
      'the arguments with which the tool ran, where they are not the model’s; null = too long to be stored',
    ),
});

const handOver = z.strictObject({ people: z.array(z.string()), groups: z.array(z.string()) });

export const decision = z.strictObject({
  id: z.string(),
  object: z.literal('thread.run.decision'),
  created_at: time.describe('time of the decision'),
  thread_id: z.string(),
  run_id: z.string(),
  call_id: z.string(),
  tool: z.string(),
  decision: z
    .enum(['approve', 'deny', 'delegate', 'remind', 'escalate', 'comment'])
    .describe('approve and deny are decisions or votes; the others say what happened while the call waited'),
  by,
  verified,
  door: z
    .enum(['http', 'cli', 'temporal_update', 'temporal_signal', 'workflow'])
    .describe('workflow: the run itself, by a timer'),
  undecided: z.boolean().describe('a vote that needs others, or an entry that is no vote'),
  counts_for: z.string().nullable().describe('digest of the arguments for which a vote counts'),
  in_place_of: z.string().nullable().describe('the person who handed this vote over'),
  to: handOver.nullable().describe('of delegate and escalate: who may decide from then on'),
  arguments: z.string().nullable().describe('as the model wrote them'),
  edited: z.boolean(),
  edited_arguments: z.string().nullable(),
  reason: z.string().nullable().describe('the model reads it'),
  note: z.string().nullable().describe('the model does not read it'),
  shown_digest: z.string().nullable().describe('digest of the arguments, where the decision named it'),
  late: z.boolean().describe('the model had continued without the decision'),
  refused_edit: z
    .string()
    .nullable()
    .describe(
      'why the tool refused the arguments of this decision: the tool did not run, and the call waits again',
    ),
  refused: z
    .strictObject({ code: z.string(), message: z.string() })
    .nullable()
    .describe('why the workflow refused this decision, which changed nothing; null = the decision counts'),
});

export const awaitedCall = z
  .strictObject({
    call_id: z.string(),
    tool: z.string(),
    kind: z.enum(['approval', 'output']).describe('output: the caller of the API sends it'),
    on_deadline: z.enum(['fail', 'placeholder', 'follow-up']),
    answer_by: time.nullable().describe('null = as long as the run lives'),
  })
  .describe('an extension of this server: what the run waits for, and until when');

/** On a tool call of a run step that waits. */
export const stepAwaiting = awaitedCall.pick({ kind: true, on_deadline: true, answer_by: true });

const approvalFields = {
  id: z.string().describe('position in the list; also the cursor of a page'),
  object: z.literal('approval'),
  kind: z
    .enum(['approval', 'output'])
    .describe('output: an external call of a worker’s tool, for which a person gives the output'),
  created_at: time.nullable().describe('time of the call'),
  tenant: z.string(),
  thread_id: z.string(),
  run_id: z.string(),
  assistant_id: z.string(),
  call_id: z.string(),
  tool: z.string(),
  status: z.enum(['waiting', 'decided', 'expired', 'cancelled']),
  arguments: z.string().describe('as the model wrote them, JSON text'),
  arguments_digest: z.string().nullable().describe('names these arguments in a decision (arguments_digest)'),
  digest_required: z.boolean().describe('a decision without the digest is refused'),
  requested_by: z.string().nullable().describe('name of the API key that started the run'),
  answer_by: time.nullable().describe('until when an answer is in time; null = as long as the run lives'),
  on_deadline: z.enum(['fail', 'placeholder', 'follow-up']),
  answer_within: z.int().nullable().describe('seconds after the call in which an answer counts'),
  late: z.boolean().describe('the run continued without the decision: an approval starts a follow-up run'),
  expires_at: time
    .nullable()
    .describe(
      'expiry of the run; for a late call the time until which an answer counts, null while the run is live',
    ),
  decision: stepDecision.nullable(),
  refused_edit: z
    .string()
    .nullable()
    .describe('why the tool refused the arguments of the last approval: the call waits again'),
  policy: z
    .strictObject({
      by: z.array(z.string()).describe('groups; empty = everybody who may decide calls of the tool'),
      quorum: z.int().describe('how many must agree, on the same arguments'),
      veto: z.boolean().describe('one denial denies; false = as many denials as the quorum'),
      not_requester: z.boolean().describe('the person who asked for the run has no vote'),
      verified: z.boolean().describe('only names count that a key or a sign-in verifies'),
      remind_after: z.int().nullable().describe('seconds after the call'),
      escalate_after: z.int().nullable().describe('seconds after the call'),
      escalate_to: z.array(z.string()).describe('groups that may decide, too, after the escalation'),
    })
    .nullable()
    .describe('what the tool says about who decides; null = the first decision of anybody decides'),
  votes: z
    .array(
      z.strictObject({
        by: z.string(),
        decision: type,
        at: time,
        verified,
        reason: z.string().nullable(),
        arguments_digest: z.string().nullable().describe('of the arguments for which the vote counts'),
        edited_arguments: z.string().nullable().describe('these arguments, where they are not the model’s'),
        in_place_of: z.string().nullable().describe('the person who handed this vote over'),
      }),
    )
    .describe('where votes are counted: those that count now, one of each person'),
  votes_needed: z
    .int()
    .describe('how many more votes for the same arguments approve the call; 0 = it does not wait'),
  assigned_to: z
    .strictObject({ groups: z.array(z.string()), people: z.array(z.string()) })
    .describe('who may decide now; both empty = everybody who may decide calls of the tool'),
  reminded_at: time.nullable(),
  escalated_at: time.nullable(),
  comments: z.array(
    z.strictObject({ by, verified, at: time, text: z.string().describe('written by a person') }),
  ),
};
export const approval = z.strictObject(approvalFields);

export const approvalDetails = z.strictObject({
  ...approvalFields,
  your_vote: z
    .strictObject({
      may_decide: z.boolean().describe('a decision of this person would be counted now'),
      reason: z.string().nullable().describe('why it would not'),
      decision: z.enum(['approve', 'deny']).nullable().describe('their vote that counts now'),
    })
    .nullable()
    .describe(
      'of the person who asks; null = votes are not counted, the call does not wait, or the name is not known',
    ),
  arguments_shown: z
    .string()
    .describe('the arguments as JSON text, one key on each line, control and format characters escaped'),
  arguments_value: z.unknown().describe('the parsed arguments; null with a problem'),
  arguments_problem: z.string().nullable().describe('why the text of the model is no arguments'),
  description: z.string().nullable().describe('of the tool; null = the run does not declare it'),
  parameters: z.record(z.string(), z.unknown()).nullable().describe('JSON Schema of the arguments'),
  said: z.string().nullable().describe('what the assistant wrote before the call'),
  conversation: z
    .strictObject({
      messages: z.array(
        z.strictObject({
          role: z.enum(['user', 'assistant']),
          created_at: z.int(),
          text: z.string(),
          shortened: z.boolean().describe('the text is the beginning of a longer one'),
        }),
      ),
      has_more: z.boolean().describe('earlier messages are left out'),
    })
    .describe('the latest messages of the thread before the call, oldest first'),
  consequence: z.string().describe('what the run does when the deadline passes without a decision'),
  decisions: z.array(decision).describe('about this call, refused ones included, oldest first'),
});
