/**
 * Response schemas: the objects of the wire with every field, by their names in the OpenAPI document.
 *
 * Rule: they describe, and check nothing while serving. Their types equal the hand-written ones (a test compiles that),
 * and tests compare real responses with the document. Imports zod.
 */
import { z } from 'zod';
import { approval, decision, stepDecision } from './decision-responses.ts';
import { model, modelPage } from './model-responses.ts';

const time = z.int();
const timeOrNull = time.nullable();

const metadata = z.record(z.string(), z.string());
const toolCall = z.strictObject({
  id: z.string(),
  type: z.literal('function'),
  function: z.strictObject({ name: z.string(), arguments: z.string() }),
});
const functionTool = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({
    name: z.string(),
    description: z.string().optional(),
    parameters: z.record(z.string(), z.unknown()),
    strict: z.boolean().nullable().optional(),
  }),
});
const toolResources = z.record(z.string(), z.unknown()).describe('always empty');
const requiredAction = z.strictObject({
  type: z.literal('submit_tool_outputs'),
  submit_tool_outputs: z.strictObject({ tool_calls: z.array(toolCall) }),
});
const usage = z.strictObject({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
});
const lastError = z.strictObject({ code: z.string(), message: z.string() });
const responseFormat = z.union([
  z.literal('auto'),
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({ type: z.literal('json_schema'), json_schema: z.record(z.string(), z.unknown()) }),
]);
const toolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.strictObject({ type: z.literal('function'), function: z.strictObject({ name: z.string() }) }),
]);
const truncationStrategy = z.strictObject({
  type: z.enum(['auto', 'last_messages']),
  last_messages: z.int().nullable().optional(),
});

const assistant = z.strictObject({
  id: z.string(),
  object: z.literal('assistant'),
  created_at: time,
  name: z.string().nullable(),
  description: z.string().nullable(),
  model: z.string(),
  instructions: z.string().nullable(),
  tools: z.array(functionTool),
  tool_resources: toolResources,
  metadata,
  temperature: z.number().nullable(),
  top_p: z.number().nullable(),
  response_format: responseFormat,
  reasoning_effort: z.string().nullable().optional(),
});

const thread = z.strictObject({
  id: z.string(),
  object: z.literal('thread'),
  created_at: time,
  metadata,
  tool_resources: toolResources,
});

const messageContent = z.union([
  z.strictObject({
    type: z.literal('text'),
    text: z.strictObject({ value: z.string(), annotations: z.array(z.unknown()) }),
  }),
  z.strictObject({
    type: z.literal('image_url'),
    image_url: z.strictObject({ url: z.string(), detail: z.enum(['auto', 'low', 'high']).optional() }),
  }),
  z.strictObject({ type: z.literal('refusal'), refusal: z.string() }),
]);

const message = z.strictObject({
  id: z.string(),
  object: z.literal('thread.message'),
  created_at: time,
  thread_id: z.string(),
  status: z.enum(['in_progress', 'incomplete', 'completed']),
  incomplete_details: z.strictObject({ reason: z.string() }).nullable(),
  completed_at: timeOrNull,
  incomplete_at: timeOrNull,
  role: z.enum(['user', 'assistant']),
  content: z.array(messageContent),
  assistant_id: z.string().nullable(),
  run_id: z.string().nullable(),
  attachments: z.array(z.unknown()).nullable(),
  metadata,
});

const runCommon = {
  id: z.string(),
  object: z.literal('thread.run'),
  created_at: time,
  assistant_id: z.string(),
  thread_id: z.string(),
  started_at: timeOrNull,
  model: z.string(),
  instructions: z.string().describe('empty when there are none'),
  tools: z.array(functionTool),
  tool_resources: toolResources,
  metadata,
  temperature: z.number().nullable(),
  top_p: z.number().nullable(),
  max_prompt_tokens: z.int().nullable(),
  max_completion_tokens: z.int().nullable(),
  truncation_strategy: truncationStrategy,
  response_format: responseFormat,
  tool_choice: toolChoice,
  parallel_tool_calls: z.boolean(),
  reasoning_effort: z.string().nullable().optional(),
};

/** Fields that are null unless the status sets them. */
const runNulls = {
  required_action: z.null(),
  last_error: z.null(),
  incomplete_details: z.null(),
  expires_at: timeOrNull,
  cancelled_at: z.null(),
  failed_at: z.null(),
  completed_at: z.null(),
  usage: usage.nullable(),
};

