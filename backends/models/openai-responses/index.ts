/**
 * OpenAI's Responses behind the port for models, by `@ai-sdk/openai`.
 *
 * Rule: stateless: nothing is stored at the provider, and the reasoning of a turn goes back encrypted, with the ids of its items.
 * Tools and schemas are strict only where the run says so, as they are in chat completions.
 * Imported by `open-model.ts` and tests.
 */
import type { Model, ModelRequest } from '../../../protocol/ports/model.ts';
import { createSdkModel, libraryBase, type SdkModelOptions } from '../ai-sdk/adapter.ts';
import { strictSchema } from '../ai-sdk/call-options.ts';
import type { SdkDialect } from '../ai-sdk/dialect.ts';
import { assertLine, loadSdk } from '../ai-sdk/load-sdk.ts';
import type { SdkCallOptions } from '../ai-sdk/sdk-types.ts';
import { ResponsesGate } from './event-gate.ts';

const PACKAGE = '@ai-sdk/openai';
const RANGE = '3';

const optionsOf = (common: SdkCallOptions, request: ModelRequest): SdkCallOptions => ({
  ...common,
  ...(common.tools === undefined
    ? {}
    : { tools: common.tools.map((tool) => ({ ...tool, strict: tool.strict ?? false })) }),
  providerOptions: {
    openai: {
      store: false,
      strictJsonSchema: strictSchema(request),
      ...(request.parallelToolCalls || request.tools.length === 0 ? {} : { parallelToolCalls: false }),
      // Only a model that reasons takes an effort, whatever it is called.
      ...(request.reasoningEffort === null
        ? {}
        : { reasoningEffort: request.reasoningEffort, forceReasoning: true }),
    },
  },
});

export const createOpenAiResponsesModel = async (options: SdkModelOptions): Promise<Model> => {
  const { createOpenAI } = await loadSdk('openai-responses', PACKAGE, RANGE, () => import('@ai-sdk/openai'));
  const baseURL = libraryBase(options.baseUrl);
  const dialect: SdkDialect = {
    dialect: 'openai-responses',
    route: '/responses',
    keyHeader: 'authorization',
    metaKey: 'openai',
    kept: new Set(['itemId', 'reasoningEncryptedContent', 'phase']),
    ownIds: true,
    modelsPath: ['models'],
    model: (fetch, name) => createOpenAI({ baseURL, apiKey: 'unused', fetch }).responses(name),
    gate: () => new ResponsesGate(),
    options: optionsOf,
    refusesGivenBack: /reasoning|encrypted|item|\b(rs|fc|msg)_/i,
  };
  assertLine(dialect.model(fetch, 'line'), PACKAGE, RANGE);
  return createSdkModel(dialect, options);
};
