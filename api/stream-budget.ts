/**
 * The event streams that one tenant has open at this server, and what they hold of events that were not read yet.
 *
 * Rule: a stream that would be one too many is refused before anything is subscribed to; a stream whose unread events would be
 * too much, together with the tenant's others, is ended like that of a slow reader. Imports protocol only.
 */
import { apiErrors } from '../protocol/errors.ts';

export interface StreamShare {
  /** Another piece is on its way, and the one before the last has left; false = the tenant would hold too much. */
  hold(bytes: number): boolean;
  close(): void;
}

export interface StreamBudget {
  /** Throws `ApiError` 429. */
  open(tenant: string): StreamShare;
}

/** `streams`: 0 = no limit. */
export const createStreamBudget = (limits: { streams: number; unreadBytes: number }): StreamBudget => {
  const tenants = new Map<string, { streams: number; bytes: number }>();
  return {
    open(tenant) {
      const held = tenants.get(tenant) ?? { streams: 0, bytes: 0 };
      if (limits.streams > 0 && held.streams >= limits.streams)
        throw apiErrors.tooManyStreams(limits.streams);
      held.streams += 1;
      tenants.set(tenant, held);
      // One piece waits in the stream while the connection still sends the one before it.
      let [sending, waiting] = [0, 0];
      let open = true;
      return {
        hold(bytes) {
          if (!open || held.bytes - sending + bytes > limits.unreadBytes) return false;
          held.bytes += bytes - sending;
          [sending, waiting] = [waiting, bytes];
          return true;
        },
        close() {
          if (!open) return;
          open = false;
          held.bytes -= sending + waiting;
          held.streams -= 1;
          if (held.streams === 0) tenants.delete(tenant);
        },
      };
    },
  };
};
