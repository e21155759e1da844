/** Routes of threads and their messages. Rule: see `route.ts`. */
import {
  messageParamsSchema,
  metadataUpdateSchema,
  threadParamsSchema,
} from '../../protocol/wire/schemas.ts';
import { idParam, route } from '../route.ts';
import type { Route } from '../route.ts';
import { parseId, parsePage, messageParams, PAGE_KEYS, threadParams } from '../validate.ts';

export const threadRoutes: readonly Route[] = [
  route('POST', '/v1/threads', {
    summary: 'Create a thread',
    body: threadParamsSchema,
    size: 'large',
    returns: { object: 'Thread' },
    handle: async ({ engine, caller, body }) => ({
      json: await engine.createThread(caller, threadParams(body)),
    }),
  }),
  route('GET', '/v1/threads', {
    summary: 'List threads (as Azure AI Foundry does; the vendor has no such route)',
    query: PAGE_KEYS,
    returns: { object: 'Thread', list: true },
    handle: async ({ engine, caller, query }) => ({
      json: await engine.listThreads(caller, parsePage(query)),
    }),
  }),
  route('GET', '/v1/threads/{thread_id}', {
    summary: 'Retrieve a thread',
    returns: { object: 'Thread' },
    handle: async (input) => ({
      json: await input.engine.getThread(input.caller, idParam(input, 'thread_id')),
    }),
  }),
  route('POST', '/v1/threads/{thread_id}', {
    summary: 'Modify a thread',
    body: metadataUpdateSchema,
    returns: { object: 'Thread' },
    handle: async (input) => ({
      json: await input.engine.updateThread(input.caller, idParam(input, 'thread_id'), input.body),
    }),
  }),
  route('DELETE', '/v1/threads/{thread_id}', {
    summary: 'Delete a thread that has no active run',
    returns: { object: 'Deleted' },
    handle: async (input) => ({
      json: await input.engine.deleteThread(input.caller, idParam(input, 'thread_id')),
    }),
  }),
  route('POST', '/v1/threads/{thread_id}/messages', {
    summary: 'Add a message to a thread that has no active run',
    body: messageParamsSchema,
    size: 'large',
    returns: { object: 'Message' },
    handle: async (input) => ({
      json: await input.engine.createMessage(
        input.caller,
        idParam(input, 'thread_id'),
        messageParams(input.body),
      ),
    }),
  }),
  route('GET', '/v1/threads/{thread_id}/messages', {
    summary: 'List messages',
    query: [...PAGE_KEYS, 'run_id'],
    returns: { object: 'Message', list: true },
    handle: async (input) => {
      const runId = input.query['run_id'];
      return {
        json: await input.engine.listMessages(input.caller, idParam(input, 'thread_id'), {
          ...parsePage(input.query),
          ...(runId === undefined ? {} : { runId: parseId('run_id', runId) }),
        }),
      };
    },
  }),
  route('GET', '/v1/threads/{thread_id}/messages/{message_id}', {
    summary: 'Retrieve a message',
    returns: { object: 'Message' },
    handle: async (input) => ({
      json: await input.engine.getMessage(
        input.caller,
        idParam(input, 'thread_id'),
        idParam(input, 'message_id'),
      ),
    }),
  }),
  route('POST', '/v1/threads/{thread_id}/messages/{message_id}', {
    summary: 'Modify a message',
    body: metadataUpdateSchema,
    returns: { object: 'Message' },
    handle: async (input) => ({
      json: await input.engine.updateMessage(
        input.caller,
        idParam(input, 'thread_id'),
        idParam(input, 'message_id'),
        input.body,
      ),
    }),
  }),
  route('DELETE', '/v1/threads/{thread_id}/messages/{message_id}', {
    summary: 'Delete a message',
    returns: { object: 'Deleted' },
    handle: async (input) => ({
      json: await input.engine.deleteMessage(
        input.caller,
        idParam(input, 'thread_id'),
        idParam(input, 'message_id'),
      ),
    }),
  }),
];
