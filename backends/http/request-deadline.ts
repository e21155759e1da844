/**
 * The end of a request before its answer: the caller's signal and the total time, joined, and which of them fired.
 *
 * Rule: listeners and timers are gone after `finish`; the caller's signal may live for days.
 * No imports. The client imports it.
 */

export interface RequestDeadline {
  signal: AbortSignal;
  timedOut(): boolean;
  /** Settles with the promise or rejects on abort, also where undici would first wait for a connection. */
  race<T>(promise: Promise<T>): Promise<T>;
  /** The caller's own reason when the caller aborted; the translated error otherwise. */
  explain(error: unknown, translate: (error: unknown) => unknown): unknown;
  finish(): void;
}

export const createRequestDeadline = (
  outer: AbortSignal | undefined,
  totalMs: number | null,
): RequestDeadline => {
  const controller = new AbortController();
  let timedOut = false;
  const onAbort = (): void => controller.abort(outer?.reason);
  if (outer?.aborted === true) onAbort();
  else outer?.addEventListener('abort', onAbort, { once: true });
  const timer =
    totalMs === null
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          controller.abort(new Error('total timeout'));
        }, totalMs);
  return {
    signal: controller.signal,
    timedOut: () => timedOut,
    race: (promise) =>
      new Promise((resolve, reject) => {
        const { signal } = controller;
        const aborted = (): void => reject(signal.reason);
        if (signal.aborted) aborted();
        else signal.addEventListener('abort', aborted, { once: true });
        promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
      }),
    explain: (error, translate) => (outer?.aborted === true ? outer.reason : translate(error)),
    finish: () => {
      clearTimeout(timer);
      outer?.removeEventListener('abort', onAbort);
    },
  };
};
