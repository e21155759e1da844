/**
 * The parts of the store by which workers share a provider's limits, and who is left alone after a refusal.
 *
 * Rule: leave is given or refused at once, by the database's clock, in one transaction for each provider; who is refused asks
 * again. A slot that is not renewed ends by itself, so a worker that died gives back what it held.
 * Imports shapes of models only. `store/` implements it; `backends/models/` and tests import it.
 */
import type { ProviderLimits } from '../models.ts';
import type { CooldownReason } from '../rules/cooldown.ts';

export interface SlotRequest {
  /** Id of the slot, unique among all workers. */
  slot: string;
  provider: string;
  limits: ProviderLimits;
  /** Tokens that the request will take at least; charged at once. */
  tokens: number;
  /** The slot ends by itself after this time, in milliseconds. */
  slotMs: number;
}

/** `waitMs`: before this time, asking again is useless, unless another request ends. */
export type SlotAnswer = { granted: true } | { granted: false; waitMs: number };

export interface ProviderLimitStore {
  takeSlot(request: SlotRequest): Promise<SlotAnswer>;
  /** Prolongs slots that are still there. */
  renewSlots(slots: readonly string[], slotMs: number): Promise<void>;
  /** Gives a slot back. `tokens`: what the request took beyond the estimate, negative = less. */
  returnSlot(slot: string, provider: string, limits: ProviderLimits, tokens: number): Promise<void>;
}

/** `model`: null = the whole provider. `leftMs`: 0 or less = it is over, and its count still stands. */
export interface StoredCooldown {
  model: string | null;
  reason: CooldownReason;
  leftMs: number;
  times: number;
}

/** The part of the store by which workers share who is left alone for a while. */
export interface CooldownStore {
  /** Those of the provider and of the model, over or not. */
  readCooldowns(provider: string, model: string): Promise<StoredCooldown[]>;
  /** `retryAfterMs`: null = the server names no time. */
  coolDown(refusal: {
    provider: string;
    model: string | null;
    reason: CooldownReason;
    retryAfterMs: number | null;
  }): Promise<StoredCooldown>;
  /** The model has answered: those that are over are forgotten. */
  endCooldowns(provider: string, model: string): Promise<void>;
}
