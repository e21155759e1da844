/**
 * Limits failed sign-ins: of one address, and of all together.
 *
 * Rule: only failures count, so a person with a right key is not slowed down by the own sign-ins; memory is bounded. The limit of
 * all is far above that of one: it bounds guessing from many addresses, and one address can't lock others out.
 * Imports protocol only. Imported by `api/console/` and the codec endpoint.
 */
import { ApiError } from '../../protocol/errors.ts';

const MINUTE_MS = 60_000;
const OF_ONE = 10;
const OF_ALL = 300;
/** The addresses that failed longest ago are forgotten. */
const MAX_ADDRESSES = 10_000;

export interface SignInThrottle {
  /** Throws `ApiError` 429 with `Retry-After` when too many sign-ins of this address, or of all, have failed. */
  check(address: string): void;
  failed(address: string): void;
}

/** One network of IPv6 counts as one address: its owner has all of the last 64 bits. */
export const networkOf = (address: string): string => {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  return plain.includes(':') ? plain.split(':').slice(0, 4).join(':') : plain;
};

const refused = (oldest: number, now: number): ApiError => {
  const seconds = Math.max(1, Math.ceil((oldest + MINUTE_MS - now) / 1_000));
  return new ApiError(429, `Too many sign-ins have failed. Try again in ${seconds} s.`, {
    code: 'rate_limit_exceeded',
    headers: { 'retry-after': String(seconds) },
  });
};

export const createSignInThrottle = (
  now: () => number = Date.now,
  { ofOne = OF_ONE, ofAll = OF_ALL }: { ofOne?: number; ofAll?: number } = {},
): SignInThrottle => {
  let all: number[] = [];
  const failures = new Map<string, number[]>();
  const recent = (times: readonly number[]): number[] => times.filter((at) => now() - at < MINUTE_MS);
  return {
    check(address) {
      all = recent(all);
      const own = recent(failures.get(networkOf(address)) ?? []);
      const [oldest] = own.length >= ofOne ? own : all.length >= ofAll ? all : [];
      if (oldest !== undefined) throw refused(oldest, now());
    },
    failed(address) {
      const network = networkOf(address);
      const own = [...recent(failures.get(network) ?? []), now()];
      failures.delete(network);
      failures.set(network, own);
      const [first] = failures.keys();
      if (failures.size > MAX_ADDRESSES && first !== undefined) failures.delete(first);
      all = [...recent(all), now()];
    },
  };
};
