/** The chat backend before a chat-completions server, as a worker composes them. Tests only. */
import { createChatBackend, type ChatBackendOptions } from '../../backends/chat/index.ts';
import {
  createOpenAiCompatible,
  type OpenAiCompatibleOptions,
} from '../../backends/models/openai-compatible/index.ts';
import { createModelRouter } from '../../backends/models/router.ts';
import type { Store } from '../../protocol/ports/run-store.ts';
import { oneServer } from '../../worker/models/one-server.ts';
import { NO_MODEL_SETTINGS } from '../../worker/model-settings.ts';

export type ChatOnServerOptions = Omit<ChatBackendOptions, 'models' | 'store'> &
  OpenAiCompatibleOptions & { store: Store; modelName?: string; contextTokens?: number };

export const chatOnServer = (options: ChatOnServerOptions): ReturnType<typeof createChatBackend> => {
  const { store, modelName, contextTokens, contextItems, modelAttempts, flushMs, ...rest } = options;
  const { priceOf, budgetOf, ...server } = rest;
  const modelSettings = { ...NO_MODEL_SETTINGS, contextTokens: contextTokens ?? null };
  return createChatBackend({
    store,
    models: createModelRouter({
      config: oneServer({ model: modelName ?? null, modelSettings, budgets: new Map() }),
      adapters: new Map([['', createOpenAiCompatible(server)]]),
      limitStore: store,
    }),
    ...(contextItems === undefined ? {} : { contextItems }),
    ...(modelAttempts === undefined ? {} : { modelAttempts }),
    ...(flushMs === undefined ? {} : { flushMs }),
    ...(priceOf === undefined ? {} : { priceOf }),
    ...(budgetOf === undefined ? {} : { budgetOf }),
  });
};
