/**
 * Leaves a model alone that has refused, until its cooldown is over: all workers of a store together.
 *
 * Rule: a turn that would ask it gets an error that costs nothing and names the time, so the next model of its route is asked, or
 * Temporal repeats the turn then; nothing waits here. What the store can't be told is lost, and said in the log: the refusal itself
 * says more.
 * Imported by `router.ts` and tests.
 */
import type { Logger } from '../../protocol/ports/backend.ts';
import { ModelError, type ModelCooldown } from '../../protocol/ports/model.ts';
import type { CooldownStore, StoredCooldown } from '../../protocol/ports/provider-limits.ts';
import { COOLDOWN_LIMITS, cooldownCause } from '../../protocol/rules/cooldown.ts';
import { quote } from '../../protocol/rules/validation.ts';

/** `code` of the error of a turn that was not asked. */
export const COOLING_DOWN = 'cooling_down';

interface Asked {
  provider: string;
  model: string;
}

const WORDS = { rate_limited: 'reached a limit', unavailable: 'was unavailable' } as const;

export class Cooldowns {
  readonly #store: CooldownStore;
  readonly #log: Logger | undefined;
  readonly #now: () => number;
  /** By provider: what the store said last. */
  readonly #seen = new Map<string, Map<string | null, ModelCooldown>>();

  constructor(store: CooldownStore, { log, now = Date.now }: { log?: Logger; now?: () => number } = {}) {
    this.#store = store;
    this.#log = log;
    this.#now = now;
  }

  /** Throws `ModelError` while the model is left alone, or the store's error. */
  async assertAskable({ provider, model }: Asked): Promise<void> {
    const found = await this.#store.readCooldowns(provider, model);
    this.#keep(provider, model, found);
    const longest = found.toSorted((a, b) => b.leftMs - a.leftMs)[0];
    if (longest === undefined || longest.leftMs <= 0) return;
    const who =
      longest.model === null
        ? `The provider ${quote(provider)}`
        : `The model ${quote(model)} of the provider ${quote(provider)}`;
    throw new ModelError(
      longest.reason,
      `${who} ${WORDS[longest.reason]}, and is not asked for another ${Math.ceil(longest.leftMs / 1_000)} s.`,
      { retryable: true, retryAfterMs: Math.ceil(longest.leftMs), cost: 'nothing', code: COOLING_DOWN },
    );
  }

  /** How a request ended. `error`: null = with an answer. True = a cooldown holds from now on. Never throws. */
  async ended({ provider, model }: Asked, error: ModelError | null): Promise<boolean> {
    const cause = error === null ? null : cooldownCause(error);
    try {
      if (cause !== null) {
        const scope = cause.wholeProvider ? null : model;
        const { reason, retryAfterMs } = cause;
        const made = await this.#store.coolDown({ provider, model: scope, reason, retryAfterMs });
        this.#set(provider, made);
        return true;
      }
      if (error === null && this.#knows(provider, model)) {
        await this.#store.endCooldowns(provider, model);
        const seen = this.#seen.get(provider);
        for (const key of [null, model]) if ((seen?.get(key)?.until ?? 0) <= this.#now()) seen?.delete(key);
      }
    } catch (failure) {
      this.#log?.warn(
        { provider, error: failure },
        'the cooldown of a provider was not written; others may ask it',
      );
    }
    return false;
  }

  /** Those that hold, as far as this process knows. */
  list(provider: string): ModelCooldown[] {
    return [...(this.#seen.get(provider)?.values() ?? [])].filter(({ until }) => until > this.#now());
  }

  /** Is there a row for an answer to end? */
  #knows(provider: string, model: string): boolean {
    const seen = this.#seen.get(provider);
    return seen !== undefined && (seen.has(null) || seen.has(model));
  }

  #keep(provider: string, model: string, found: readonly StoredCooldown[]): void {
    const seen = this.#seen.get(provider);
    seen?.delete(null);
    seen?.delete(model);
    for (const one of found) this.#set(provider, one);
  }

  #set(provider: string, { model, reason, leftMs, times }: StoredCooldown): void {
    const seen = this.#seen.get(provider) ?? new Map<string | null, ModelCooldown>();
    this.#seen.set(provider, seen);
    // What is over for long is in the store no more.
    for (const [key, { until }] of seen)
      if (until < this.#now() - COOLDOWN_LIMITS.forgottenMs) seen.delete(key);
    seen.set(model, { model, reason, until: this.#now() + leftMs, times });
  }
}
