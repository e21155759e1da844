/**
 * How long a model of a provider is left alone after it has refused.
 *
 * Rule: only a refusal that says something of the provider counts: a limit that is reached, a server that can't be connected to, or
 * one that says "later" (502, 503, 504, 529, or a time). A plain 500 may be the fault of one request, and must not stop others. A
 * cooldown is bounded; one that the server names no time for grows with each refusal after the last one was over, and an answer ends
 * the count. Requests under way when it begins fail within it and do not lengthen it. Pure; times are milliseconds of one clock.
 * Imported by `backends/models/`, `store/` and tests.
 */
import type { ModelCooldown, ModelError } from '../ports/model.ts';

export type CooldownReason = ModelCooldown['reason'];

export interface Cooldown {
  until: number;
  /** Refusals in a row, each after the cooldown of the one before. */
  times: number;
}

export const COOLDOWN_LIMITS = {
  /** Without a time of the server: the first, then twice as long each. */
  firstMs: 1_000,
  longestMs: 60_000,
  /** The longest that a server may ask for. */
  namedMs: 600_000,
  /** A cooldown that was over for so long counts no more. */
  forgottenMs: 600_000,
  /** Models of one provider that are remembered: callers may name any. */
  models: 100,
} as const;

const LATER: ReadonlySet<number | null> = new Set([502, 503, 504, 529]);
/** No connection was made: what the request said can't be the cause. */
const NOT_CONNECTED: ReadonlySet<string | null> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

export interface CooldownCause {
  reason: CooldownReason;
  /** The whole provider can't be reached; else it is the model that refuses. */
  wholeProvider: boolean;
  /** null = the server names no time. */
  retryAfterMs: number | null;
}

/** null = the error says nothing of other requests. */
export const cooldownCause = ({
  kind,
  status,
  code,
  retryAfterMs,
}: Pick<ModelError, 'kind' | 'status' | 'code' | 'retryAfterMs'>): CooldownCause | null => {
  if (kind === 'rate_limited') return { reason: kind, wholeProvider: false, retryAfterMs };
  if (kind !== 'unavailable') return null;
  if (status === null)
    return NOT_CONNECTED.has(code) ? { reason: kind, wholeProvider: true, retryAfterMs: null } : null;
  return LATER.has(status) || retryAfterMs !== null
    ? { reason: kind, wholeProvider: false, retryAfterMs }
    : null;
};

/** The cooldown after another refusal. `before`: null = there is none. */
export const cooldownAfter = (
  before: Cooldown | null,
  retryAfterMs: number | null,
  now: number,
): Cooldown => {
  const { firstMs, longestMs, namedMs, forgottenMs } = COOLDOWN_LIMITS;
  const under = before !== null && before.until > now;
  const counts = before !== null && now - before.until <= forgottenMs ? before.times : 0;
  const times = under ? before.times : counts + 1;
  const wait =
    retryAfterMs !== null && retryAfterMs > 0
      ? Math.min(retryAfterMs, namedMs)
      : under
        ? 0
        : Math.min(longestMs, firstMs * 2 ** Math.min(times - 1, 20));
  return { times, until: Math.max(now + wait, under ? before.until : 0) };
};
