/**
 * The end of a request before its answer: the caller's signal and the total time, joined, and which of them fired.
 *
 * Rule: listeners and timers are gone after `finish`; the caller's signal may live for days.
 * Imports Node's events only. The client imports it.
 */
import { EventEmitter } from 'node:events';

/** What undici takes in the place of an `AbortSignal`, which costs several microseconds to make and to listen to. */
class RequestSignal extends EventEmitter<{ abort: [] }> {
  aborted = false;
  reason: unknown = undefined;

  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.emit('abort');
  }
}

export interface RequestDeadline {
  signal: EventEmitter;
  timedOut(): boolean;
  /** Settles with the promise or rejects on abort, also where undici would first wait for a connection. */
  race<T>(promise: Promise<T>): Promise<T>;
  /** The caller's own reason when the caller aborted; the translated error otherwise. */
  explain(error: unknown, translate: (error: unknown) => unknown): unknown;
  finish(): void;
}

export const createRequestDeadline = (outer: AbortSignal | undefined, totalMs: number): RequestDeadline => {
  const signal = new RequestSignal();
  let timedOut = false;
  const onAbort = (): void => signal.abort(outer?.reason);
  if (outer?.aborted === true) onAbort();
  else outer?.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => {
    timedOut = true;
    signal.abort(new Error('total timeout'));
  }, totalMs);
  return {
    signal,
    timedOut: () => timedOut,
    race: (promise) =>
      new Promise((resolve, reject) => {
        const aborted = (): void => reject(signal.reason);
        if (signal.aborted) aborted();
        else signal.once('abort', aborted);
        promise.then(resolve, reject).finally(() => signal.off('abort', aborted));
      }),
    explain: (error, translate) => (outer?.aborted === true ? outer.reason : translate(error)),
    finish: () => {
      clearTimeout(timer);
      outer?.removeEventListener('abort', onAbort);
    },
  };
};
