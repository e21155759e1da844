/**
 * Chunks of Google's `streamGenerateContent`, as far as a turn needs them.
 *
 * Rule: parts of other kinds than text and calls do not reach the library, and of those that do only the named fields. The answer is
 * whole when a reason for its end has come, or the prompt was blocked. Pure. Imported by the adapter and tests.
 */
import { DROP, type EventGate, type GateVerdict } from '../ai-sdk/event-gate.ts';
import type { ReasonClass } from '../openai-compatible/finish-reasons.ts';
import { asList, count, record, text } from '../openai-compatible/json-text.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';

type Fields = Record<string, unknown>;

const partOf = (value: unknown): Fields[] => {
  const part = record(value);
  const signature = text(part['thoughtSignature'] ?? part['thought_signature']);
  const signed = signature === '' ? {} : { thoughtSignature: signature };
  const call = part['functionCall'];
  if (isRecord(call) && text(call['name']) !== '')
    return [
      {
        functionCall: {
          ...(text(call['id']) === '' ? {} : { id: text(call['id']) }),
          name: text(call['name']),
          args: isRecord(call['args']) ? call['args'] : {},
        },
        ...signed,
      },
    ];
  if (typeof part['text'] !== 'string') return [];
  return [{ text: part['text'], ...(part['thought'] === true ? { thought: true } : {}), ...signed }];
};

const COUNTS = [
  'promptTokenCount',
  'candidatesTokenCount',
  'thoughtsTokenCount',
  'totalTokenCount',
  'cachedContentTokenCount',
] as const;

const usageOf = (value: unknown): Fields | null => {
  if (!isRecord(value)) return null;
  return Object.fromEntries(
    COUNTS.map((name) => [name, count(value[name])] as const).filter(([, tokens]) => tokens !== null),
  );
};

export class GoogleGate implements EventGate {
  readonly countsFollow = true;
  reason: string | null = null;
  whole = false;
  meaning: ReasonClass | null = null;

  event(value: Fields): GateVerdict {
    if (value['error'] != null) return { kind: 'error', body: value };
    const blocked = text(record(value['promptFeedback'])['blockReason']);
    if (blocked !== '' && blocked !== 'BLOCK_REASON_UNSPECIFIED') {
      this.reason = blocked;
      this.meaning = 'content_filter';
      this.whole = true;
    }
    const usage = usageOf(value['usageMetadata']);
    const candidate = asList(value['candidates'])[0];
    if (!isRecord(candidate) && usage === null) return DROP;
    return {
      kind: 'pass',
      value: {
        ...(isRecord(candidate) ? { candidates: [this.#candidate(candidate)] } : {}),
        ...(usage === null ? {} : { usageMetadata: usage }),
      },
    };
  }

  #candidate(candidate: Fields): Fields {
    const reason = text(candidate['finishReason']);
    if (reason !== '') {
      this.reason = reason;
      this.whole = true;
    }
    const parts = asList(record(candidate['content'])['parts']).flatMap(partOf);
    return {
      ...(parts.length === 0 ? {} : { content: { role: 'model', parts } }),
      // The library asks again by itself for one reason, so it gets a reason of which it knows nothing more.
      ...(reason === '' ? {} : { finishReason: 'STOP' }),
    };
  }
}
