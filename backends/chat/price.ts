/**
 * The usage of a turn with its model and what it cost. Pure.
 *
 * Rule: the price is the one at the turn's beginning, and only the cost is kept: a price that changes later changes no history.
 * Imported within `backends/chat/` and by tests.
 */
import type { Usage } from '../../protocol/ports/backend.ts';
import type { TurnUsage } from '../../protocol/ports/turn-store.ts';
import { costOf, formatAmount, type TokenPrice } from '../../protocol/rules/cost.ts';

export const pricedUsage = (usage: Usage | null, model: string, price: TokenPrice | null): TurnUsage | null =>
  usage === null
    ? null
    : {
        ...usage,
        model,
        ...(price === null ? {} : { cost: { [price.currency]: formatAmount(costOf(usage, price)) } }),
      };
