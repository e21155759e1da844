/**
 * Finds the model that a name stands for, and who answers in its place.
 *
 * Rule: a name is an entry's name, an alias, or `provider/model` cut at the first slash where the part before it is a
 * configured provider; names of services hold slashes themselves. `provider/model` of an entry is that entry, and `default` is
 * the configured default. What is left is unknown. Fallbacks are those of the model that was asked for, never those of a fallback. Pure.
 * Imported by API, service, worker and tests.
 */
import type {
  ConfiguredModel,
  ModelProvider,
  ModelResolution,
  ModelsConfig,
  ResolvedModel,
} from '../models.ts';
import type { ModelCapabilities } from '../ports/model.ts';

/** Of models without an entry: each is tried. */
export const UNKNOWN_CAPABILITIES: ModelCapabilities = { images: null, jsonSchema: null, tools: null };

export const modelId = (provider: string, model: string): string =>
  provider === '' ? model : `${provider}/${model}`;

/** A provider and the rest of the name, where the name begins with one. */
export const splitModelName = (
  { providers }: Pick<ModelsConfig, 'providers'>,
  name: string,
): { provider: ModelProvider; model: string } | null => {
  const slash = name.indexOf('/');
  const provider = slash < 1 ? undefined : providers.get(name.slice(0, slash));
  const model = name.slice(slash + 1);
  return provider === undefined || model === '' ? null : { provider, model };
};

/** The entry of a name or an alias. */
const entryOf = ({ models }: ModelsConfig, name: string): ConfiguredModel | undefined =>
  models.get(name) ?? [...models.values()].find(({ aliases }) => aliases.includes(name));

/** The name that stands for the configured default. */
const DEFAULT = 'default';

const resolved = (config: ModelsConfig, entry: ConfiguredModel): ResolvedModel => ({
  name: entry.name,
  id: modelId(entry.provider, entry.model),
  provider: entry.provider,
  model: entry.model,
  contextTokens: entry.contextTokens ?? config.providers.get(entry.provider)?.contextTokens ?? null,
  price: entry.price,
  capabilities: entry.capabilities,
  dropProviderData: entry.dropProviderData,
});

const withoutEntry = (provider: ModelProvider, model: string): ResolvedModel => {
  const id = modelId(provider.name, model);
  return {
    name: id,
    id,
    provider: provider.name,
    model,
    contextTokens: provider.contextTokens,
    price: null,
    capabilities: UNKNOWN_CAPABILITIES,
    dropProviderData: true,
  };
};

interface Found {
  model: ResolvedModel;
  fallbacks: readonly string[];
}

/** Without regard to tenants. null = the name is unknown. */
const find = (config: ModelsConfig, asked: string): Found | null => {
  const name = asked === DEFAULT ? (config.default ?? asked) : asked;
  const only = config.onlyProvider === null ? undefined : config.providers.get(config.onlyProvider);
  if (only !== undefined) return { model: withoutEntry(only, name), fallbacks: [] };
  const split = splitModelName(config, name);
  const entry =
    entryOf(config, name) ??
    (split === null
      ? undefined
      : [...config.models.values()].find(
          ({ provider, model }) => provider === split.provider.name && model === split.model,
        ));
  if (entry !== undefined) return { model: resolved(config, entry), fallbacks: entry.fallbacks };
  return split !== null && split.provider.unlistedModels
    ? { model: withoutEntry(split.provider, split.model), fallbacks: [] }
    : null;
};

/** Does an item of a tenant's list name this model? */
const names = (config: ModelsConfig, item: string, model: ResolvedModel): boolean =>
  item === model.name ||
  item === model.id ||
  item === `${model.provider}/*` ||
  entryOf(config, item)?.name === model.name;

const mayUse = (config: ModelsConfig, tenant: string, model: ResolvedModel): boolean => {
  const list = config.tenants.get(tenant) ?? config.tenants.get('*');
  return list === undefined || list.some((item) => names(config, item, model));
};

/** The model that a run of this tenant asks for by `name`, and its fallbacks. */
export const resolveModel = (config: ModelsConfig, name: string, tenant: string): ModelResolution => {
  const asked = config.replacement ?? name;
  const found = find(config, asked);
  if (found === null) return { kind: 'unknown', name: asked };
  if (!mayUse(config, tenant, found.model)) return { kind: 'forbidden', name: asked };
  const fallbacks: ResolvedModel[] = [];
  for (const fallback of found.fallbacks) {
    const model = find(config, fallback)?.model;
    if (model === undefined || !mayUse(config, tenant, model)) continue;
    if (![found.model, ...fallbacks].some(({ id }) => id === model.id)) fallbacks.push(model);
  }
  return { kind: 'resolved', model: found.model, fallbacks };
};

/** The entries that a tenant may ask for, in the order of the file. */
export const listModels = (config: ModelsConfig, tenant: string): ConfiguredModel[] =>
  [...config.models.values()].filter((entry) => mayUse(config, tenant, resolved(config, entry)));

/** Does a model of this name exist, for any key? */
export const isModelKnown = (config: ModelsConfig, name: string): boolean => find(config, name) !== null;
