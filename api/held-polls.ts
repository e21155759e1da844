/**
 * Long polls: a GET of the official polling helpers is answered when the run changes, instead of at once.
 *
 * Rule: each tenant has a maximum of held polls; one more is answered at once. The end of the connection or of the
 * server releases a held poll. Imports protocol and the shutdown notifier of `sse.ts`.
 */
import type { Run } from '../protocol/wire/objects.ts';
import type { Connection } from './connection.ts';
import type { ShutdownNotifier } from './sse.ts';

export interface HeldPollOptions {
  /** Milliseconds that a poll is held at most. Default 20,000: below the 30 s and 60 s timeouts of proxies. */
  maxMs?: number;
  /** Polls that this process holds at a time for one tenant. Default 2,000. */
  maxPerTenant?: number;
}

/** Waits for the run; `signal` aborts when the client is gone or the server shuts down. */
export type WaitForRun = (options: { timeoutMs: number; signal: AbortSignal }) => Promise<Run>;

export interface HeldPolls {
  /** Null when the poll is not held: its connection has closed, the tenant has its maximum, or the server is shutting down. */
  hold(tenant: string, connection: Connection | undefined, wait: WaitForRun): Promise<Run> | null;
  /** How many polls are held. */
  readonly count: number;
}

/** The value of `openai-poll-after-ms` after a held poll, which has waited already. */
export const AFTER_HELD_POLL_MS = 10;

const HELPER_HEADER = 'x-stainless-poll-helper';

export const isPollHelper = (headers: Headers): boolean => headers.get(HELPER_HEADER) === 'true';

export const createHeldPolls = (closing: ShutdownNotifier, options: HeldPollOptions = {}): HeldPolls => {
  const { maxMs = 20_000, maxPerTenant = 2_000 } = options;
  const held = new Map<string, number>();
  let count = 0;

  const add = (tenant: string, by: 1 | -1): void => {
    count += by;
    const left = (held.get(tenant) ?? 0) + by;
    if (left === 0) held.delete(tenant);
    else held.set(tenant, left);
  };

  const holdOne = async (
    tenant: string,
    connection: Connection | undefined,
    wait: WaitForRun,
  ): Promise<Run> => {
    const over = new AbortController();
    const end = (): void => over.abort();
    add(tenant, 1);
    closing.add(end);
    connection?.once('close', end);
    try {
      return await wait({ timeoutMs: maxMs, signal: over.signal });
    } finally {
      connection?.off('close', end);
      closing.delete(end);
      add(tenant, -1);
    }
  };

  return {
    hold: (tenant, connection, wait) =>
      closing.begun || connection?.destroyed === true || (held.get(tenant) ?? 0) >= maxPerTenant
        ? null
        : holdOne(tenant, connection, wait),
    get count() {
      return count;
    },
  };
};
