/**
 * `GET /openapi.json`: the route table and the request schemas, as an OpenAPI 3.1 document.
 *
 * Rule: nothing is written twice. Bodies come from the schemas that check them, paths from the table that serves them;
 * answers are described by name only, since their shapes are TypeScript types. Imports zod.
 */
import { z } from 'zod';
import { LIMITS } from '../protocol/problems.ts';
import type { Route } from './route.ts';

const schemaOf = (schema: z.ZodType): unknown => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      // The only custom schema is metadata, whose rule is a function.
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
};

const parameters = (route: Route): unknown[] => [
  ...[...route.path.matchAll(/\{(\w+)\}/g)].map((match) => ({
    name: match[1],
    in: 'path',
    required: true,
    schema: { type: 'string' },
  })),
  ...route.query.map((name) => ({ name, in: 'query', schema: QUERY_SCHEMAS[name] ?? { type: 'string' } })),
];

const operation = (route: Route): unknown => {
  const { object, list, stream } = route.returns;
  const json = { 'application/json': { schema: reference(list === true ? 'Page' : object) } };
  const events = { 'text/event-stream': { schema: { type: 'string' } } };
  const content = object === 'Event' ? events : stream === true ? { ...json, ...events } : json;
  return {
    summary: route.summary,
    parameters: parameters(route),
    ...(route.body === null
      ? {}
      : { requestBody: { content: { 'application/json': { schema: schemaOf(route.body) } } } }),
    responses: {
      200: { description: list === true ? `A page of ${object} objects` : object, content },
      default: { description: 'Error', content: { 'application/json': { schema: reference('Error') } } },
    },
  };
};

const named = (object: string): unknown => ({
  type: 'object',
  required: ['id', 'object'],
  properties: { id: { type: 'string' }, object: { const: object } },
});

const nullableString = { type: ['string', 'null'] };

export const openApiDocument = (routes: readonly Route[], version: string): unknown => {
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
      schemas: {
        Assistant: named('assistant'),
        Thread: named('thread'),
        Message: named('thread.message'),
        Run: named('thread.run'),
        RunStep: named('thread.run.step'),
        Deleted: { type: 'object', required: ['id', 'deleted'], properties: { deleted: { const: true } } },
        Answer: { type: 'object', required: ['run_id', 'call_id', 'result', 'waiting'] },
        Page: {
          type: 'object',
          required: ['object', 'data', 'first_id', 'last_id', 'has_more'],
          properties: {
            object: { const: 'list' },
            data: { type: 'array', items: { type: 'object' } },
            first_id: nullableString,
            last_id: nullableString,
            has_more: { type: 'boolean' },
          },
        },
        Error: {
          type: 'object',
          required: ['error'],
          properties: {
            error: {
              type: 'object',
              required: ['message', 'type', 'param', 'code'],
              properties: {
                message: { type: 'string' },
                type: { type: 'string' },
                param: nullableString,
                code: nullableString,
              },
            },
          },
        },
      },
    },
  };
};
