/**
 * Response schemas of the wire's objects: assistant, thread, message, run, run step.
 *
 * Rule: as in `responses.ts`, which names them in the OpenAPI document. Imports zod.
 */
import { z } from 'zod';
import { awaitedCall, stepAwaiting, stepDecision } from './decision-responses.ts';
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
export const usage = z.strictObject({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  prompt_token_details: z
    .strictObject({ cached_tokens: z.int() })
    .optional()
    .describe('absent when the model server counts none'),
  completion_tokens_details: z
    .strictObject({ reasoning_tokens: z.int() })
    .optional()
    .describe('absent when the model server counts none'),
  cost: z
    .record(z.string(), z.string())
    .readonly()
    .optional()
    .describe(
      'currency to decimal amount, at the price of the moment; absent without a price (an extension)',
    ),
  model: z.string().optional().describe('on steps: the model that answered (an extension)'),
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
  max_cost: z
    .record(z.string(), z.string())
    .readonly()
    .optional()
    .describe('currency to decimal amount; absent without a limit (an extension)'),
  awaiting: z.array(awaitedCall).optional(),
  models_used: z
    .array(z.string())
    .optional()
    .describe('our extension: the models whose turns the run has, each once, in order'),
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
        awaiting: stepAwaiting.optional(),
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
  model: z.string().optional().describe('our extension: the model that spoke in this step'),
});

/** The schemas of the wire's objects and of their parts, by their names in the document. */
export const OBJECT_RESPONSES = {
  Metadata: metadata,
  FunctionTool: functionTool,
  ToolCall: toolCall,
  RequiredAction: requiredAction,
  Usage: usage,
  LastError: lastError,
  ResponseFormat: responseFormat,
  ToolChoice: toolChoice,
  TruncationStrategy: truncationStrategy,
  MessageContent: messageContent,
  StepDetails: stepDetails,
  Assistant: assistant,
  Thread: thread,
  Message: message,
  Run: run,
  RunStep: runStep,
} as const;
