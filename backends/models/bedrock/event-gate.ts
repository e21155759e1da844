/**
 * Events of Bedrock's ConverseStream, as far as a turn needs them.
 *
 * Rule: events come as they are or not at all, since their frames have checksums. The answer is whole when `messageStop` has come;
 * token counts follow it. Pure. Imported by the adapter and tests.
 */
import { DROP, PASS, type EventGate, type GateVerdict } from '../ai-sdk/event-gate.ts';
import { EXCEPTION } from '../ai-sdk/wire-events.ts';
import { record, text } from '../openai-compatible/json-text.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';

type Fields = Record<string, unknown>;

/** A piece that the library can read; it gives up at any other. */
const isKnownPiece = (value: unknown): boolean => {
  const delta = record(value);
  if (typeof delta['text'] === 'string') return true;
  if (isRecord(delta['toolUse'])) return typeof delta['toolUse']['input'] === 'string';
  const reasoning = record(delta['reasoningContent']);
  return ['text', 'signature', 'data', 'redactedContent'].some((name) => typeof reasoning[name] === 'string');
};

export class BedrockGate implements EventGate {
  readonly countsFollow = true;
  reason: string | null = null;
  whole = false;

  event(value: Fields, name: string): GateVerdict {
    if (name.startsWith(EXCEPTION))
      return {
        kind: 'error',
        body: {
          type: name.slice(EXCEPTION.length),
          message: text(value['message']) || text(value['Message']),
        },
      };
    switch (name) {
      case 'messageStop':
        this.reason = text(value['stopReason']) || 'unknown';
        this.whole = true;
        return PASS;
      case 'contentBlockDelta':
        return isKnownPiece(value['delta']) ? PASS : DROP;
      case 'contentBlockStart':
      case 'contentBlockStop':
      case 'metadata':
        return PASS;
      default:
        return DROP;
    }
  }
}
