/**
 * What a process has learned of a provider by its refusals: data of turns that it does not take back, and models that take no calls
 * of others.
 *
 * Rule: data that was refused is not sent again, and data of other turns is: a signature that is wrong in one thread takes nothing
 * from the others. It is known by its digest. Findings expire as those of `capabilities.ts` do, and their number is bounded.
 * Imported by the adapter and tests.
 */
import { createHash } from 'node:crypto';
import type { LearnedCapability, ModelMessage, ProviderTurn } from '../../../protocol/ports/model.ts';
import {
  createCapabilityMemory,
  type Adjustment,
  type CapabilityMemory,
  type CapabilityOptions,
} from '../openai-compatible/capabilities.ts';

/** Turns remembered, the oldest goes first. */
const MOST_TURNS = 5_000;

export interface RefusedData {
  readonly capabilities: Pick<CapabilityMemory, 'active' | 'learn'>;
  /** The messages without the data that the provider has refused before. */
  without(messages: readonly ModelMessage[]): ModelMessage[];
  /** The provider has answered without the data of these turns. */
  refused(model: string, turns: readonly ProviderTurn[]): 'learned' | 'confirmed';
  list(): LearnedCapability[];
}

const REFUSED_DATA: Adjustment = 'no_provider_fields';

const digestOf = ({ provider, dialect, model, data }: ProviderTurn): string =>
  createHash('sha256')
    .update(JSON.stringify([provider, dialect, model, data]))
    .digest('base64');

export const createRefusedData = (options: CapabilityOptions = {}): RefusedData => {
  const capabilities = createCapabilityMemory(options);
  const now = options.now ?? Date.now;
  /** Digest → unix ms. */
  const turns = new Map<string, number>();
  const isRefused = (turn: ProviderTurn): boolean =>
    turn.data !== null && (turns.get(digestOf(turn)) ?? 0) > now();
  return {
    capabilities,
    // Nothing is hashed while nothing is known.
    without: (messages) =>
      turns.size === 0
        ? [...messages]
        : messages.map((message) =>
            message.role === 'assistant' && message.providerTurn !== null && isRefused(message.providerTurn)
              ? { ...message, providerTurn: null }
              : message,
          ),
    refused(model, given) {
      const change = capabilities.learn(model, REFUSED_DATA);
      const until = capabilities
        .list()
        .find((one) => one.model === model && one.capability === REFUSED_DATA)?.until;
      for (const turn of given) {
        const digest = digestOf(turn);
        turns.delete(digest);
        turns.set(digest, until ?? now());
      }
      for (const oldest of turns.keys()) {
        if (turns.size <= MOST_TURNS) break;
        turns.delete(oldest);
      }
      return change;
    },
    list: () => capabilities.list(),
  };
};
