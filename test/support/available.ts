/** The servers that the live set-up offers, or a failed test with the reason. Never a skipped test. */
import type { Available } from './global-setup-live.ts';

export function available<T>(what: string, offer: Available<T>): T {
  if ('value' in offer) return offer.value;
  throw new Error(`This test needs ${what}, which is not available: ${offer.problem}`);
}
