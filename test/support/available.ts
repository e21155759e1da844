/** What the live set-up offers, or a failed test that says why it does not. Never a skipped one. */
import type { Available } from './global-setup-live.ts';

export function available<T>(what: string, offer: Available<T>): T {
  if ('value' in offer) return offer.value;
  throw new Error(`This test needs ${what}, which is not available: ${offer.problem}`);
}
