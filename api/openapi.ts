/**
 * `GET /openapi.json`: the route table and the schemas, as an OpenAPI 3.1 document.
 *
 * Rule: everything has one source. Request bodies come from the schemas that check them, paths from the route table,
 * responses from `responses.ts`, whose types equal the wire's. Imports zod.
 */
import { z } from 'zod';
import { LIMITS } from '../protocol/limits.ts';
import { responseSchemas } from './responses.ts';
import type { RouteDescription } from './route.ts';

const isNull = (branch: unknown): boolean =>
  typeof branch === 'object' && branch !== null && 'type' in branch && branch.type === 'null';

/** Null counts as absent, for every optional field (`normalize.ts`). */
const nullForAbsent = ({ properties = {}, required = [] }: z.core.JSONSchema.BaseSchema): void => {
  for (const [key, field] of Object.entries(properties)) {
    if (typeof field === 'boolean' || required.includes(key)) continue;
    const branches = field.anyOf ?? [];
    const takesNull = Object.keys(field).length === 0 || isNull(field) || branches.some(isNull);
    if (!takesNull)
      properties[key] = { anyOf: [...(branches.length > 0 ? branches : [field]), { type: 'null' }] };
  }
};

const schemaOf = (schema: z.ZodType): unknown => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema instanceof z.ZodObject) nullForAbsent(jsonSchema);
      // Metadata is the only custom schema; its rule is a function.
      if (zodSchema instanceof z.ZodCustom)
        Object.assign(jsonSchema, {
          type: 'object',
          additionalProperties: { type: 'string', maxLength: LIMITS.metadataValue },
          maxProperties: LIMITS.metadataPairs,
        });
    },
  });
  return rest;
};

const reference = (name: string): unknown => ({ $ref: `#/components/schemas/${name}` });

const QUERY_SCHEMAS: Record<string, unknown> = {
  limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
  order: { type: 'string', enum: ['asc', 'desc'], default: 'desc' },
  status: {
    type: 'string',
    description:
      'Of approvals: waiting (the default), decided, expired or cancelled. Of runs: one of their statuses.',
  },
  tool: { type: 'string', description: 'Only calls of this tool, or runs that called it' },
  created_from: { type: 'integer', description: 'Unix seconds: only runs created at this time or later' },
  created_before: { type: 'integer', description: 'Unix seconds: only runs created before this time' },
  tenant: { type: 'string', description: 'Only of this tenant; of another than the own one for operators' },
  hours: { type: 'integer', minimum: 1, maximum: 720, default: 24 },
  execution: {
    type: 'string',
    description:
      'Of a run that was continued as new, the id that Temporal gave one execution; default: the newest',
  },
  assistant_id: { type: 'string' },
  thread_id: { type: 'string' },
  before_deadline: { type: 'integer', description: 'Unix seconds: only calls whose deadline is earlier' },
  return_to: { type: 'string', description: 'A path of the console' },
  'include[]': {
    type: 'array',
    items: { type: 'string', enum: ['step_details.tool_calls[*].file_search.results[*].content'] },
    description: 'Accepted, and without effect: no step of this server searches files.',
  },
};

const parameters = (route: RouteDescription): unknown[] => [
  ...[...route.path.matchAll(/\{(\w+)\}/g)].map((match) => ({
    name: match[1],
    in: 'path',
    required: true,
    schema: { type: 'string' },
  })),
  ...route.query.map((name) => ({ name, in: 'query', schema: QUERY_SCHEMAS[name] ?? { type: 'string' } })),
];

const eventStreamOf = (description: string): Record<string, unknown> => ({
  'text/event-stream': { schema: { type: 'string', description } },
});

const EVENTS = eventStreamOf(
  'Server-sent events: `event` names what happened (thread.run.created, thread.message.delta, …), `data` is the object of the event, `id` its position in the event log of the run. Ends with `event: done`, `data: [DONE]`.',
);

/** Streams alone, by the object that the route names. */
const STREAMS: Readonly<Record<string, unknown>> = {
  Event: EVENTS,
  ApprovalEvent: eventStreamOf(
    'Server-sent events: first `approvals.ready`, then `approval.waiting`, `approval.decided`, `approval.expired` and `approval.cancelled`; `data` is the current approval, `id` the position to resume from (`Last-Event-ID`). A list that is read after `approvals.ready` has every later change in the stream. The stream has no end of its own.',
  ),
};

/** The description of each error status. */
const REFUSALS: Readonly<Record<string, string>> = {
  400: 'The request is wrong, or the state of the run or thread forbids it',
  401: 'No API key, or an unknown one',
  403: 'The key lacks the role that this request needs, or a web page whose origin is not allowed sent the request',
  404: 'The tenant has no such object',
  415: 'The body is compressed',
  429: 'Too many requests; Retry-After says when to retry',
  500: 'An error of the server, named by its request id',
  503: 'Database, workflow service or workers are not available; it is safe to retry after Retry-After',
};

const refusals = (route: RouteDescription): Record<string, unknown> => {
  const error = { 'application/json': { schema: reference('Error') } };
  const gone = route.returns.object === 'Event' ? { 410: 'The server no longer stores these events' } : {};
  return Object.fromEntries(
    Object.entries({ ...REFUSALS, ...gone }).map(([status, description]) => [
      status,
      { description, content: error },
    ]),
  );
};

const operation = (route: RouteDescription): unknown => {
  const { object, list, stream } = route.returns;
  const json = { 'application/json': { schema: reference(list === true ? `${object}Page` : object) } };
  const content = STREAMS[object] ?? (stream === true ? { ...json, ...EVENTS } : json);
  return {
    summary: route.summary,
    parameters: parameters(route),
    ...(route.body === null
      ? {}
      : { requestBody: { content: { 'application/json': { schema: schemaOf(route.body) } } } }),
    responses: {
      ...(object === 'Redirect'
        ? { 302: { description: 'A redirect of the browser' } }
        : { 200: { description: list === true ? `A page of ${object} objects` : object, content } }),
      ...refusals(route),
    },
  };
};

export const openApiDocument = (routes: readonly RouteDescription[], version: string): unknown => {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    paths[route.path] ??= {};
    Object.assign(paths[route.path] ?? {}, { [route.method.toLowerCase()]: operation(route) });
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Runs', version, description: 'Assistants, threads, messages, runs and run steps.' },
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: responseSchemas(),
    },
  };
};
