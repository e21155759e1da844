/**
 * Adds up a model's answer of one turn, and returns what to show.
 *
 * Rule: ids of calls are generated here; the provider's ids are kept apart. The complete call counts, whatever its
 * pieces added up to. Pure apart from generating ids.
 * Imported within `backends/chat/` and by tests.
 */
import type { ModelFinish, ModelPart, ModelUsage, ProviderTurn } from '../../protocol/ports/model.ts';
import type { ToolCall } from '../../protocol/tool-calls.ts';

/** What is new, as it is published. */
export type ModelDelta =
  | { kind: 'text' | 'refusal'; value: string }
  /** The call's name is complete and its arguments begin; once a call, before its `arguments`. */
  | { kind: 'call'; call: number; callId: string; name: string }
  | { kind: 'arguments'; call: number; value: string };

/** The complete answer of one turn. */
export interface ModelTurn {
  text: string;
  refusal: string;
  calls: ToolCall[];
  /** null = it has not ended. */
  finish: ModelFinish | null;
  usage: ModelUsage | null;
  providerTurn: ProviderTurn | null;
}

export interface TurnRecorder {
  /** Adds parts; returns what to show of them. */
  take(parts: readonly ModelPart[]): ModelDelta[];
  turn(): ModelTurn;
}

export const createTurnRecorder = (mint: () => string): TurnRecorder => {
  const said = { text: '', refusal: '' };
  const calls: ToolCall[] = [];
  let finish: ModelFinish | null = null;
  let usage: ModelUsage | null = null;
  let providerTurn: ProviderTurn | null = null;

  const one = (part: ModelPart): ModelDelta | null => {
    switch (part.kind) {
      case 'text':
      case 'refusal':
        said[part.kind] += part.text;
        return { kind: part.kind, value: part.text };
      case 'call_begun': {
        const callId = mint();
        calls[part.call] = { callId, name: part.name, arguments: '{}' };
        return { kind: 'call', call: part.call, callId, name: part.name };
      }
      case 'call_piece':
        return { kind: 'arguments', call: part.call, value: part.text };
      case 'call': {
        const call = calls[part.call];
        if (call !== undefined) call.arguments = part.arguments;
        return null;
      }
      case 'usage':
        usage = part.usage;
        return null;
      case 'provider_turn':
        providerTurn = part.turn;
        return null;
      case 'finish':
        finish = part.reason;
        return null;
      default:
        return null;
    }
  };

  return {
    take: (parts) => parts.map(one).filter((delta) => delta !== null),
    turn: () => ({ ...said, calls, finish, usage, providerTurn }),
  };
};
