/**
 * Things to end, in the reverse order of their making; one that fails to end does not keep the others.
 * Imported by the stack and its parts.
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
        this.#log.warn({ error, reason: step.what }, 'could not be ended in good order');
      }
    }
  }
}
