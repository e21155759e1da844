/**
 * Asks the model while the run is still being claimed.
 *
 * Rule: the request is aborted as soon as the claim is known to have failed, and no part of the answer is used before
 * the claim is known to have succeeded. The cost is at most one wasted request, and only when another writer changed
 * the run within these few milliseconds. Measured: without it, the model is asked 4 to 5 ms later at p50 (bench/README.md).
 * Imported within `backends/chat/`.
 */

/** The run has changed since it was read. It must be claimed again. */
export class ClaimLostError extends Error {
  constructor() {
    super('The run has changed since it was read.');
    this.name = 'ClaimLostError';
  }
}

export interface PendingClaim {
  /** Aborts with the attempt, or when the claim failed: with `ClaimLostError` or the claim's error. */
  signal: AbortSignal;
  /** Resolves when the run is claimed; rejects when `signal` aborts. */
  done: Promise<void>;
  /** Why the claim failed, once that is known; undefined = the run is claimed. */
  failure(): Promise<unknown>;
  dispose(): void;
}

const nothing = (): void => {};

/** `taken`: as in a claim; undefined = the run is claimed. */
export const pendingClaim = (taken: Promise<boolean> | undefined, signal: AbortSignal): PendingClaim => {
  if (taken === undefined)
    return { signal, done: Promise.resolve(), failure: async () => undefined, dispose: nothing };
  const controller = new AbortController();
  let onAbort = nothing;
  const done = new Promise<void>((resolve, reject) => {
    const fail = (reason: unknown): void => {
      controller.abort(reason);
      reject(reason);
    };
    onAbort = () => fail(signal.reason);
    taken.then((held) => (held ? resolve() : fail(new ClaimLostError())), fail);
  });
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  // It may reject while no caller awaits it: the request then aborts by its signal.
  done.catch(nothing);
  return {
    signal: controller.signal,
    done,
    failure: () =>
      done.then(
        () => undefined,
        (error: unknown) => error,
      ),
    dispose: () => signal.removeEventListener('abort', onAbort),
  };
};
