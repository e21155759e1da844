/** A conversation with its calls. Rule: every text in it is a model's, a tool's or a person's, and is shown as text. */
import type { ConversationItem } from './conversation.ts';
import { messageText } from './conversation.ts';
import { EscapedLines, EscapedText } from '../ui/escaped-text.tsx';
import { JsonText } from '../ui/json-view.tsx';
import { TimeAgo } from '../ui/time-left.tsx';

const OUTPUT_CHARS = 2_000;

const pretty = (text: string): string => {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
};

const CallCard = ({ item }: { item: Extract<ConversationItem, { kind: 'call' }> }) => {
  const { call } = item;
  const { output } = call.function;
  const state =
    output === null ? (call.awaiting === undefined ? 'runs' : 'waits for an answer') : 'has an output';
  return (
    <details class="call-card">
      <summary>
        <code>
          <EscapedText text={call.function.name} />
        </code>{' '}
        <span class="muted">{state}</span>
        {call.decision === undefined ? null : (
          <span class="muted">
            {' '}
            · {call.decision.type === 'approve' ? 'approved' : 'denied'}
            {call.decision.by === null ? '' : ' by '}
            <EscapedText text={call.decision.by ?? ''} />
          </span>
        )}
      </summary>
      <h4>Arguments</h4>
      <JsonText text={pretty(call.function.arguments)} />
      {output === null ? null : (
        <>
          <h4>Output</h4>
          <EscapedLines text={output} most={OUTPUT_CHARS} />
        </>
      )}
    </details>
  );
};

const MessageCard = ({ item }: { item: Extract<ConversationItem, { kind: 'message' }> }) => {
  const { message } = item;
  const text = messageText(message);
  return (
    <div
      class={`message-card message-${message.role}${item.own || message.run_id === null ? '' : ' message-other'}`}
    >
      <p class="message-head muted small">
        {message.role === 'user' ? 'User' : 'Assistant'} · <TimeAgo at={message.created_at} />
        {message.status === 'incomplete' ? ' · broke off' : ''}
      </p>
      {text === '' ? <p class="muted">…</p> : <EscapedLines text={text} />}
    </div>
  );
};

export const ConversationView = ({ items, live }: { items: readonly ConversationItem[]; live: boolean }) => (
  <ol
    class="conversation"
    aria-label="Conversation"
    aria-live={live ? 'polite' : undefined}
    aria-relevant="additions"
  >
    {items.map((item) => (
      <li key={item.id}>{item.kind === 'call' ? <CallCard item={item} /> : <MessageCard item={item} />}</li>
    ))}
  </ol>
);
