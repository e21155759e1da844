/**
 * Every name that a span may have, and every attribute.
 *
 * Rule: closed lists. Attributes are ids, names of a configuration, counts and codes: never an argument, an output, a message, a
 * header or the text of an error. Names are those of the semantic conventions (HTTP, generative AI) and of Temporal's interceptors.
 * Imported within `worker/telemetry/` and by tests.
 */

export const SPAN_ATTRIBUTES = [
  'durable_runs.attempt',
  'durable_runs.execution.outcome',
  'durable_runs.run.status',
  'error.type',
  'gen_ai.agent.id',
  'gen_ai.conversation.id',
  'gen_ai.operation.name',
  'gen_ai.provider.name',
  'gen_ai.request.model',
  'gen_ai.response.finish_reasons',
  'gen_ai.response.time_to_first_chunk',
  'gen_ai.tool.call.id',
  'gen_ai.tool.name',
  'gen_ai.tool.type',
  'gen_ai.usage.cache_read.input_tokens',
  'gen_ai.usage.input_tokens',
  'gen_ai.usage.output_tokens',
  'gen_ai.usage.reasoning.output_tokens',
  'http.request.method',
  'http.response.status_code',
  'http.route',
  'run_id',
  'temporalActivityId',
  'temporalWorkflowId',
] as const;

export type SpanAttribute = (typeof SPAN_ATTRIBUTES)[number];
export type SpanAttributes = Partial<Record<SpanAttribute, string | number | string[]>>;

/** The names of spans, by kind. */
export const spanName = {
  request: (method: string, route: string): string => `${method} ${route}`,
  start: (workflowType: string): string => `StartWorkflow:${workflowType}`,
  execution: (workflowType: string): string => `RunWorkflow:${workflowType}`,
  activity: (activityType: string): string => `RunActivity:${activityType}`,
  tool: (name: string): string => `execute_tool ${name}`,
  model: (model: string): string => `chat ${model}`,
} as const;
