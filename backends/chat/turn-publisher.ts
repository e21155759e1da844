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

export interface TurnPublisher {
  news(news: readonly ModelDelta[]): Promise<void>;
  /** Makes sure that there is a message, even an empty one. */
  message(): Promise<void>;
  /** Everything shown is written. */
  finish(): Promise<void>;
  openMessage(): string | null;
  /** Readers have seen a part of this turn. */
  begun(): boolean;
  stop(): void;
}

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

export const createTurnPublisher = (
  store: TurnStore,
  lease: RunLease,
  options: TurnPublisherOptions,
): TurnPublisher => {
  const writer = new DeltaWriter({
    intervalMs: options.flushMs,
    append: async (events) => {
      options.fence();
      const began = performance.now();
      await store.appendDeltas(lease, events);
      options.onWritten?.(performance.now() - began);
    },
  });
  let messageId: string | null = null;
  let annotated = false;
  const parts: ('text' | 'refusal')[] = [];
  const said = { text: '', refusal: '' };
  let opened: { stepId: string; calls: number } | null = null;
  const places = new Map<number, { stepId: string; index: number }>();

  const message = async (): Promise<string> => {
    if (messageId === null) {
      await writer.drain();
      options.fence();
      messageId = (await store.openMessage(lease, options.now())).messageId;
    }
    return messageId;
  };

  const step = async (): Promise<{ stepId: string; calls: number }> => {
    if (opened === null) {
      await writer.drain();
      options.fence();
      const before = messageId === null ? null : { id: messageId, content: publishedContent(said) };
      const { stepId } = await store.openCalls(lease, before, options.now());
      opened = { stepId, calls: 0 };
    }
    return opened;
  };

  const partIndex = (kind: 'text' | 'refusal'): number => {
    if (!parts.includes(kind)) parts.push(kind);
    return parts.indexOf(kind);
  };

  const one = async (item: ModelDelta): Promise<void> => {
    switch (item.kind) {
      case 'text':
      case 'refusal': {
        if (opened !== null) return;
        said[item.kind] += item.value;
        const id = await message();
        const index = partIndex(item.kind);
        const text = annotated ? { value: item.value } : { value: item.value, annotations: [] };
        annotated = true;
        await writer.push(
          {
            event: 'thread.message.delta',
            data: {
              id,
              object: 'thread.message.delta',
              delta: {
                content: [
                  item.kind === 'text'
                    ? { index, type: 'text', text }
                    : { index, type: 'refusal', refusal: item.value },
                ],
              },
            },
          },
          item.value.length,
        );
        return;
      }
      case 'call': {
        const calls = await step();
        const place = { stepId: calls.stepId, index: calls.calls };
        calls.calls += 1;
        places.set(item.call, place);
        await writer.push(
          callDelta(place, {
            id: item.callId,
            function: { name: item.name, arguments: '', output: null },
          }),
          item.name.length,
        );
        return;
      }
      case 'arguments': {
        const place = places.get(item.call);
        if (place !== undefined)
          await writer.push(callDelta(place, { function: { arguments: item.value } }), item.value.length);
        return;
      }
    }
  };

  return {
    async news(news) {
      // In the model's order.
      for (const item of news) await one(item);
    },
    async message() {
      await message();
    },
    finish: () => writer.drain(),
    openMessage: () => messageId,
    begun: () => messageId !== null || opened !== null,
    stop: () => writer.stop(),
  };
};

const callDelta = (
  place: { stepId: string; index: number },
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
