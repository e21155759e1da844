/**
 * The port for routes of models, over a configuration and one adapter for each provider.
 *
 * Rule: the configuration decides who may answer; limits are those of the provider, shared through the store. A provider without
 * limits costs no question to the store.
 * Imported by the composition root and by tests.
 */
import type { ModelProvider, ModelsConfig } from '../../protocol/models.ts';
import type { Logger } from '../../protocol/ports/backend.ts';
import { ModelError, type Model } from '../../protocol/ports/model.ts';
import type { Admission, ModelCandidate, ModelRouter } from '../../protocol/ports/model-router.ts';
import type { ProviderLimitStore } from '../../protocol/ports/provider-limits.ts';
import { resolveModel } from '../../protocol/rules/resolve-model.ts';
import { quote } from '../../protocol/rules/validation.ts';
import { ProviderGate } from './provider-gate.ts';

export interface ModelRouterOptions {
  config: ModelsConfig;
  /** By the provider's name; disposed of with the router. */
  adapters: ReadonlyMap<string, Model>;
  limitStore: ProviderLimitStore;
  /** See `ProviderGateOptions`. */
  slotMs?: number;
  log?: Logger;
}

const FREE: Admission = { waitedMs: 0, release: () => undefined };

const isLimited = ({ limits }: ModelProvider): boolean =>
  Object.values(limits).some((limit) => limit !== null);

export const createModelRouter = (options: ModelRouterOptions): ModelRouter => {
  const { config, adapters, limitStore, slotMs, log } = options;
  const gates = new Map(
    [...config.providers.values()].filter(isLimited).map((provider) => [
      provider.name,
      new ProviderGate({
        provider,
        store: limitStore,
        ...(slotMs === undefined ? {} : { slotMs }),
        ...(log === undefined ? {} : { log }),
      }),
    ]),
  );
  return {
    route(name, tenant) {
      const found = resolveModel(config, name, tenant);
      if (found.kind !== 'resolved')
        throw new ModelError(
          'rejected',
          found.kind === 'unknown'
            ? `The model ${quote(found.name)} is not configured in this worker.`
            : `The tenant ${quote(tenant)} may not use the model ${quote(found.name)}.`,
          { code: 'model_not_found' },
        );
      return [found.model, ...found.fallbacks].flatMap((model): ModelCandidate[] => {
        const adapter = adapters.get(model.provider);
        return adapter === undefined ? [] : [{ ...model, adapter }];
      });
    },
    admit: async ({ provider }, { tokens, signal }) =>
      (await gates.get(provider)?.enter(tokens, signal)) ?? FREE,
    learned: () =>
      [...adapters.values()].map((model) => ({ server: model.provider, capabilities: model.learned() })),
    probe: (signal) => probeAll(adapters, signal),
    async dispose() {
      await Promise.all([...gates.values()].map((gate) => gate.dispose()));
      await Promise.all([...adapters.values()].map((model) => model.dispose()));
    },
  };
};

const probeAll = async (
  adapters: ReadonlyMap<string, Model>,
  signal: AbortSignal,
): Promise<{ detail: string }> => {
  const found = await Promise.all(
    [...adapters].map(async ([name, model]) => {
      const { detail } = await model.probe(signal).catch((error: unknown) => {
        throw name === '' ? error : ofProvider(name, error);
      });
      return name === '' ? detail : `${name}: ${detail}`;
    }),
  );
  return { detail: found.join('; ') };
};

/** The same failure with the provider's name in front. */
const ofProvider = (name: string, error: unknown): unknown =>
  error instanceof ModelError
    ? new ModelError(error.kind, `Provider ${quote(name)}: ${error.message}`, {
        status: error.status,
        code: error.code,
        retryable: error.retryable,
        cause: error,
      })
    : error;
