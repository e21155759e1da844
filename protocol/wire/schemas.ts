/**
 * zod schemas of everything that arrives from outside: HTTP bodies, answers. The only file of this room with a
 * dependency; at run time only `api/`, `activities/`, `backends/`, `client/`, `testing/` and `worker/` import it, never
 * workflow code.
 *
 * Rule: unknown keys of a request are refused by name, as the official API does; every schema's type equals the
 * hand-written shape both ways (`test/offline/protocol/protocol-schemas.test.ts`).
 */
import { z } from 'zod';
import { BALLOT_LIMITS, LIMITS } from '../limits.ts';
import { CURRENCY, parseAmount } from '../rules/cost.ts';
import { WEBHOOK_EVENTS } from './webhooks.ts';
import { metadataProblem, textProblem } from '../rules/validation.ts';

export const metadataSchema = z
  .custom<Record<string, string>>(
    (value) => value !== undefined && value !== null && metadataProblem(value) === undefined,
    {
      error: (issue) => metadataProblem(issue.input) ?? 'metadata must be an object of strings',
    },
  )
  .nullable()
  .optional();

export const functionToolSchema = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({
    name: z
      .string()
      .max(LIMITS.functionName)
      .regex(/^[A-Za-z0-9_-]+$/),
    description: z.string().max(LIMITS.functionDescription).optional(),
    parameters: z.record(z.string(), z.unknown()).optional(),
    strict: z.boolean().nullable().optional(),
  }),
});

/** A text that reaches a column, a query or a message of Temporal directly, not as JSON. */
const plainText = (maximum: number) =>
  z
    .string()
    .max(maximum)
    .superRefine((value, ctx) => {
      const message = textProblem(value);
      if (message !== undefined) ctx.addIssue({ code: 'custom', message });
    });

/** `chars` of the value may be at most `maximum`; the message is the wire's own about a string. */
const maxChars =
  <Value>(maximum: number, chars: (value: Value) => number) =>
  (value: Value, ctx: z.RefinementCtx): void => {
    const length = chars(value);
    if (length > maximum)
      ctx.addIssue({
        code: 'custom',
        message: `string too long. Expected a string with maximum length ${maximum}, but got a string with length ${length} instead`,
        params: { code: 'string_above_max_length' },
      });
  };
const asJson = (value: unknown): number => JSON.stringify(value).length;

const toolsSchema = z
  .array(functionToolSchema)
  .max(LIMITS.toolsOnRun)
  .superRefine(maxChars(LIMITS.toolsChars, asJson));

export const responseFormatSchema = z.union([
  z.literal('auto'),
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    json_schema: z.record(z.string(), z.unknown()).superRefine(maxChars(LIMITS.responseFormatChars, asJson)),
  }),
]);

export const toolChoiceSchema = z.union([
  z.enum(['none', 'auto', 'required']),
  z.strictObject({
    type: z.literal('function'),
    function: z.strictObject({ name: plainText(LIMITS.id) }),
  }),
]);

export const truncationStrategySchema = z.strictObject({
  type: z.enum(['auto', 'last_messages']),
  last_messages: z.int().min(1).nullable().optional(),
});

