/**
 * Asking the model while the run is still being taken over.
 *
 * Rule: the model's answer is given up as soon as it is known that the run was not taken, and nothing of it passes before it
 * is known that it was. The price of asking early is at most one question too many, and only when somebody else has changed
 * the run within these few milliseconds.
 * Imported within `backends/chat/`.
 */

/** The run has changed since it was read. It belongs to whoever changed it until it is claimed again. */
export class ClaimLostError extends Error {
  constructor() {
    super('The run has changed since it was read.');
    this.name = 'ClaimLostError';
  }
}

export interface PendingClaim {
  /** Aborts with the attempt, or when the run was not taken: with `ClaimLostError` or what kept it from being taken. */
  signal: AbortSignal;
  /** Resolves when the run is taken; rejects as `signal` aborts. */
  done: Promise<void>;
  /** What kept the run from being taken, when that is known; undefined = it is taken. */
  failure(): Promise<unknown>;
  dispose(): void;
}

const nothing = (): void => {};

/** `taken`: as in a claim; undefined = it is. */
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
  // It may fail while nobody waits for it: then the request hears of it by its signal.
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
