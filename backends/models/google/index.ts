/**
 * Google Gemini behind the port for models, by `@ai-sdk/google`.
 *
 * Rule: thought signatures go back with the parts that had them. Calls of other models go to Gemini 3 with the mark that Google
 * documents for calls without a signature; the library sets it. Imported by `open-model.ts` and tests.
 */
import type { Model, ModelRequest } from '../../../protocol/ports/model.ts';
import { createSdkModel, libraryBase, type SdkModelOptions } from '../ai-sdk/adapter.ts';
import type { SdkDialect } from '../ai-sdk/dialect.ts';
import { assertLine, loadSdk } from '../ai-sdk/load-sdk.ts';
import type { SdkCallOptions, SdkJson } from '../ai-sdk/sdk-types.ts';
import { GoogleGate } from './event-gate.ts';

const PACKAGE = '@ai-sdk/google';
const RANGE = '3';

/** Gemini 2 counts tokens of thinking, later models know levels. */
const BUDGETS: Readonly<Record<string, number>> = {
  none: 0,
  minimal: 512,
  low: 1_024,
  medium: 8_192,
  high: 24_576,
};
const LEVELS: ReadonlySet<string> = new Set(['minimal', 'low', 'medium', 'high']);

const thinkingOf = ({ model, reasoningEffort }: ModelRequest): SdkJson | null => {
  if (reasoningEffort === null) return null;
  const budget = BUDGETS[reasoningEffort];
  if (/gemini-2/.test(model)) return budget === undefined ? null : { thinkingBudget: budget };
  return LEVELS.has(reasoningEffort) ? { thinkingLevel: reasoningEffort } : null;
};

const optionsOf = (common: SdkCallOptions, request: ModelRequest): SdkCallOptions => {
  const thinking = thinkingOf(request);
  return thinking === null
    ? common
    : { ...common, providerOptions: { google: { thinkingConfig: thinking } } };
};

export const createGoogleModel = async (options: SdkModelOptions): Promise<Model> => {
  const { createGoogleGenerativeAI } = await loadSdk(
    'google',
    PACKAGE,
    RANGE,
    () => import('@ai-sdk/google'),
  );
  const baseURL = libraryBase(options.baseUrl);
  const dialect: SdkDialect = {
    dialect: 'google-generate-content',
    route: '/models/{model}:streamGenerateContent',
    keyHeader: 'x-goog-api-key',
    metaKey: 'google',
    kept: new Set(['thoughtSignature']),
    ownIds: true,
    modelsPath: ['models'],
    model: (fetch, name) =>
      createGoogleGenerativeAI({ baseURL, apiKey: 'unused', fetch }).languageModel(name),
    gate: () => new GoogleGate(),
    options: optionsOf,
    refusesGivenBack: /thought|signature|function ?(call|response)/i,
  };
  assertLine(dialect.model(fetch, 'line'), PACKAGE, RANGE);
  return createSdkModel(dialect, options);
};