const run = z.discriminatedUnion('status', [
  z.strictObject({
    ...runCommon,
    ...runNulls,
    status: z.enum(['queued', 'in_progress', 'cancelling']),
    usage: z.null(),
  }),
  z.strictObject({
    ...runCommon,
    ...runNulls,
    status: z.literal('requires_action'),
    required_action: requiredAction,
    usage: z.null(),
  }),
  z.strictObject({
    ...runCommon,
    ...runNulls,
    status: z.literal('completed'),
    expires_at: z.null(),
    completed_at: time,
  }),
  z.strictObject({
    ...runCommon,
    ...runNulls,
    status: z.literal('incomplete'),
    incomplete_details: z.strictObject({ reason: z.string().optional() }),
    completed_at: timeOrNull,
  }),
  z.strictObject({
    ...runCommon,
    ...runNulls,
    status: z.literal('failed'),
    last_error: lastError,
    failed_at: time,
  }),
  z.strictObject({
    ...runCommon,
    ...runNulls,
    status: z.literal('cancelled'),
    last_error: lastError.nullable(),
    cancelled_at: time,
  }),
  z.strictObject({
    ...runCommon,
    ...runNulls,
    status: z.literal('expired'),
    last_error: lastError.nullable(),
  }),
]);

const stepDetails = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('message_creation'),
    message_creation: z.strictObject({ message_id: z.string() }),
  }),
  z.strictObject({
    type: z.literal('tool_calls'),
    tool_calls: z.array(
      z.strictObject({
        id: z.string(),
        type: z.literal('function'),
        function: z.strictObject({
          name: z.string(),
          arguments: z.string(),
          output: z.string().nullable(),
        }),
        decision: stepDecision.optional(),
      }),
    ),
  }),
]);

const runStep = z.strictObject({
  id: z.string(),
  object: z.literal('thread.run.step'),
  created_at: time,
  assistant_id: z.string(),
  thread_id: z.string(),
  run_id: z.string(),
  type: z.enum(['message_creation', 'tool_calls']),
  status: z.enum(['in_progress', 'cancelled', 'failed', 'completed', 'expired']),
  step_details: stepDetails,
  last_error: lastError.nullable(),
  expired_at: timeOrNull,
  expires_at: timeOrNull,
  cancelled_at: timeOrNull,
  failed_at: timeOrNull,
  completed_at: timeOrNull,
  metadata,
  usage: usage.nullable(),
});

const deleted = z.strictObject({
  id: z.string(),
  object: z.enum(['assistant.deleted', 'thread.deleted', 'thread.message.deleted']),
  deleted: z.literal(true),
});

const answer = z.strictObject({
  run_id: z.string(),
  call_id: z.string(),
  result: z.enum(['accepted', 'repeated']).describe('repeated: the same answer was there already'),
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
  late: z.literal(true).optional().describe('the answer is for a run that follows'),
  follow_up_run_id: z
    .string()
    .optional()
    .describe('the run had ended; this new run on its thread carries the answer'),
  waiting: z.array(z.string()).describe('ids of the calls that still wait for somebody'),
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
      'JSON text that parses to exactly the arguments, one key on each line, control and format characters escaped; with a problem, the text of the model as one JSON string',
    ),
  arguments_digest: z
    .string()
    .nullable()
    .describe('what a decision about these arguments names (arguments_digest); null with a problem'),
  arguments_problem: z.string().nullable().describe('why the text of the model is no arguments'),
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
  Metadata: metadata,
  FunctionTool: functionTool,
  FunctionToolPage: pageOf(functionTool),
  ToolCall: toolCall,
  RequiredAction: requiredAction,
  Usage: usage,
  LastError: lastError,
  ResponseFormat: responseFormat,
  ToolChoice: toolChoice,
  TruncationStrategy: truncationStrategy,
  MessageContent: messageContent,
  StepDetails: stepDetails,
  Model: model,
  ModelPage: modelPage,
  Assistant: assistant,
  AssistantPage: pageOf(assistant),
  Thread: thread,
  ThreadPage: pageOf(thread),
  Message: message,
  MessagePage: pageOf(message),
  Run: run,
  RunPage: pageOf(run),
  RunStep: runStep,
  RunStepPage: pageOf(runStep),
  Deleted: deleted,
  Answer: answer,
  Approval: approval,
  ApprovalPage: pageOf(approval),
  Decision: decision,
  DecisionPage: pageOf(decision),
  Call: call,
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
