/**
 * Shows a turn while it is spoken: opens the message with its first word, a step with its first call, and writes deltas.
 *
 * Rule: a message or a step is in the log before the first delta of it, and deltas keep the model's order.
 * Imported by `turn.ts`.
 */
import type { Lease, TurnStore } from '../../protocol/store.ts';
import type { News } from './chunks.ts';
import { DeltaWriter } from './writer.ts';

export interface Show {
  news(news: readonly News[]): Promise<void>;
  /** Makes sure that there is a message, if only an empty one. */
  message(): Promise<void>;
  /** Everything shown is written. */
  finish(): Promise<void>;
  openMessage(): string | null;
  stop(): void;
}

export interface ShowOptions {
  /** Who answers a call of this name: decides in which step it is shown. */
  kindOf(name: string): 'worker' | 'external';
  now(): number;
  flushMs: number;
  fence(): void;
}

export const createShow = (store: TurnStore, lease: Lease, options: ShowOptions): Show => {
  const writer = new DeltaWriter({
    intervalMs: options.flushMs,
    append: async (events) => {
      options.fence();
      await store.appendDeltas(lease, events);
    },
  });
  let messageId: string | null = null;
  let annotated = false;
  const parts: ('text' | 'refusal')[] = [];
  const steps = new Map<'worker' | 'external', { stepId: string; calls: number }>();
  const places = new Map<number, { stepId: string; index: number }>();

  const message = async (): Promise<string> => {
    if (messageId === null) {
      await writer.drain();
      options.fence();
      messageId = (await store.openMessage(lease, options.now())).messageId;
    }
    return messageId;
  };

  const step = async (kind: 'worker' | 'external'): Promise<{ stepId: string; calls: number }> => {
    const known = steps.get(kind);
    if (known !== undefined) return known;
    await writer.drain();
    options.fence();
    const { stepId } = await store.openCalls(lease, kind, options.now());
    const opened = { stepId, calls: 0 };
    steps.set(kind, opened);
    return opened;
  };

  const partIndex = (kind: 'text' | 'refusal'): number => {
    if (!parts.includes(kind)) parts.push(kind);
    return parts.indexOf(kind);
  };

  const one = async (item: News): Promise<void> => {
    switch (item.kind) {
      case 'text':
      case 'refusal': {
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
        const opened = await step(options.kindOf(item.name));
        const place = { stepId: opened.stepId, index: opened.calls };
        opened.calls += 1;
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