/** The model server fetches an address; a data URL holds the image. */
const IMAGE_URL = /^(https?:\/\/[^\s/?#]|data:image\/[A-Za-z0-9.+-]+;base64,[A-Za-z0-9+/]+={0,2}$)/;
const imageUrl = z.string().superRefine((value, ctx) => {
  if (!IMAGE_URL.test(value))
    ctx.addIssue({
      code: 'custom',
      message: 'expected an http or https URL, or a data URL of an image in base64',
    });
});

export const messageContentSchema = z.union([
  z.strictObject({ type: z.literal('text'), text: z.string() }),
  z.strictObject({
    type: z.literal('image_url'),
    image_url: z.strictObject({ url: imageUrl, detail: z.enum(['auto', 'low', 'high']).optional() }),
  }),
]);

/** Text of parts. It runs before the parts are checked, so they may have any shape. */
const partChars =
  (read: (part: { text?: unknown; image_url?: { url?: unknown } | null }) => unknown) =>
  (parts: readonly unknown[]): number =>
    parts.reduce<number>((sum, part) => {
      const text = typeof part === 'object' && part !== null ? read(part) : undefined;
      return sum + (typeof text === 'string' ? text.length : 0);
    }, 0);

const contentPartsSchema = z
  .array(messageContentSchema)
  .min(1)
  .max(LIMITS.contentParts)
  .superRefine(
    maxChars(
      LIMITS.messageChars,
      partChars((part) => part.text),
    ),
  )
  .superRefine(
    maxChars(
      LIMITS.imageUrlChars,
      partChars((part) => part.image_url?.url),
    ),
  );

/** Content as a client sends it: a string, or parts whose `text` is a plain string. */
export const messageParamsSchema = z.strictObject({
  role: z.enum(['user', 'assistant']),
  content: z.union([z.string().min(1).max(LIMITS.messageChars), contentPartsSchema]),
  attachments: z.null().optional(),
  metadata: metadataSchema,
});

const temperature = z.number().min(0).max(2).nullable().optional();
const topP = z.number().min(0).max(1).nullable().optional();

export const assistantParamsSchema = z.strictObject({
  model: plainText(LIMITS.model).min(1),
  name: z.string().max(LIMITS.name).nullable().optional(),
  description: z.string().max(LIMITS.description).nullable().optional(),
  instructions: z.string().max(LIMITS.instructions).nullable().optional(),
  tools: toolsSchema.optional(),
  metadata: metadataSchema,
  temperature,
  top_p: topP,
  response_format: responseFormatSchema.nullable().optional(),
  reasoning_effort: plainText(LIMITS.id).nullable().optional(),
});
export const assistantUpdateSchema = assistantParamsSchema.partial();

export const threadParamsSchema = z.strictObject({
  messages: z.array(messageParamsSchema).max(LIMITS.messagesInCreate).optional(),
  metadata: metadataSchema,
});
export const metadataUpdateSchema = z.strictObject({ metadata: metadataSchema });

/** Currency → decimal amount; without any, there is no limit. */
export const maxCostSchema = z.record(z.string(), z.string()).superRefine((value, ctx) => {
  const amounts = Object.entries(value);
  const good = amounts.every(([currency, amount]) => CURRENCY.test(currency) && parseAmount(amount) !== null);
  if (amounts.length > LIMITS.currencies || !good)
    ctx.addIssue({
      code: 'custom',
      message: `expected at most ${LIMITS.currencies} currencies of three capital letters, each with a decimal amount, such as {"USD": "0.50"}`,
    });
});

const runFields = {
  assistant_id: plainText(LIMITS.id).min(1),
  model: plainText(LIMITS.model).min(1).nullable().optional(),
  instructions: z.string().max(LIMITS.instructions).nullable().optional(),
  tools: toolsSchema.nullable().optional(),
  metadata: metadataSchema,
  temperature,
  top_p: topP,
  stream: z.boolean().nullable().optional(),
  max_prompt_tokens: z.int().min(256).nullable().optional(),
  max_completion_tokens: z.int().min(256).nullable().optional(),
  truncation_strategy: truncationStrategySchema.nullable().optional(),
  tool_choice: toolChoiceSchema.nullable().optional(),
  parallel_tool_calls: z.boolean().optional(),
  response_format: responseFormatSchema.nullable().optional(),
  reasoning_effort: plainText(LIMITS.id).nullable().optional(),
  max_cost: maxCostSchema.nullable().optional(),
  expires_in: z.int().min(1).max(31_536_000).nullable().optional(),
};
export const runParamsSchema = z.strictObject({
  ...runFields,
  additional_instructions: z.string().max(LIMITS.instructions).nullable().optional(),
  additional_messages: z.array(messageParamsSchema).max(LIMITS.messagesInCreate).nullable().optional(),
});
export const threadAndRunParamsSchema = z.strictObject({
  ...runFields,
  thread: threadParamsSchema.nullable().optional(),
});

export const toolOutputSchema = z.strictObject({
  tool_call_id: plainText(LIMITS.id).min(1),
  output: z.string(),
});
export const submitParamsSchema = z.strictObject({
  tool_outputs: z.array(toolOutputSchema).max(LIMITS.toolOutputs),
  stream: z.boolean().nullable().optional(),
});

const handOverNames = z.array(plainText(LIMITS.id).min(1)).max(BALLOT_LIMITS.names).optional();
/** People and groups to whom a decision is handed over. The run checks that there is one. */
const handOverSchema = z.strictObject({ people: handOverNames, groups: handOverNames });

const decisionFields = {
  arguments: z.unknown().optional(),
  arguments_digest: z.string().max(64).optional(),
  reason: z.string().max(LIMITS.reasonChars).optional(),
  by: plainText(LIMITS.id).optional(),
  note: z.string().max(LIMITS.noteChars).optional(),
  to: handOverSchema.optional(),
};
const decisionKind = z.enum(['approve', 'deny', 'delegate']);
export const answerPayloadSchema = z.strictObject({
  call_id: plainText(LIMITS.id).min(1),
  output: z.unknown().optional(),
  decision: decisionKind.optional(),
  ...decisionFields,
  run_id: plainText(LIMITS.id).optional(),
});
export const approvalDecisionSchema = z.strictObject({
  decision: decisionKind,
  ...decisionFields,
  comment: z.string().max(LIMITS.noteChars).optional(),
});
/** A person's output for an external call. */
export const approvalAnswerSchema = z.strictObject({
  decision: z.literal('answer'),
  output: z.string(),
  // Fields of its own: the OpenAPI document would lose the null of shared ones.
  by: plainText(LIMITS.id).optional(),
  note: z.string().max(LIMITS.noteChars).optional(),
});
export const approvalBodySchema = z.discriminatedUnion('decision', [
  approvalDecisionSchema,
  approvalAnswerSchema,
]);
export const approvalCommentSchema = z.strictObject({
  text: plainText(LIMITS.noteChars).min(1),
  by: plainText(LIMITS.id).optional(),
});

const webhookFields = {
  url: plainText(LIMITS.imageUrlChars).min(1),
  description: z.string().max(LIMITS.description).nullable().optional(),
  events: z.array(z.enum(WEBHOOK_EVENTS)).min(1).max(WEBHOOK_EVENTS.length).nullable().optional(),
};
export const webhookParamsSchema = z.strictObject({
  ...webhookFields,
  tenant: plainText(LIMITS.id).min(1).optional(),
});
export const webhookUpdateSchema = z
  .strictObject({ ...webhookFields, disabled: z.boolean().optional() })
  .partial();
export const webhookRotationSchema = z.strictObject({
  /** Seconds in which the older secrets still sign. */
  old_expires_in: z.int().min(0).max(2_592_000).optional(),
});
export const emptyBodySchema = z.strictObject({});
