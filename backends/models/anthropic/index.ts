/**
 * Anthropic's messages behind the port for models, by `@ai-sdk/anthropic`.
 *
 * Rule: thinking blocks go back with their signatures, redacted ones with their data, in their order. A schema for the answer is
 * sent as such to models that have it, and is a tool that the model must call for all others; the library knows which.
 * Imported by `open-model.ts` and tests.
 */
import type { Model, ModelRequest } from '../../../protocol/ports/model.ts';
import { createSdkModel, libraryBase, type SdkModelOptions } from '../ai-sdk/adapter.ts';
import type { SdkDialect } from '../ai-sdk/dialect.ts';
import { assertLine, loadSdk } from '../ai-sdk/load-sdk.ts';
import type { SdkCallOptions } from '../ai-sdk/sdk-types.ts';
import { AnthropicGate } from './event-gate.ts';
import { claudeThinking } from './thinking.ts';

const PACKAGE = '@ai-sdk/anthropic';
const RANGE = '3';

const optionsOf = (common: SdkCallOptions, request: ModelRequest): SdkCallOptions => {
  const { toolChoice, ...rest } = common;
  const thinking = claudeThinking(request);
  const wantsObject = common.responseFormat !== undefined && common.responseFormat.schema === undefined;
  return {
    ...rest,
    // `none` is set in the body: the library would leave out the tools, which earlier calls need.
    ...(toolChoice === undefined || toolChoice.type === 'none' ? {} : { toolChoice }),
    ...(wantsObject ? { responseFormat: { type: 'json', schema: { type: 'object' } } } : {}),
    ...(thinking?.maxOutputTokens == null ? {} : { maxOutputTokens: thinking.maxOutputTokens }),
    providerOptions: {
      anthropic: {
        ...(request.parallelToolCalls || request.tools.length === 0 ? {} : { disableParallelToolUse: true }),
        ...(wantsObject ? { structuredOutputMode: 'jsonTool' } : {}),
        ...(thinking === null ? {} : { thinking: { type: 'enabled', budgetTokens: thinking.budgetTokens } }),
      },
    },
  };
};

export const createAnthropicModel = async (options: SdkModelOptions): Promise<Model> => {
  const { createAnthropic } = await loadSdk('anthropic', PACKAGE, RANGE, () => import('@ai-sdk/anthropic'));
  const baseURL = libraryBase(options.baseUrl);
  const dialect: SdkDialect = {
    dialect: 'anthropic-messages',
    route: '/messages',
    keyHeader: 'x-api-key',
    headers: { 'anthropic-version': '2023-06-01' },
    metaKey: 'anthropic',
    kept: new Set(['signature', 'redactedData']),
    ownIds: true,
    modelsPath: ['models'],
    model: (fetch, name) => createAnthropic({ baseURL, apiKey: 'unused', fetch }).languageModel(name),
    gate: () => new AnthropicGate(),
    options: optionsOf,
    body: (body, { toolChoice }) =>
      toolChoice === 'none' && Array.isArray(body['tools'])
        ? { ...body, tool_choice: { type: 'none' } }
        : body,
    refusesGivenBack: /thinking|signature|redacted|tool_use|tool_result/i,
  };
  assertLine(dialect.model(fetch, 'line'), PACKAGE, RANGE);
  return createSdkModel(dialect, options);
};
