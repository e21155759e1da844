/** Routes of assistants. Rule: see `route.ts`. */
import { assistantParamsSchema, assistantUpdateSchema } from '../../protocol/wire/schemas.ts';
import { idParam, route } from '../route.ts';
import type { Route } from '../route.ts';
import { parsePage, PAGE_KEYS } from '../validate.ts';

export const assistantRoutes: readonly Route[] = [
  route('POST', '/v1/assistants', {
    summary: 'Create an assistant',
    body: assistantParamsSchema,
    size: 'medium',
    returns: { object: 'Assistant' },
    handle: async ({ engine, caller, body }) => ({ json: await engine.createAssistant(caller, body) }),
  }),
  route('GET', '/v1/assistants', {
    summary: 'List assistants',
    query: PAGE_KEYS,
    returns: { object: 'Assistant', list: true },
    handle: async ({ engine, caller, query }) => ({
      json: await engine.listAssistants(caller, parsePage(query)),
    }),
  }),
  route('GET', '/v1/assistants/{assistant_id}', {
    summary: 'Retrieve an assistant',
    returns: { object: 'Assistant' },
    handle: async (input) => ({
      json: await input.engine.getAssistant(input.caller, idParam(input, 'assistant_id')),
    }),
  }),
  route('POST', '/v1/assistants/{assistant_id}', {
    summary: 'Modify an assistant',
    body: assistantUpdateSchema,
    size: 'medium',
    returns: { object: 'Assistant' },
    handle: async (input) => ({
      json: await input.engine.updateAssistant(input.caller, idParam(input, 'assistant_id'), input.body),
    }),
  }),
  route('DELETE', '/v1/assistants/{assistant_id}', {
    summary: 'Delete an assistant',
    returns: { object: 'Deleted' },
    handle: async (input) => ({
      json: await input.engine.deleteAssistant(input.caller, idParam(input, 'assistant_id')),
    }),
  }),
];
