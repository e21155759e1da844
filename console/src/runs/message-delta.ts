/** A message with the text of a delta. Rule: pure. */
import type { MessageDelta } from '../../../protocol/wire/events.ts';
import type { Message } from '../../../protocol/wire/objects.ts';

export const withDelta = (message: Message, { delta }: Pick<MessageDelta, 'delta'>): Message => {
  const content = [...message.content];
  for (const part of delta.content) {
    const known = content[part.index];
    const text = part.text?.value ?? '';
    content[part.index] =
      known?.type === 'text'
        ? { type: 'text', text: { ...known.text, value: known.text.value + text } }
        : { type: 'text', text: { value: text, annotations: [] } };
  }
  return { ...message, content };
};
