/**
 * Assistants, threads and messages of the scripted server.
 *
 * Rule: as in `engine.ts`: synchronous inside, and no tenant sees another's objects. Imported by `engine.ts` and
 * `run-methods.ts`.
 */
import { apiErrors } from '../../protocol/errors.ts';
import type { Caller, MessageParams, RunsService, ThreadParams } from '../../protocol/ports/runs-service.ts';
import type { ManualClock } from '../clock.ts';
import type { IdSource } from '../ids.ts';
import type { createAssistants } from './assistants.ts';
import { paged } from './paging.ts';
import type { Quirks } from './quirks.ts';
import { newMessage } from './records.ts';
import type { MessageRecord, RunRecord, ThreadRecord } from './records.ts';
import { toAssistant, toMessage, toThread } from './views.ts';

/** What the methods of the scripted server share. */
export interface ServerState {
  clock: ManualClock;
  ids: IdSource;
  quirks: Quirks;
  assistants: ReturnType<typeof createAssistants>;
  threads: Map<string, ThreadRecord>;
  runs: Map<string, RunRecord>;
  /** The caller's thread, after a deadline that has passed was applied. Throws 404. */
  threadOf: (caller: Caller, id: string) => ThreadRecord;
}

type ThreadMethods = Pick<
  RunsService,
  | `${'create' | 'get' | 'update' | 'delete'}${'Assistant' | 'Thread' | 'Message'}`
  | `list${'Assistants' | 'Threads' | 'Messages'}`
>;

export const addMessage = (
  { clock, ids }: ServerState,
  thread: ThreadRecord,
  params: MessageParams,
): MessageRecord => {
  const message = newMessage(ids('msg'), clock.now(), params);
  thread.messages.push(message);
  return message;
};

export const addThread = (state: ServerState, caller: Caller, params: ThreadParams): ThreadRecord => {
  const { clock, ids } = state;
  const thread: ThreadRecord = {
    tenant: caller.tenant,
    id: ids('thread'),
    createdAt: clock.now(),
    metadata: params.metadata ?? {},
    messages: [],
    runs: [],
    active: null,
  };
  for (const message of params.messages ?? []) addMessage(state, thread, message);
  return thread;
};

const rejectWhileActive = (thread: ThreadRecord, quirks: Quirks): void => {
  if (thread.active !== null && !quirks.noThreadLock)
    throw apiErrors.messageWhileActive(thread.id, thread.active.id);
};

const messageOf = (
  { threadOf }: ServerState,
  caller: Caller,
  threadId: string,
  id: string,
): [ThreadRecord, MessageRecord] => {
  const thread = threadOf(caller, threadId);
  const message = thread.messages.find((item) => item.id === id);
  if (message === undefined) throw apiErrors.notFound('message', id);
  return [thread, message];
};

const createAssistantMethods = ({
  assistants,
  ids,
}: ServerState): Pick<ThreadMethods, Extract<keyof ThreadMethods, `${string}Assistant${string}`>> => ({
  async createAssistant(caller, params) {
    return toAssistant(assistants.create(caller.tenant, ids('asst'), params));
  },
  async listAssistants(caller, query) {
    return paged(assistants.all(caller.tenant), query, toAssistant);
  },
  async getAssistant(caller, id) {
    return toAssistant(assistants.find(caller, id));
  },
  async updateAssistant(caller, id, params) {
    return toAssistant(assistants.update(caller, id, params));
  },
  async deleteAssistant(caller, id) {
    assistants.delete(caller, id);
    return { id, object: 'assistant.deleted', deleted: true };
  },
});

const createMessageMethods = (
  state: ServerState,
): Pick<ThreadMethods, Extract<keyof ThreadMethods, `${string}Message${string}`>> => {
  const { threadOf, quirks } = state;
  return {
    async createMessage(caller, threadId, params) {
      const thread = threadOf(caller, threadId);
      rejectWhileActive(thread, quirks);
      return toMessage(addMessage(state, thread, params), threadId);
    },
    async listMessages(caller, threadId, { runId, ...query }) {
      const { messages } = threadOf(caller, threadId);
      const wanted = runId === undefined ? messages : messages.filter((message) => message.runId === runId);
      return paged(wanted, query, (message) => toMessage(message, threadId));
    },
    async getMessage(caller, threadId, id) {
      return toMessage(messageOf(state, caller, threadId, id)[1], threadId);
    },
    async updateMessage(caller, threadId, id, params) {
      const [, message] = messageOf(state, caller, threadId, id);
      if (params.metadata !== undefined) message.metadata = params.metadata ?? {};
      return toMessage(message, threadId);
    },
    async deleteMessage(caller, threadId, id) {
      const [thread, message] = messageOf(state, caller, threadId, id);
      thread.messages = thread.messages.filter((item) => item !== message);
      return { id, object: 'thread.message.deleted', deleted: true };
    },
  };
};

export const createScriptedThreadMethods = (state: ServerState): ThreadMethods => {
  const { threads, runs, threadOf } = state;
  return {
    ...createAssistantMethods(state),
    ...createMessageMethods(state),
    async createThread(caller, params) {
      const thread = addThread(state, caller, params);
      threads.set(thread.id, thread);
      return toThread(thread);
    },
    async listThreads(caller, query) {
      const own = [...threads.values()].filter(({ tenant }) => tenant === caller.tenant);
      return paged(own, query, toThread);
    },
    async getThread(caller, id) {
      return toThread(threadOf(caller, id));
    },
    async updateThread(caller, id, params) {
      const thread = threadOf(caller, id);
      if (params.metadata !== undefined) thread.metadata = params.metadata ?? {};
      return toThread(thread);
    },
    async deleteThread(caller, id) {
      const thread = threadOf(caller, id);
      if (thread.active !== null) throw apiErrors.deleteWhileActive(thread.id, thread.active.id);
      threads.delete(id);
      for (const run of thread.runs) runs.delete(run.id);
      return { id, object: 'thread.deleted', deleted: true };
    },
  };
};
