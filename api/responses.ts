/**
 * Response schemas: the objects of the wire with every field, by their names in the OpenAPI document.
 *
 * Rule: they describe, and check nothing while serving. Their types equal the hand-written ones (a test compiles that),
 * and tests compare real responses with the document. Imports zod.
 */
import { z } from 'zod';
import { consoleSession, consoleSessionEnd } from './console/session-responses.ts';
import { approval, approvalDetails, decision } from './decision-responses.ts';
import { model, modelPage } from './model-responses.ts';
import { OBJECT_RESPONSES } from './object-responses.ts';
import { historyExport, overview, runExport, runTimeline } from './run-record-responses.ts';
import { dayUsage, threadUsage } from './usage-responses.ts';
import { deliveryResponse, webhook, webhookWithSecret } from './webhook-responses.ts';

const deleted = z.strictObject({
  id: z.string(),
  object: z.enum(['assistant.deleted', 'thread.deleted', 'thread.message.deleted', 'webhook.deleted']),
  deleted: z.literal(true),
});

const answer = z.strictObject({
  run_id: z.string(),
  call_id: z.string(),
  result: z.enum(['accepted', 'repeated']).describe('repeated: the same answer was accepted before'),
  notes: z
    .array(
      z.enum([
        'truncated',
        'serialised',
        'invalid_arguments',
        'invalid_output',
        'tool_failed',
        'outcome_unknown',
        'unknown_tool',
        'denied',
        'placeholder',
        'deadline',
      ]),
    )
    .optional(),
  late: z.literal(true).optional().describe('the answer starts a follow-up run'),
  votes_needed: z
    .int()
    .optional()
    .describe('the vote counts, and so many more for the same arguments approve the call; absent = decided'),
  follow_up_run_id: z
    .string()
    .optional()
    .describe('the run had ended; this new run on its thread carries the answer'),
  waiting: z.array(z.string()).describe('ids of the calls that still wait for an answer'),
});

const error = z.strictObject({
  error: z.strictObject({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});

const call = z.strictObject({
  id: z.string(),
  object: z.literal('thread.run.call'),
  thread_id: z.string(),
  run_id: z.string(),
  name: z.string(),
  arguments: z
    .string()
    .describe(
      'JSON text that parses to exactly the arguments, one key on each line, control and format characters escaped; if `arguments_problem` is set, the model’s text as one JSON string',
    ),
  arguments_digest: z
    .string()
    .nullable()
    .describe('digest of these arguments, which a decision names; null if `arguments_problem` is set'),
  arguments_problem: z.string().nullable().describe('why the model’s text is not valid arguments'),
  output: z.string().nullable(),
});

const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({
    object: z.literal('list'),
    data: z.array(item),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  });

/** Schemas by their names in the document. */
export const RESPONSES = {
  ...OBJECT_RESPONSES,
  FunctionToolPage: pageOf(OBJECT_RESPONSES.FunctionTool),
  AssistantPage: pageOf(OBJECT_RESPONSES.Assistant),
  ThreadPage: pageOf(OBJECT_RESPONSES.Thread),
  MessagePage: pageOf(OBJECT_RESPONSES.Message),
  RunPage: pageOf(OBJECT_RESPONSES.Run),
  RunStepPage: pageOf(OBJECT_RESPONSES.RunStep),
  Model: model,
  ModelPage: modelPage,
  Deleted: deleted,
  Answer: answer,
  Approval: approval,
  ApprovalDetails: approvalDetails,
  ApprovalPage: pageOf(approval),
  Decision: decision,
  DecisionPage: pageOf(decision),
  Call: call,
  DayUsage: dayUsage,
  DayUsagePage: pageOf(dayUsage),
  ThreadUsage: threadUsage,
  Webhook: webhook,
  WebhookPage: pageOf(webhook),
  WebhookWithSecret: webhookWithSecret,
  WebhookDelivery: deliveryResponse,
  WebhookDeliveryPage: pageOf(deliveryResponse),
  RunTimeline: runTimeline,
  RunExport: runExport,
  History: historyExport,
  Overview: overview,
  ConsoleSession: consoleSession,
  ConsoleSessionEnd: consoleSessionEnd,
  Error: error,
} as const satisfies Record<string, z.ZodType>;

/** Every schema as JSON Schema; named ones are referenced by name. */
export const responseSchemas = (): Record<string, unknown> => {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(RESPONSES)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { uri: (id) => `#/components/schemas/${id}` });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, { $schema: _schema, $id: _id, ...schema }]) => [id, schema]),
  );
};
