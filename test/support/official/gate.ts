/**
 * A scripted model whose pauses are gates: the test opens them one at a time.
 *
 * Rule: order is proven by cause, not by time. While a gate is closed, the next piece does not exist.
 */
import { createClock, type SandboxClock } from '../../../testing/index.ts';
import { deferred, type Deferred } from '../deferred.ts';

export interface Gate {
  /** For `createSandbox({ clock })`. */
  clock: SandboxClock;
  /** Resolves when the model stands at a gate. */
  closed(): Promise<void>;
  /** Waits until the model stands at a gate, and lets it say one piece more. */
  open(): Promise<void>;
}

export const gatedModel = (): Gate => {
  const inner = createClock({ kind: 'virtual' });
  let waiting: Deferred<void>[] = [];
  const setTimeout: SandboxClock['setTimeout'] = (fn, ms) => {
    const cancel = inner.setTimeout(fn, ms);
    for (const waiter of waiting) waiter.resolve();
    waiting = [];
    return cancel;
  };
  const clock = Object.create(inner, { setTimeout: { value: setTimeout } }) as SandboxClock;
  const closed = async (): Promise<void> => {
    if (inner.pending > 0) return;
    const waiter = deferred();
    waiting.push(waiter);
    await waiter.promise;
  };
  return {
    clock,
    closed,
    async open() {
      await closed();
      inner.step();
    },
  };
};
