/**
 * Providers and models as a server is configured with them: shapes only, as the file of RUNS_MODELS or the three variables
 * of one model server say.
 *
 * Rule: no key and no value of the environment is in these shapes, so that an API process needs none. Maps, not records:
 * names come from people and may be `__proto__`. `rules/resolve-model.ts` reads them.
 * Imports the shapes of prices, budgets and capabilities. Any room may import it.
 */
import type { ModelCapabilities } from './ports/model.ts';
import type { TenantBudgets } from './rules/budget.ts';
import type { TokenPrice } from './rules/cost.ts';

/** What all workers together may ask of a provider; null = no limit. */
export interface ProviderLimits {
  requestsPerMinute: number | null;
  /** Prompt and answer together. */
  tokensPerMinute: number | null;
  /** Answers under way at a time. */
  concurrency: number | null;
}

export interface ModelProvider {
  name: string;
  /** The wire that it speaks: one of the adapters' kinds. */
  kind: string;
  /** Version path included; null = the service's own. `${NAME}` stands for a variable, as in headers and proxy. */
  baseUrl: string | null;
  /** The environment variable that holds the key; null = no key is sent. */
  apiKeyEnv: string | null;
  apiVersion: string | null;
  /** By lower-case name. */
  headers: ReadonlyMap<string, string>;
  /** Fields of every request. */
  body: Readonly<Record<string, unknown>>;
  /** null = learned. */
  maxTokensField: 'max_completion_tokens' | 'max_tokens' | null;
  /** null = learned. */
  rolesAlternate: boolean | null;
  /** null = learned. */
  stream: 'always' | 'without_tools' | 'never' | null;
  limits: ProviderLimits;
  /** URL of an HTTP proxy; null = none. */
  proxy: string | null;
  /** `provider/model` may name models that no entry has. */
  unlistedModels: boolean;
  /** The window of models that name none, in tokens. */
  contextTokens: number | null;
}

/** A provider of which only the name and the kind are known: nothing is limited, and the rest is learned. */
export const plainProvider = (name: string, kind: string): ModelProvider => ({
  name,
  kind,
  baseUrl: null,
  apiKeyEnv: null,
  apiVersion: null,
  headers: new Map(),
  body: {},
  maxTokensField: null,
  rolesAlternate: null,
  stream: null,
  limits: { requestsPerMinute: null, tokensPerMinute: null, concurrency: null },
  proxy: null,
  unlistedModels: true,
  contextTokens: null,
});

export interface ConfiguredModel {
  /** As assistants ask for it. */
  name: string;
  provider: string;
  /** As the provider calls it. */
  model: string;
  aliases: readonly string[];
  /** null = as the provider's; if that is null, too, the provider says when its window is exceeded. */
  contextTokens: number | null;
  /** null = not known. */
  price: TokenPrice | null;
  capabilities: ModelCapabilities;
  /** Names of the models that answer in its place, in order. */
  fallbacks: readonly string[];
  /**
   * What the provider wants back with its tool calls may be dropped, so that a fallback goes on with plain text and calls.
   * false = a run in which this model has called tools stays with it.
   */
  dropProviderData: boolean;
}

export interface ModelsConfig {
  providers: ReadonlyMap<string, ModelProvider>;
  models: ReadonlyMap<string, ConfiguredModel>;
  /** The model that the name `default` stands for; null = none. */
  default: string | null;
  /**
   * Models by tenant: names, aliases, `provider/model` or `provider/*`. `*` is every tenant that is not listed; without it,
   * such a tenant may ask for all.
   */
  tenants: ReadonlyMap<string, readonly string[]>;
  /** What the runs of each tenant may use: of the file, else of RUNS_BUDGETS. */
  budgets: TenantBudgets;
  /** Asked for in the place of every run's model; null = the run's. */
  replacement: string | null;
  /** The one provider of a server without a file: it gets every name as it is. null = names are looked up. */
  onlyProvider: string | null;
}

/** A model that a run may ask now. */
export interface ResolvedModel {
  /** Name of the entry, or `provider/model` where there is none. */
  name: string;
  /** `provider/model`; of an only provider, the model alone. */
  id: string;
  provider: string;
  /** As the provider calls it. */
  model: string;
  contextTokens: number | null;
  price: TokenPrice | null;
  capabilities: ModelCapabilities;
  dropProviderData: boolean;
}

export type ModelResolution =
  | {
      kind: 'resolved';
      model: ResolvedModel;
      /** In order, without the model itself and without models that the tenant may not use. */
      fallbacks: readonly ResolvedModel[];
    }
  | { kind: 'unknown' | 'forbidden'; name: string };
