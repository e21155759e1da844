/**
 * Decides whether the worker's tools are offered to a run that declares none. Pure.
 *
 * Rule: an offer contains only tools that the run may use anyway, so it grants nothing. Imported within `service/`.
 */
import type { Caller } from '../protocol/ports/runs-service.ts';

/**
 * `all`: all tools that the caller may use, which is every tool for a key with `*` and on a server without keys.
 * `granted`: only tools that the caller's key names. `none`: a run has the tools that it or its assistant declares.
 */
export type OfferTools = 'all' | 'granted' | 'none';

export const isOffered = (mode: OfferTools, { grantedTools = null }: Pick<Caller, 'grantedTools'>): boolean =>
  mode === 'all' || (mode === 'granted' && grantedTools !== null && grantedTools.length > 0);
