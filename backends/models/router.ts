/**
 * The port for routes of models, over a configuration and one adapter for each provider.
 *
 * Rule: the configuration decides who may answer; limits are those of the provider, shared through the store. A provider without
 * limits costs no question to the store, but one for its cooldowns; an only provider costs none.
 * Imported by the composition root and by tests.
 */
import type { ModelProvider, ModelsConfig } from '../../protocol/models.ts';
import type { Logger } from '../../protocol/ports/backend.ts';
import { ModelError, type Model } from '../../protocol/ports/model.ts';
import type { Admission, ModelCandidate, ModelRouter } from '../../protocol/ports/model-router.ts';
import type { CooldownStore, ProviderLimitStore } from '../../protocol/ports/provider-limits.ts';
import { resolveModel } from '../../protocol/rules/resolve-model.ts';
import { quote } from '../../protocol/rules/validation.ts';
import { Cooldowns } from './cooldowns.ts';
import { ProviderGate } from './provider-gate.ts';

export interface ModelRouterOptions {
  config: ModelsConfig;
  /** By the provider's name; disposed of with the router. */
  adapters: ReadonlyMap<string, Model>;
  limitStore: ProviderLimitStore & CooldownStore;
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
  // No other server can take the place of the only one; Temporal's backoff is the wait of its turns.
  const cooldowns =
    config.onlyProvider === null ? new Cooldowns(limitStore, log === undefined ? {} : { log }) : null;
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
    async admit(candidate, { tokens, signal }) {
      await cooldowns?.assertAskable(candidate);
      const admission = (await gates.get(candidate.provider)?.enter(tokens, signal)) ?? FREE;
      if (admission.waitedMs === 0) return admission;
      try {
        // Another turn may have been refused while this one waited.
        await cooldowns?.assertAskable(candidate);
      } catch (error) {
        admission.release(0);
        throw error;
      }
      return admission;
    },
    ended: async (candidate, error) => (await cooldowns?.ended(candidate, error)) ?? false,
    learned: () =>
      [...adapters].map(([name, model]) => {
        const cooling = cooldowns?.list(name) ?? [];
        return {
          server: model.provider,
          capabilities: model.learned(),
          ...(cooling.length === 0 ? {} : { cooldowns: cooling }),
        };
      }),
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
