/**
 * Are the worker's tools offered to a run that declares none? Pure.
 *
 * Rule: only tools that the run may use anyway are offered, so an offer gives no rights. Imported within `service/`.
 */
import type { Caller } from '../protocol/ports/runs-service.ts';

/**
 * `all`: whatever the caller may use, so everything for a key with `*` and on a server without keys. `granted`: only tools
 * that the caller's key names one by one. `none`: a run has the tools that it or its assistant declares.
 */
export type OfferTools = 'all' | 'granted' | 'none';

export const isOffered = (mode: OfferTools, { grantedTools = null }: Pick<Caller, 'grantedTools'>): boolean =>
  mode === 'all' || (mode === 'granted' && grantedTools !== null && grantedTools.length > 0);
