/**
 * The service's methods on assistants, threads and messages: the store behind limits and the API's errors.
 *
 * Rule: a method that stores text asks the tenant's quota first. Imported within `service/` only.
 */
import type { RunsService } from '../protocol/ports/runs-service.ts';
import { withApiErrors } from './errors.ts';
import { assertMessagesSeen } from './image-support.ts';
import type { ServiceContext } from './service-context.ts';

type ThreadMethods = Pick<
  RunsService,
  | `${'create' | 'get' | 'update' | 'delete'}${'Assistant' | 'Thread' | 'Message'}`
  | `list${'Assistants' | 'Threads' | 'Messages'}`
>;

export const createThreadMethods = ({ store, quotas, now, blindModel }: ServiceContext): ThreadMethods => ({
  createAssistant: (caller, params) =>
    withApiErrors(async () => {
      await quotas.takeSpace(caller.tenant, params);
      return store.createAssistant(caller.tenant, params, now());
    }),
  listAssistants: (caller, query) => withApiErrors(() => store.listAssistants(caller.tenant, query)),
  getAssistant: (caller, id) => withApiErrors(() => store.getAssistant(caller.tenant, id)),
  updateAssistant: (caller, id, params) =>
    withApiErrors(async () => {
      await quotas.takeSpace(caller.tenant, params);
      return store.updateAssistant(caller.tenant, id, params);
    }),
  deleteAssistant: (caller, id) => withApiErrors(() => store.deleteAssistant(caller.tenant, id)),

  createThread: (caller, params) =>
    withApiErrors(async () => {
      assertMessagesSeen(blindModel, params);
      await quotas.takeSpace(caller.tenant, params);
      return store.createThread(caller.tenant, params, now());
    }),
  listThreads: (caller, query) => withApiErrors(() => store.listThreads(caller.tenant, query)),
  getThread: (caller, id) => withApiErrors(() => store.getThread(caller.tenant, id)),
  updateThread: (caller, id, params) => withApiErrors(() => store.updateThread(caller.tenant, id, params)),
  deleteThread: (caller, id) => withApiErrors(() => store.deleteThread(caller.tenant, id)),

  createMessage: (caller, threadId, params) =>
    withApiErrors(async () => {
      assertMessagesSeen(blindModel, params);
      await quotas.takeSpace(caller.tenant, params);
      return store.createMessage(caller.tenant, threadId, params, now());
    }),
  listMessages: (caller, threadId, query) =>
    withApiErrors(() => store.listMessages(caller.tenant, threadId, query)),
  getMessage: (caller, threadId, id) => withApiErrors(() => store.getMessage(caller.tenant, threadId, id)),
  updateMessage: (caller, threadId, id, params) =>
    withApiErrors(() => store.updateMessage(caller.tenant, threadId, id, params)),
  deleteMessage: (caller, threadId, id) =>
    withApiErrors(() => store.deleteMessage(caller.tenant, threadId, id)),
});
