/**
 * The part of the store that the service uses for assistants, threads and messages: objects that exist without a run.
 *
 * Rule: as in `run-store.ts`. Imports protocol shapes only.
 */
import type { AssistantParams, MessageParams, PageQuery, ThreadParams } from './runs-service.ts';
import type { Assistant, Deleted, Message, Metadata, Page, Thread } from '../wire/objects.ts';

/** Objects that exist without a run. Every method is scoped to a tenant; another tenant's id is a 404. */
export interface ThreadStore {
  createAssistant(tenant: string, params: AssistantParams, now: number): Promise<Assistant>;
  listAssistants(tenant: string, query: PageQuery): Promise<Page<Assistant>>;
  getAssistant(tenant: string, id: string): Promise<Assistant>;
  updateAssistant(tenant: string, id: string, params: Partial<AssistantParams>): Promise<Assistant>;
  deleteAssistant(tenant: string, id: string): Promise<Deleted<'assistant.deleted'>>;

  /** The tenant of an object, regardless of the caller; null = no such object. */
  ownerOf(kind: 'thread' | 'assistant' | 'run', id: string): Promise<string | null>;

  createThread(tenant: string, params: ThreadParams, now: number): Promise<Thread>;
  listThreads(tenant: string, query: PageQuery): Promise<Page<Thread>>;
  getThread(tenant: string, id: string): Promise<Thread>;
  updateThread(tenant: string, id: string, params: { metadata?: Metadata | null }): Promise<Thread>;
  /** Refused while a run of the thread is live. */
  deleteThread(tenant: string, id: string): Promise<Deleted<'thread.deleted'>>;

  /** Refused while a run of the thread is live. */
  createMessage(tenant: string, threadId: string, params: MessageParams, now: number): Promise<Message>;
  listMessages(
    tenant: string,
    threadId: string,
    query: PageQuery & { runId?: string },
  ): Promise<Page<Message>>;
  getMessage(tenant: string, threadId: string, id: string): Promise<Message>;
  updateMessage(
    tenant: string,
    threadId: string,
    id: string,
    params: { metadata?: Metadata | null },
  ): Promise<Message>;
  deleteMessage(tenant: string, threadId: string, id: string): Promise<Deleted<'thread.message.deleted'>>;
}
