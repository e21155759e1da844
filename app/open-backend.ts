/**
 * The backend of the stack: an upstream runs API (`assistants`), or a chat model with store, service and API.
 * Imported by the stack.
 */
import { makeAssistants } from '../worker/backends.ts';
import type { BackendOptions, StackBackend } from './types.ts';

export const openBackend = async (wish: BackendOptions): Promise<StackBackend> => {
  if (wish.config.backend !== 'assistants') {
    // Store, service and API are loaded only where they are used.
    const { openNative } = await import('./open-store.ts');
    return await openNative(wish);
  }
  const made = await makeAssistants(wish.config);
  return { backends: { assistants: made.backend }, serve: async () => null, close: () => made.dispose() };
};
