/**
 * A run's conversation: the thread's messages, and the run's calls where the model made them.
 *
 * Rule: pure. Steps say the order of what the run itself wrote; other messages keep theirs.
 */
import type { Message, RunStep } from '../../../protocol/wire/objects.ts';
import type { StepToolCall } from '../../../protocol/wire/decisions.ts';

export type ConversationItem =
  | { kind: 'message'; id: string; message: Message; own: boolean }
  | { kind: 'call'; id: string; call: StepToolCall; step: RunStep };

const ownItems = (
  messages: ReadonlyMap<string, Message>,
  steps: readonly RunStep[],
): { items: ConversationItem[]; placed: Set<string> } => {
  const items: ConversationItem[] = [];
  const placed = new Set<string>();
  for (const step of steps) {
    const { step_details: details } = step;
    if (details.type === 'tool_calls') {
      for (const call of details.tool_calls)
        items.push({ kind: 'call', id: `${step.id}:${call.id}`, call, step });
      continue;
    }
    const message = messages.get(details.message_creation.message_id);
    if (message === undefined || placed.has(message.id)) continue;
    placed.add(message.id);
    items.push({ kind: 'message', id: message.id, message, own: true });
  }
  return { items, placed };
};

const asItem = (message: Message, isOwn: boolean): ConversationItem => ({
  kind: 'message',
  id: message.id,
  message,
  own: isOwn,
});

/** `messages` and `steps`: oldest first. */
export const conversationOf = (
  messages: readonly Message[],
  steps: readonly RunStep[],
  run: { id: string; created_at: number },
): ConversationItem[] => {
  const own = new Map(messages.filter(({ run_id: of }) => of === run.id).map((one) => [one.id, one]));
  const { items, placed } = ownItems(own, steps);
  const unplaced = [...own.values()].filter(({ id }) => !placed.has(id));
  const others = messages.filter(({ id }) => !own.has(id));
  const before = others.filter(({ created_at: at }) => at <= run.created_at);
  const after = others.filter(({ created_at: at }) => at > run.created_at);
  return [
    ...before.map((message) => asItem(message, false)),
    ...items,
    ...unplaced.map((message) => asItem(message, true)),
    ...after.map((message) => asItem(message, false)),
  ];
};

/** The text of a message; pictures are named. */
export const messageText = ({ content }: Pick<Message, 'content'>): string =>
  content
    .map((part) =>
      part.type === 'text'
        ? part.text.value
        : part.type === 'refusal'
          ? part.refusal
          : `[picture ${part.image_url.url.slice(0, 200)}]`,
    )
    .join('\n');
