/**
 * The chat-completions wire as far as this backend speaks it: what it sends is exact, what it reads is unknown JSON.
 *
 * Rule: shapes only. Imported within `backends/chat/`.
 */
import type { WireToolCall } from '../../protocol/wire/objects.ts';

export type ChatContent =
  | string
  | (
      | { type: 'text'; text: string }
      | { type: 'image_url'; image_url: { url: string; detail?: 'auto' | 'low' | 'high' } }
    )[];

export type ChatMessage =
  | { role: 'system'; content: string }
  | { role: 'user'; content: ChatContent }
  | { role: 'assistant'; content: string | null; tool_calls?: WireToolCall[] }
  | { role: 'tool'; tool_call_id: string; content: string };

/** What one turn of the model added up to. */
export interface ModelTurn {
  text: string;
  refusal: string;
  calls: { callId: string; name: string; arguments: string }[];
  /** As the server named it; null = it named none. */
  finishReason: string | null;
  usage: { promptTokens: number; completionTokens: number; totalTokens: number } | null;
}
