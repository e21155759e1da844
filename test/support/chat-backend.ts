/** The chat backend before a chat-completions server, as a worker composes them. Tests only. */
import { createChatBackend, type ChatBackendOptions } from '../../backends/chat/index.ts';
import {
  createOpenAiCompatible,
  type OpenAiCompatibleOptions,
} from '../../backends/models/openai-compatible/index.ts';

export type ChatOnServerOptions = Omit<ChatBackendOptions, 'model'> & OpenAiCompatibleOptions;

export const chatOnServer = (options: ChatOnServerOptions): ReturnType<typeof createChatBackend> => {
  const { store, modelName, contextTokens, contextItems, modelAttempts, flushMs, ...rest } = options;
  const { priceOf, budgetOf, ...server } = rest;
  return createChatBackend({
    store,
    model: createOpenAiCompatible(server),
    ...(modelName === undefined ? {} : { modelName }),
    ...(contextTokens === undefined ? {} : { contextTokens }),
    ...(contextItems === undefined ? {} : { contextItems }),
    ...(modelAttempts === undefined ? {} : { modelAttempts }),
    ...(flushMs === undefined ? {} : { flushMs }),
    ...(priceOf === undefined ? {} : { priceOf }),
    ...(budgetOf === undefined ? {} : { budgetOf }),
  });
};
