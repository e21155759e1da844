/**
 * Closes the parts of a process in the reverse order of their creation.
 *
 * Rule: a part that fails to close is logged, and the remaining parts are closed all the same.
 * Imported by `start-worker.ts`, by app/ and by cli/.
 */
import type { Logger } from '../protocol/ports/backend.ts';

export class Disposables {
  readonly #steps: { what: string; end: () => Promise<unknown> }[] = [];
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  add(what: string, end: () => Promise<unknown>): void {
    this.#steps.push({ what, end });
  }

  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.end();
      } catch (error) {
        this.#log.warn({ error, reason: step.what }, 'could not be closed');
      }
    }
  }
}
