/**
 * Rate limits: a token bucket for each tenant and kind of request.
 *
 * Rule: a refused request costs nothing but the look; memory is bounded by forgetting the bucket unused for longest.
 * Off unless asked for. Imports protocol only.
 */
import { apiErrors } from '../protocol/errors.ts';

export type RequestKind = 'read' | 'write' | 'run' | 'delete';

/** Requests a minute; a kind that is left out is not limited. */
export type RatesPerMinute = Partial<Record<RequestKind, number>>;

/** What the original API granted. */
export const ORIGINAL_RATES: Required<RatesPerMinute> = { read: 1000, write: 300, run: 200, delete: 300 };

export interface RateLimiter {
  /** Throws `ApiError` 429 with `Retry-After` in whole seconds. */
  take(tenant: string, kind: RequestKind): void;
}

interface Bucket {
  tokens: number;
  at: number;
}

const MOST_BUCKETS = 10_000;

export const createLimiter = (
  rates: RatesPerMinute,
  now: () => number = () => performance.now(),
): RateLimiter => {
  const buckets = new Map<string, Bucket>();
  /** The bucket that was used longest ago goes; it starts full if its tenant comes back. */
  const makeRoom = (): void => {
    const [oldest] = buckets.keys();
    if (buckets.size >= MOST_BUCKETS && oldest !== undefined) buckets.delete(oldest);
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
