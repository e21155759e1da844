/**
 * The backend of the stack: a runs API elsewhere (`assistants`), or a chat model with our own store, engine and API.
 * Imported by the stack.
 */
import type { ActivityDeps } from '../../activities/index.ts';
import type { ConnectOptions } from '../../client/index.ts';
import { makeAssistants } from '../../worker/backends.ts';
import type { WorkerParts } from '../../worker/compose.ts';
import type { StackOptions } from './stack.ts';

export interface ServedHere {
  /** Ends in `/v1`. */
  url: string;
  /** An assistant to try things with; null where none was made. */
  assistantId: string | null;
}

export interface StackBackend {
  backends: ActivityDeps['backends'];
  startLinkedRun?: NonNullable<WorkerParts['startLinkedRun']>;
  /** Serves the API, where there is one. To be called when the worker takes work. */
  serve(): Promise<ServedHere | null>;
  close(): Promise<void>;
}

export interface BackendWish extends StackOptions {
  /** How a client finds the stack's Temporal. */
  connect: ConnectOptions;
}

export const openBackend = async (wish: BackendWish): Promise<StackBackend> => {
  if (wish.config.backend !== 'assistants') {
    // Store, engine and API are loaded only where they are used.
    const { openNative } = await import('./native.ts');
    return await openNative(wish);
  }
  const made = await makeAssistants(wish.config);
  return { backends: { assistants: made.backend }, serve: async () => null, close: () => made.dispose() };
};
