/**
 * Response schemas of timelines, histories, exports and the overview: our extension of the wire.
 *
 * Rule: as in `responses.ts`, which names them in the document. Imports zod.
 */
import { z } from 'zod';
import { decision } from './decision-responses.ts';
import { OBJECT_RESPONSES } from './object-responses.ts';

const { Message: message, Run: run, RunStep: runStep, Usage: usage } = OBJECT_RESPONSES;

const time = z.int();
const ms = z.int().describe('unix milliseconds');
const msOrNull = ms.nullable();
const runStatus = z.enum([
  'queued',
  'in_progress',
  'requires_action',
  'cancelling',
  'completed',
  'failed',
  'incomplete',
  'cancelled',
  'expired',
]);

const span = {
  id: z.string(),
  start_ms: ms,
  end_ms: msOrNull.describe('null = it goes on; equal to start_ms for a moment'),
  round: z.int().nullable(),
  source: z.enum(['history', 'store']).describe('history: exact; store: as exact as the rows of the run'),
};
const attempts = {
  attempts: z.int().nullable().describe('null = not known'),
  failure: z
    .strictObject({ type: z.string().nullable(), message: z.string().nullable() })
    .nullable()
    .describe('of the last attempt that failed; the message is for operators'),
  next_attempt_at_ms: msOrNull,
};
const call = { call_id: z.string(), tool: z.string() };
const texts = {
  arguments: z.string().nullable().describe('the first 4,000 characters; null = not for this reader'),
  output: z.string().nullable(),
};

const timelineEntry = z.discriminatedUnion('kind', [
  z.strictObject({ ...span, kind: z.literal('state'), status: runStatus }),
  z.strictObject({
    ...span,
    ...attempts,
    kind: z.literal('turn'),
    model: z.string().nullable(),
    fallback: z.boolean().describe('another model than the run’s answered'),
    usage: usage.nullable(),
    finish_reason: z.enum(['stop', 'tool_calls', 'length', 'content_filter']).nullable(),
    outcome: z.enum(['running', 'ok', 'failed']),
  }),
  z.strictObject({
    ...span,
    ...attempts,
    ...call,
    ...texts,
    kind: z.literal('tool'),
    outcome: z.enum(['running', 'ok', 'failed', 'cancelled']),
  }),
  z.strictObject({
    ...span,
    ...call,
    ...texts,
    kind: z.literal('wait'),
    waits_for: z.enum(['approval', 'output']),
    on_deadline: z.enum(['fail', 'placeholder', 'follow-up']),
    answer_by_ms: msOrNull,
    outcome: z.enum(['waiting', 'decided', 'answered', 'expired', 'cancelled']),
  }),
  z.strictObject({
    ...span,
    ...call,
    kind: z.literal('decision'),
    decision: z
      .enum(['approve', 'deny', 'delegate', 'remind', 'escalate', 'comment'])
      .describe('approve and deny are decisions or votes'),
    by: z.string().nullable(),
    verified: z.boolean(),
    door: z.enum(['http', 'cli', 'temporal_update', 'temporal_signal', 'workflow']),
    edited: z.boolean(),
    late: z.boolean(),
    undecided: z.boolean().describe('a vote that needs others, or an entry that is no vote'),
    in_place_of: z.string().nullable().describe('who handed this vote over'),
    to: z
      .strictObject({ people: z.array(z.string()), groups: z.array(z.string()) })
      .nullable()
      .describe('of delegate and escalate: who may decide from then on'),
    reason: z.string().nullable(),
    note: z.string().nullable().describe('for people, such as the text of a comment'),
    refused: z.string().nullable().describe('why it changed nothing; null = it counts'),
  }),
  z.strictObject({
    ...span,
    kind: z.literal('timer'),
    name: z.string(),
    fires_at_ms: ms,
    outcome: z.enum(['armed', 'fired', 'cancelled']),
  }),
  z.strictObject({
    ...span,
    kind: z.literal('message'),
    name: z.string(),
    form: z.enum(['update', 'signal']),
  }),
  z.strictObject({ ...span, kind: z.literal('continued') }),
]);

export const runTimeline = z.strictObject({
  object: z.literal('thread.run.timeline'),
  run_id: z.string(),
  thread_id: z.string(),
  assistant_id: z.string(),
  tenant: z.string(),
  status: runStatus,
  created_at_ms: ms,
  started_at_ms: msOrNull,
  ended_at_ms: msOrNull,
  expires_at_ms: msOrNull,
  read_at_ms: ms,
  history: z.strictObject({
    state: z
      .enum(['read', 'cut', 'gone', 'unavailable', 'encrypted'])
      .describe('whether the entries have what the history in Temporal knows'),
    note: z.string(),
    workflow_id: z.string(),
    executions: z.array(z.string()).describe('ids that Temporal gave its executions, oldest first'),
  }),
  truncated: z.boolean(),
  entries: z.array(timelineEntry).describe('in the order of their start; at most 2,000'),
});

export const historyExport = z
  .strictObject({ events: z.array(z.unknown()) })
  .describe('as the command line of Temporal exports it; payloads stay encoded');

export const runExport = z.strictObject({
  object: z.literal('thread.run.export'),
  exported_at: time,
  tenant: z.string(),
  run,
  steps: z.array(runStep),
  messages: z.array(message).describe('of the thread of the run, oldest first'),
  decisions: z.array(decision),
  timeline: runTimeline,
  usage: usage.nullable(),
  truncated: z.array(z.enum(['steps', 'messages', 'decisions', 'timeline'])),
});

const count = z.int();

export const overview = z.strictObject({
  object: z.literal('overview'),
  tenant: z.string().nullable().describe('null = of all tenants'),
  from: time,
  to: time,
  bucket_seconds: z.int(),
  complete: z.boolean().describe('false: the time holds more runs than are counted'),
  runs: z.array(
    z.strictObject({
      at: time,
      created: count,
      ended: z.strictObject({
        completed: count,
        failed: count,
        incomplete: count,
        cancelled: count,
        expired: count,
      }),
    }),
  ),
  live: z.strictObject({ queued: count, in_progress: count, requires_action: count, cancelling: count }),
  live_counted_to: count,
  waiting: z.array(
    z.strictObject({
      run_id: z.string(),
      thread_id: z.string(),
      tenant: z.string(),
      assistant_id: z.string(),
      since: time,
      tools: z.array(z.string()),
      answer_by: time.nullable(),
    }),
  ),
  failures: z.array(
    z.strictObject({
      status: z.enum(['failed', 'incomplete', 'expired']),
      code: z.string().nullable(),
      message: z.string().nullable(),
      runs: count,
      latest_run_id: z.string(),
      latest_at: time,
    }),
  ),
  failures_of: count,
  tokens: z.array(z.strictObject({ day: z.string(), model: z.string(), turns: count, usage })),
  latency: z.array(
    z.strictObject({
      model: z.string(),
      turns: count,
      first_output_ms: z.strictObject({ p50: count, p90: count, max: count }),
    }),
  ),
  latency_of: count,
});
