/**
 * Shows a turn while the model answers: opens the message with its first text, a step with its first call, and writes
 * deltas.
 *
 * Rule: a message or step is in the log before its first delta, deltas keep the model's order, and one step is open at
 * a time: the first call completes the message before it, and text after calls waits for the turn's end.
 * Imported by `turn.ts`.
 */
import type { RunLease, TurnStore } from '../../protocol/ports/turn-store.ts';
import type { MessageContent } from '../../protocol/wire/objects.ts';
import type { ModelDelta, ModelTurn } from './turn-recorder.ts';
import { DeltaWriter } from './delta-writer.ts';

export interface TurnPublisherOptions {
  now(): number;
  flushMs: number;
  fence(): void;
  /** Deltas were written; it took `ms`. */
  onWritten?(ms: number): void;
}

/** The content of a turn's message. */
export const publishedContent = (spoken: Pick<ModelTurn, 'text' | 'refusal'>): MessageContent[] => [
  ...(spoken.text === '' && spoken.refusal !== ''
    ? []
    : [{ type: 'text' as const, text: { value: spoken.text, annotations: [] } }]),
  ...(spoken.refusal === '' ? [] : [{ type: 'refusal' as const, refusal: spoken.refusal }]),
];

/** The place of a call's deltas: its step, and its number in the step. */
interface CallPlace {
  stepId: string;
  index: number;
}

export class TurnPublisher {
  readonly #store: TurnStore;
  readonly #lease: RunLease;
  readonly #options: TurnPublisherOptions;
  readonly #writer: DeltaWriter;
  readonly #parts: ('text' | 'refusal')[] = [];
  readonly #published = { text: '', refusal: '' };
  readonly #places = new Map<number, CallPlace>();
  #messageId: string | null = null;
  #model: string | undefined;
  #annotated = false;
  #step: { stepId: string; calls: number } | null = null;

  constructor(store: TurnStore, lease: RunLease, options: TurnPublisherOptions) {
    this.#store = store;
    this.#lease = lease;
    this.#options = options;
    this.#writer = new DeltaWriter({
      intervalMs: options.flushMs,
      append: async (events) => {
        options.fence();
        const began = performance.now();
        await store.appendDeltas(lease, events);
        options.onWritten?.(performance.now() - began);
      },
    });
  }

  /** The model that is asked now: what is opened from here on is its own. */
  speaker(model: string): void {
    this.#model = model;
  }

  async publish(deltas: readonly ModelDelta[]): Promise<void> {
    // In the model's order.
    for (const delta of deltas) await this.#publish(delta);
  }

  /** Makes sure that there is a message, even an empty one. */
  async message(): Promise<string> {
    if (this.#messageId === null) {
      await this.#beforeOpening();
      this.#messageId = (
        await this.#store.openMessage(this.#lease, this.#options.now(), this.#model)
      ).messageId;
    }
    return this.#messageId;
  }

  /** Everything shown is written. */
  finish(): Promise<void> {
    return this.#writer.drain();
  }

  openMessage(): string | null {
    return this.#messageId;
  }

  /** Readers have seen a part of this turn. */
  begun(): boolean {
    return this.#messageId !== null || this.#step !== null;
  }

  stop(): void {
    this.#writer.stop();
  }

  async #beforeOpening(): Promise<void> {
    await this.#writer.drain();
    this.#options.fence();
  }

  async #publish(item: ModelDelta): Promise<void> {
    switch (item.kind) {
      case 'text':
      case 'refusal':
        if (this.#step === null) await this.#publishText(item.kind, item.value);
        return;
      case 'call': {
        const place = await this.#placeOfCall(item.call);
        const call = { id: item.callId, function: { name: item.name, arguments: '', output: null } };
        await this.#writer.push(callDelta(place, call), item.name.length);
        return;
      }
      case 'arguments': {
        const place = this.#places.get(item.call);
        if (place !== undefined)
          await this.#writer.push(
            callDelta(place, { function: { arguments: item.value } }),
            item.value.length,
          );
        return;
      }
    }
  }

  async #publishText(kind: 'text' | 'refusal', value: string): Promise<void> {
    this.#published[kind] += value;
    const id = await this.message();
    const text = this.#annotated ? { value } : { value, annotations: [] };
    this.#annotated = true;
    const index = this.#partIndex(kind);
    const part =
      kind === 'text'
        ? { index, type: 'text' as const, text }
        : { index, type: 'refusal' as const, refusal: value };
    const delta = { id, object: 'thread.message.delta' as const, delta: { content: [part] } };
    await this.#writer.push({ event: 'thread.message.delta', data: delta }, value.length);
  }

  #partIndex(kind: 'text' | 'refusal'): number {
    if (!this.#parts.includes(kind)) this.#parts.push(kind);
    return this.#parts.indexOf(kind);
  }

  /** Opens the step with the first call, which completes the message before it. */
  async #placeOfCall(call: number): Promise<CallPlace> {
    if (this.#step === null) {
      await this.#beforeOpening();
      const before =
        this.#messageId === null ? null : { id: this.#messageId, content: publishedContent(this.#published) };
      const { stepId } = await this.#store.openCalls(this.#lease, before, this.#options.now(), this.#model);
      this.#step = { stepId, calls: 0 };
    }
    const place = { stepId: this.#step.stepId, index: this.#step.calls };
    this.#step.calls += 1;
    this.#places.set(call, place);
    return place;
  }
}

const callDelta = (
  place: CallPlace,
  call: { id?: string; function: { name?: string; arguments: string; output?: null } },
): Parameters<DeltaWriter['push']>[0] => ({
  event: 'thread.run.step.delta',
  data: {
    id: place.stepId,
    object: 'thread.run.step.delta',
    delta: {
      step_details: { type: 'tool_calls', tool_calls: [{ index: place.index, type: 'function', ...call }] },
    },
  },
});
