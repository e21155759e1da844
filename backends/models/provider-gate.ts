/**
 * Lets requests through to one provider within its limits, which all workers of a store share.
 *
 * Rule: who is over a limit waits, first come, first served in this process, until leave is given or the signal aborts. Only the
 * first in the line asks the store, so a long line costs no more than a short one. Slots that are held are renewed; when this
 * process dies they end by themselves.
 * Imported by `router.ts` and tests.
 */
import { randomUUID } from 'node:crypto';
import type { ModelProvider } from '../../protocol/models.ts';
import type { Logger } from '../../protocol/ports/backend.ts';
import type { Admission } from '../../protocol/ports/model-router.ts';
import type { ProviderLimitStore } from '../../protocol/ports/provider-limits.ts';

export interface ProviderGateOptions {
  provider: Pick<ModelProvider, 'name' | 'limits'>;
  store: ProviderLimitStore;
  /** A slot that is not renewed ends after this time. Default 30,000 ms. */
  slotMs?: number;
  log?: Logger;
}

interface Waiter {
  tokens: number;
  signal: AbortSignal;
  admit: (slot: string) => void;
  fail: (error: unknown) => void;
}

const RENEWALS_A_SLOT = 3;
/** Spreads the questions of several processes that were refused at the same moment. */
const JITTER = 0.1;

export class ProviderGate {
  readonly #options: ProviderGateOptions;
  readonly #slotMs: number;
  readonly #line: Waiter[] = [];
  readonly #held = new Set<string>();
  readonly #returns = new Set<Promise<void>>();
  #asking = false;
  #wake: () => void = () => undefined;
  #renewal: NodeJS.Timeout | null = null;

  constructor(options: ProviderGateOptions) {
    this.#options = options;
    this.#slotMs = options.slotMs ?? 30_000;
  }

  /** Rejects with `signal.reason`, or with the store's error. */
  async enter(tokens: number, signal: AbortSignal): Promise<Admission> {
    signal.throwIfAborted();
    const began = performance.now();
    const slot = await this.#leave(tokens, signal);
    this.#hold(slot);
    let released = false;
    return {
      waitedMs: Math.round(performance.now() - began),
      release: (used) => {
        if (released) return;
        released = true;
        this.#giveBack(slot, used === null ? 0 : used - tokens);
      },
    };
  }

  async dispose(): Promise<void> {
    if (this.#renewal !== null) clearInterval(this.#renewal);
    this.#renewal = null;
    for (const slot of this.#held) this.#giveBack(slot, 0);
    await Promise.all(this.#returns);
  }

  #leave(tokens: number, signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        signal.removeEventListener('abort', onAbort);
        this.#line.splice(0, this.#line.length, ...this.#line.filter((one) => one !== waiter));
      };
      const onAbort = (): void => {
        settle();
        reject(signal.reason);
        this.#wake();
      };
      const waiter: Waiter = {
        tokens,
        signal,
        admit: (slot) => {
          settle();
          resolve(slot);
        },
        fail: (error) => {
          settle();
          reject(error);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#line.push(waiter);
      void this.#ask();
    });
  }

  /** Asks for the first in the line until the line is empty. Never rejects. */
  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    for (let first = this.#line[0]; first !== undefined; first = this.#line[0]) await this.#askFor(first);
    this.#asking = false;
  }

  async #askFor(waiter: Waiter): Promise<void> {
    const { provider, store } = this.#options;
    const slot = randomUUID();
    try {
      const answer = await store.takeSlot({
        slot,
        provider: provider.name,
        limits: provider.limits,
        tokens: waiter.tokens,
        slotMs: this.#slotMs,
      });
      if (!answer.granted) await this.#pause(answer.waitMs);
      // It gave up while the store was asked.
      else if (waiter.signal.aborted) this.#giveBack(slot, -waiter.tokens);
      else waiter.admit(slot);
    } catch (error) {
      waiter.fail(error);
    }
  }

  /** Until the time is over, a request of this process has ended, or the first in the line has given up. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#wake = () => undefined;
        resolve();
      };
      const timer = setTimeout(done, Math.ceil(ms * (1 + JITTER * Math.random())));
      this.#wake = done;
    });
  }

  #hold(slot: string): void {
    if (this.#options.provider.limits.concurrency === null) return;
    this.#held.add(slot);
    this.#renewal ??= setInterval(() => void this.#renew(), this.#slotMs / RENEWALS_A_SLOT);
    this.#renewal.unref();
  }

  async #renew(): Promise<void> {
    if (this.#held.size === 0) return;
    const { store, provider, log } = this.#options;
    try {
      await store.renewSlots([...this.#held], this.#slotMs);
    } catch (error) {
      log?.warn({ provider: provider.name, error }, 'slots of a provider were not renewed; tried again');
    }
  }

  #giveBack(slot: string, tokens: number): void {
    this.#held.delete(slot);
    const returning = this.#return(slot, tokens).finally(() => this.#returns.delete(returning));
    this.#returns.add(returning);
  }

  /** Never rejects. */
  async #return(slot: string, tokens: number): Promise<void> {
    const { store, provider, log } = this.#options;
    try {
      await store.returnSlot(slot, provider.name, provider.limits, tokens);
    } catch (error) {
      log?.warn(
        { provider: provider.name, error },
        'a slot of a provider was not given back; it ends by itself',
      );
    }
    this.#wake();
  }
}
