/**
 * Opens the adapter of every provider of a configuration, with keys and other variables of the environment put in.
 *
 * Rule: a worker without a key that its file names does not start: a run would fail hours later. No value of a variable is in a
 * message.
 * Imported by the composition root and tests.
 */
import { MODEL_KINDS, openModel, type ModelProviderSettings } from '../../backends/models/open-model.ts';
import type { ModelProvider, ModelsConfig } from '../../protocol/models.ts';
import type { Model } from '../../protocol/ports/model.ts';
import { quote, RunsError } from '../../protocol/index.ts';
import type { ConfigEnv } from '../config.ts';
import { fillVariables } from '../placeholders.ts';

/** Names of variables that are missing are added to `missing`. */
export const providerSettings = (
  provider: ModelProvider,
  env: ConfigEnv,
  missing: Set<string>,
): ModelProviderSettings => {
  const filled = (text: string | null): string | null =>
    text === null ? null : fillVariables(text, env, missing);
  const key = provider.apiKeyEnv === null ? null : fillVariables(`\${${provider.apiKeyEnv}}`, env, missing);
  const { maxTokensField, rolesAlternate, stream } = provider;
  return {
    baseUrl: filled(provider.baseUrl),
    apiKey: key,
    provider: provider.name,
    headers: Object.fromEntries(
      [...provider.headers].map(([name, value]) => [name, fillVariables(value, env, missing)]),
    ),
    body: provider.body,
    proxy: filled(provider.proxy),
    query: provider.apiVersion === null ? null : { 'api-version': provider.apiVersion },
    compatible: {
      ...(maxTokensField === null ? {} : { maxTokensField }),
      ...(rolesAlternate === null ? {} : { rolesAlternate }),
      ...(stream === null ? {} : { stream }),
    },
  };
};

const open = async (provider: ModelProvider, env: ConfigEnv): Promise<Model> => {
  const refuse = (what: string, cause?: unknown): RunsError =>
    new RunsError('config', `The provider ${quote(provider.name)} of RUNS_MODELS can't be used: ${what}.`, {
      cause,
    });
  const missing = new Set<string>();
  const settings = providerSettings(provider, env, missing);
  if (missing.size > 0)
    throw refuse(`the environment variable ${[...missing].join(', ')} is not set. Set it for every worker`);
  const kind = MODEL_KINDS.find((one) => one === provider.kind);
  if (kind === undefined)
    throw refuse(`its kind ${quote(provider.kind)} does not exist. Use one of ${MODEL_KINDS.join(', ')}`);
  try {
    return await openModel(kind, settings);
  } catch (error) {
    throw refuse(error instanceof Error ? error.message.replace(/\.$/, '') : String(error), error);
  }
};

/** By the provider's name. Throws `RunsError('config')`. */
export const openProviders = async (
  { providers }: Pick<ModelsConfig, 'providers'>,
  env: ConfigEnv,
): Promise<Map<string, Model>> => {
  const opened = new Map<string, Model>();
  try {
    for (const provider of providers.values()) opened.set(provider.name, await open(provider, env));
  } catch (error) {
    await Promise.all([...opened.values()].map((model) => model.dispose()));
    throw error;
  }
  return opened;
};
