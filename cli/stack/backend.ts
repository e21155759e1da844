/**
 * The backend of the stack: a runs API elsewhere (`assistants`), or a chat model with our own store, engine and API.
 * Imported by the stack.
 */
import type { ActivityDeps } from '../../activities/index.ts';
import type { TemporalTarget } from '../../client/index.ts';
import { makeAssistants } from '../../worker/backends.ts';
import type { RunningWorker } from '../../worker/compose.ts';
import type { StackOptions } from './stack.ts';

export interface StackBackend {
  backends: ActivityDeps['backends'];
  startLinkedRun?: ActivityDeps['startLinkedRun'];
  /** Serves the API, where there is one; its base URL. Called when the worker takes work. */
  serve(worker: RunningWorker): Promise<string | null>;
  close(): Promise<void>;
}

export interface BackendWish extends StackOptions {
  target: TemporalTarget;
}

export const openBackend = async (wish: BackendWish): Promise<StackBackend> => {
  if (wish.config.backend === 'assistants') {
    const made = await makeAssistants(wish.config);
    return {
      backends: { assistants: made.backend },
      serve: async () => null,
      close: () => made.dispose(),
    };
  }
  throw new Error('native');
};
