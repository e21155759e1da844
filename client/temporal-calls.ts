/**
 * Calls in flight over one Temporal connection: each with its own deadline and abort, all of them settled before the
 * connection closes.
 *
 * Rule: a connection is never closed under a call. Temporal's retrying interceptor would send its next attempt on the
 * closed channel and throw where no caller can catch it, which ends the process.
 * Imported by the client only.
 */
import { setMaxListeners } from 'node:events';
import { defaultGrpcRetryOptions, makeGrpcRetryInterceptor, type Client } from '@temporalio/client';
import { RunsError } from '../protocol/index.ts';

type Interceptor = ReturnType<typeof makeGrpcRetryInterceptor>;

export interface CallLimits {
  /** Default: none (a long poll). */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** Longest pause between two attempts of one call; closing waits for it. */
const MAX_BACKOFF_MS = 1_000;

/** Temporal's own retries, except that nothing is tried again once `closing` is aborted. */
export const retryUntilClosing = (closing: AbortSignal): Interceptor => {
  const defaults = defaultGrpcRetryOptions({ maxAttempts: 20 });
  return makeGrpcRetryInterceptor({
    delayFunction: (attempt, status) => Math.min(MAX_BACKOFF_MS, defaults.delayFunction(attempt, status)),
    retryableDecider: (attempt, status) => !closing.aborted && defaults.retryableDecider(attempt, status),
  });
};

export class Calls {
  readonly #client: Client;
  readonly #closing: AbortController;
  readonly #onIdle: () => void;
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #aborts = new Set<AbortController>();

  /** `onIdle`: called when the last call in flight has settled. */
  constructor(client: Client, closing: AbortController, onIdle: () => void = () => undefined) {
    this.#client = client;
    this.#closing = closing;
    this.#onIdle = onIdle;
  }

  get closing(): boolean {
    return this.#closing.signal.aborted;
  }

  async run<T>(call: () => Promise<T>, limits: CallLimits = {}): Promise<T> {
    if (this.#closing.signal.aborted) {
      throw new RunsError('cancelled', 'This client is closed. Connect a new one.');
    }
    // Temporal's client adds a listener per request and never removes it: a signal of its own per call, not a shared one.
    const abort = new AbortController();
    // Waiting for a result is a request every twenty seconds, for hours: no leak that Node should warn of.
    setMaxListeners(0, abort.signal);
    const onAbort = () => abort.abort();
    if (limits.signal?.aborted === true) abort.abort();
    limits.signal?.addEventListener('abort', onAbort, { once: true });
    this.#aborts.add(abort);
    const work = this.#client.withAbortSignal(abort.signal, () =>
      limits.timeoutMs === undefined
        ? call()
        : this.#client.withDeadline(Date.now() + limits.timeoutMs, call),
    );
    this.#inFlight.add(work);
    try {
      return await work;
    } finally {
      this.#inFlight.delete(work);
      this.#aborts.delete(abort);
      limits.signal?.removeEventListener('abort', onAbort);
      if (this.#inFlight.size === 0) this.#onIdle();
    }
  }

  /** Gives up what is in flight and waits until it has settled. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const abort of this.#aborts) abort.abort();
    await Promise.allSettled(this.#inFlight);
  }
}
