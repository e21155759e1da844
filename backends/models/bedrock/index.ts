/**
 * Amazon Bedrock's Converse behind the port for models, by `@ai-sdk/amazon-bedrock`.
 *
 * Rule: with a key it is a bearer token; without one the library signs each request by the AWS variables of the environment, and
 * what is signed is not changed. Fields that are added to the body are the model's own (`additionalModelRequestFields`).
 * Imported by `open-model.ts` and tests.
 */
import type { Model, ModelRequest } from '../../../protocol/ports/model.ts';
import { createSdkModel, libraryBase, type SdkModelOptions } from '../ai-sdk/adapter.ts';
import type { SdkDialect } from '../ai-sdk/dialect.ts';
import { assertLine, loadSdk } from '../ai-sdk/load-sdk.ts';
import type { SdkCallOptions, SdkOptions } from '../ai-sdk/sdk-types.ts';
import { claudeThinking } from '../anthropic/thinking.ts';
import { BedrockGate } from './event-gate.ts';

const PACKAGE = '@ai-sdk/amazon-bedrock';
const RANGE = '4';

/** `bedrock-runtime.eu-west-1.amazonaws.com` names its region; null = the environment names it. */
export const regionOf = (baseUrl: string): string | null =>
  /^bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com/.exec(new URL(baseUrl).hostname)?.[1] ?? null;

const optionsOf = (
  common: SdkCallOptions,
  request: ModelRequest,
  extra: SdkModelOptions['body'],
): SdkCallOptions => {
  const thinking = request.model.includes('anthropic') ? claudeThinking(request) : null;
  const wantsObject = common.responseFormat !== undefined && common.responseFormat.schema === undefined;
  return {
    ...common,
    ...(wantsObject ? { responseFormat: { type: 'json', schema: { type: 'object' } } } : {}),
    ...(thinking?.maxOutputTokens == null ? {} : { maxOutputTokens: thinking.maxOutputTokens }),
    providerOptions: {
      bedrock: {
        ...(thinking === null
          ? {}
          : { reasoningConfig: { type: 'enabled', budgetTokens: thinking.budgetTokens } }),
        ...(extra === undefined ? {} : { additionalModelRequestFields: extra as SdkOptions[string] }),
      },
    },
  };
};

export const createBedrockModel = async ({ body, ...options }: SdkModelOptions): Promise<Model> => {
  const { createAmazonBedrock } = await loadSdk(
    'bedrock',
    PACKAGE,
    RANGE,
    () => import('@ai-sdk/amazon-bedrock'),
  );
  const baseURL = libraryBase(options.baseUrl);
  const region = regionOf(options.baseUrl);
  const signed = options.apiKey === undefined;
  const dialect: SdkDialect = {
    dialect: 'bedrock-converse',
    route: '/model/{model}/converse-stream',
    keyHeader: 'authorization',
    metaKey: 'bedrock',
    kept: new Set(['signature', 'redactedData', 'redactedContent']),
    ownIds: true,
    signed,
    modelsPath: null,
    frames: 'aws',
    model: (fetch, name) =>
      createAmazonBedrock({
        baseURL,
        fetch,
        ...(region === null ? {} : { region }),
        ...(signed ? {} : { apiKey: 'unused' }),
      }).languageModel(name),
    gate: () => new BedrockGate(),
    options: (common, request) => optionsOf(common, request, body),
    refusesGivenBack: /thinking|reasoning|signature|redacted|toolUse|toolResult/i,
  };
  assertLine(dialect.model(fetch, 'line'), PACKAGE, RANGE);
  return createSdkModel(dialect, options);
};
