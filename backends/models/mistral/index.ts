/**
 * Mistral's chat completions behind the port for models, by `@ai-sdk/mistral`.
 *
 * Rule: ids of calls are Mistral's own, or nine alphanumerics, as it wants them; thinking goes back to the model that thought it.
 * Imported by `open-model.ts` and tests.
 */
import type { Model, ModelRequest } from '../../../protocol/ports/model.ts';
import { createSdkModel, libraryBase, type SdkModelOptions } from '../ai-sdk/adapter.ts';
import { strictSchema } from '../ai-sdk/call-options.ts';
import type { SdkDialect } from '../ai-sdk/dialect.ts';
import { assertLine, loadSdk } from '../ai-sdk/load-sdk.ts';
import type { SdkCallOptions } from '../ai-sdk/sdk-types.ts';
import { MistralGate } from './event-gate.ts';

const PACKAGE = '@ai-sdk/mistral';
const RANGE = '3';

const EFFORTS_OFF: ReadonlySet<string> = new Set(['none', 'minimal']);

const optionsOf = (common: SdkCallOptions, request: ModelRequest): SdkCallOptions => {
  const { reasoningEffort: effort, parallelToolCalls, tools } = request;
  return {
    ...common,
    providerOptions: {
      mistral: {
        strictJsonSchema: strictSchema(request),
        ...(parallelToolCalls || tools.length === 0 ? {} : { parallelToolCalls: false }),
        // The provider knows thinking and no thinking.
        ...(effort === null ? {} : { reasoningEffort: EFFORTS_OFF.has(effort) ? 'none' : 'high' }),
      },
    },
  };
};

export const createMistralModel = async (options: SdkModelOptions): Promise<Model> => {
  const { createMistral } = await loadSdk('mistral', PACKAGE, RANGE, () => import('@ai-sdk/mistral'));
  const baseURL = libraryBase(options.baseUrl);
  const dialect: SdkDialect = {
    dialect: 'mistral-chat',
    route: '/chat/completions',
    keyHeader: 'authorization',
    metaKey: 'mistral',
    kept: new Set(),
    keepsReasoning: true,
    ownIds: true,
    modelsPath: ['models'],
    model: (fetch, name) => createMistral({ baseURL, apiKey: 'unused', fetch }).languageModel(name),
    gate: () => new MistralGate(),
    options: optionsOf,
    refusesGivenBack: /thinking|tool[ _]?call|id\b/i,
  };
  assertLine(dialect.model(fetch, 'line'), PACKAGE, RANGE);
  return createSdkModel(dialect, options);
};
