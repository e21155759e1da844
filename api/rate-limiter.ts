/**
 * Rate limits: a token bucket for each tenant and kind of request.
 *
 * Rule: a refused request costs only the check; memory is bounded by dropping the bucket unused for longest. Off by
 * default. Imports protocol only.
 */
import { apiErrors, RunsError } from '../protocol/errors.ts';
import { quote } from '../protocol/rules/validation.ts';

export type RequestKind = 'read' | 'write' | 'run' | 'delete';

/** Requests a minute; a kind that is absent is not limited. */
export type RatesPerMinute = Partial<Record<RequestKind, number>>;

/** The limits of the original API. */
const ORIGINAL_RATES: Required<RatesPerMinute> = { read: 1000, write: 300, run: 200, delete: 300 };

const isKind = (name: string): name is RequestKind => Object.hasOwn(ORIGINAL_RATES, name);

/**
 * `original` (the original API's limits: 1000 reads, 300 writes, 200 new runs and 300 deletions a minute), or pairs
 * such as `run=50,read=5000`; absent kinds are not limited. Throws `RunsError` `config`.
 */
export const parseRates = (text: string): RatesPerMinute => {
  if (text.trim() === 'original') return ORIGINAL_RATES;
  const rates: RatesPerMinute = {};
  for (const pair of text.split(',')) {
    const [kind = '', count = ''] = pair.split('=').map((part) => part.trim());
    if (!isKind(kind) || !/^[1-9]\d{0,8}$/.test(count))
      throw new RunsError(
        'config',
        `RUNS_RATE_LIMITS must be "original", or pairs of a kind (read, write, run, delete) and requests a minute, such as "run=50,read=5000"; got ${quote(pair)}`,
      );
    rates[kind] = Number(count);
  }
  return rates;
};

export interface RateLimiter {
  /** Throws `ApiError` 429 with `Retry-After` in whole seconds. */
  take(tenant: string, kind: RequestKind): void;
}

interface Bucket {
  tokens: number;
  at: number;
}

const MAX_BUCKETS = 10_000;

export const createLimiter = (
  rates: RatesPerMinute,
  now: () => number = () => performance.now(),
): RateLimiter => {
  const buckets = new Map<string, Bucket>();
  /** Drops the bucket that was used longest ago; its tenant starts with a full one. */
  const makeRoom = (): void => {
    const [oldest] = buckets.keys();
    if (buckets.size >= MAX_BUCKETS && oldest !== undefined) buckets.delete(oldest);
  };
  return {
    take(tenant, kind) {
      const perMinute = rates[kind];
      if (perMinute === undefined) return;
      const moment = now();
      const key = `${kind}:${tenant}`;
      const bucket = buckets.get(key);
      const tokens =
        bucket === undefined
          ? perMinute
          : Math.min(perMinute, bucket.tokens + ((moment - bucket.at) / 60_000) * perMinute);
      if (tokens < 1) {
        throw apiErrors.rateLimited(Math.max(1, Math.ceil(((1 - tokens) / perMinute) * 60)));
      }
      buckets.delete(key);
      makeRoom();
      buckets.set(key, { tokens: tokens - 1, at: moment });
    },
  };
};
