/**
 * Tokens and cost as a person reads them. Pure.
 *
 * Rule: a part that was not counted is left out, not shown as zero. Imported by the commands and `view.ts`.
 */
import type { WireUsage } from '../../protocol/wire/objects.ts';

/** `of`: the part of `tokens` with its name; empty = it was not counted. */
const part = (tokens: number | undefined, name: string): string =>
  tokens === undefined ? '' : ` (${tokens} ${name})`;

export const tokenText = (usage: WireUsage): string => {
  const cached = part(usage.prompt_token_details?.cached_tokens, 'cached');
  const reasoning = part(usage.completion_tokens_details?.reasoning_tokens, 'reasoning');
  return `${usage.total_tokens} tokens: ${usage.prompt_tokens} prompt${cached}, ${usage.completion_tokens} answer${reasoning}`;
};

/** Empty = no model had a price. `before` stands in front of an amount. */
export const costText = ({ cost = {} }: Pick<WireUsage, 'cost'>, before: string): string => {
  const amounts = Object.entries(cost).map(([currency, amount]) => `${amount} ${currency}`);
  return amounts.length === 0 ? '' : `${before}${amounts.join(' + ')}`;
};
