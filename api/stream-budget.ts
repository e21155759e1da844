/**
 * The event streams that one tenant has open at this server, and what they hold of events that were not read yet.
 *
 * Rule: a stream that would be one too many is refused before anything is subscribed to; a stream whose unread events would be
 * too much, together with the tenant's others, is ended like that of a slow reader. Imports protocol only.
 */
import { apiErrors } from '../protocol/errors.ts';
import { READ_BYTES } from '../protocol/limits.ts';
import type { Connection } from './connection.ts';

export interface StreamShare {
  /**
   * Before a log is read for this stream: waits for its turn. Null = the tenant's streams hold so much that a batch of events
   * may not fit. Else to be called back once the log has been read.
   */
  enter(): Promise<(() => void) | null>;
  /** Another piece is on its way, and the one before the last has left; false = the tenant would hold too much. */
  hold(bytes: number): boolean;
  close(): void;
}

export interface StreamBudget {
  /**
   * Throws `ApiError` 429. With a connection the share is given back when that has closed, whatever ended the stream before:
   * its last pieces may be unread until then.
   */
  open(tenant: string, connection?: Connection): StreamShare;
}

/** Logs that are read at the same time, as many as the store has connections: what others wait for is not in memory yet. */
const READS_AT_ONCE = 10;

/** Lets a number of holders in at a time, in the order in which they came; each calls back when it leaves. */
const createGate = (places: number): (() => Promise<() => void>) => {
  const waiting: (() => void)[] = [];
  let free = places;
  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  };
  return async () => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => void waiting.push(resolve));
    return leave;
  };
};

/** `streams`: 0 = no limit. */
export const createStreamBudget = (limits: { streams: number; unreadBytes: number }): StreamBudget => {
  const gate = createGate(READS_AT_ONCE);
  const tenants = new Map<string, { streams: number; bytes: number }>();
  return {
    open(tenant, connection) {
      const held = tenants.get(tenant) ?? { streams: 0, bytes: 0 };
      if (limits.streams > 0 && held.streams >= limits.streams)
        throw apiErrors.tooManyStreams(limits.streams);
      held.streams += 1;
      tenants.set(tenant, held);
      // One piece waits in the stream while the connection still sends the one before it.
      let [sending, waiting] = [0, 0];
      let open = true;
      const close = (): void => {
        if (!open) return;
        open = false;
        held.bytes -= sending + waiting;
        held.streams -= 1;
        if (held.streams === 0) tenants.delete(tenant);
      };
      const outlives = connection !== undefined && !connection.destroyed;
      if (outlives) connection.once('close', close);
      return {
        async enter() {
          const leave = await gate();
          if (held.bytes - sending + READ_BYTES.events <= limits.unreadBytes) return leave;
          leave();
          return null;
        },
        hold(bytes) {
          if (!open || held.bytes - sending + bytes > limits.unreadBytes) return false;
          held.bytes += bytes - sending;
          [sending, waiting] = [waiting, bytes];
          return true;
        },
        close: outlives ? () => undefined : close,
      };
    },
  };
};
