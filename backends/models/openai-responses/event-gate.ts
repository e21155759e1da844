/**
 * Events of OpenAI's Responses, as far as a turn needs them.
 *
 * Rule: kinds of events and items that are not listed here do not reach the library, and of those that do only the named fields.
 * An answer is whole when `response.completed` or `response.incomplete` has come. Pure. Imported by the adapter and tests.
 */
import { DROP, type EventGate, type GateVerdict } from '../ai-sdk/event-gate.ts';
import { count, record, text } from '../openai-compatible/json-text.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';

type Fields = Record<string, unknown>;

const PHASES: ReadonlySet<unknown> = new Set(['commentary', 'final_answer']);

const ITEMS: Readonly<Record<string, (item: Fields) => Fields>> = {
  message: ({ id, phase }) => ({
    type: 'message',
    id: text(id),
    ...(PHASES.has(phase) ? { phase } : {}),
  }),
  reasoning: ({ id, encrypted_content: encrypted }) => ({
    type: 'reasoning',
    id: text(id),
    ...(typeof encrypted === 'string' ? { encrypted_content: encrypted } : {}),
  }),
  function_call: ({ id, call_id: callId, name, arguments: args }) => ({
    type: 'function_call',
    id: text(id),
    call_id: text(callId),
    name: text(name),
    arguments: text(args),
    status: 'completed',
  }),
};

const usageOf = (value: unknown): Fields | null => {
  if (!isRecord(value)) return null;
  const cached = count(record(value['input_tokens_details'])['cached_tokens']);
  const reasoning = count(record(value['output_tokens_details'])['reasoning_tokens']);
  return {
    input_tokens: count(value['input_tokens']) ?? 0,
    output_tokens: count(value['output_tokens']) ?? 0,
    ...(cached === null ? {} : { input_tokens_details: { cached_tokens: cached } }),
    ...(reasoning === null ? {} : { output_tokens_details: { reasoning_tokens: reasoning } }),
  };
};

const pass = (value: Fields): GateVerdict => ({ kind: 'pass', value });

export class ResponsesGate implements EventGate {
  readonly #items = new Set<string>();
  #refusal = '';
  reason: string | null = null;
  whole = false;

  get refusal(): string | null {
    return this.#refusal === '' ? null : this.#refusal;
  }

  event(value: Fields, name: string): GateVerdict {
    const type = text(value['type']) || name;
    switch (type) {
      case 'response.created':
        return this.#created(record(value['response']));
      case 'response.output_item.added':
      case 'response.output_item.done':
        return this.#item(type, value);
      case 'response.output_text.delta':
        return this.#piece(value, { type, item_id: text(value['item_id']), delta: text(value['delta']) });
      case 'response.function_call_arguments.delta':
        return this.#piece(value, {
          type,
          item_id: text(value['item_id']),
          output_index: count(value['output_index']) ?? 0,
          delta: text(value['delta']),
        });
      case 'response.reasoning_summary_part.added':
      case 'response.reasoning_summary_part.done':
      case 'response.reasoning_summary_text.delta':
        return this.#piece(value, {
          type,
          item_id: text(value['item_id']),
          summary_index: count(value['summary_index']) ?? 0,
          ...(type.endsWith('delta') ? { delta: text(value['delta']) } : {}),
        });
      case 'response.refusal.delta':
        this.#refusal += text(value['delta']);
        return DROP;
      case 'response.completed':
      case 'response.incomplete':
        return this.#end(type, record(value['response']));
      case 'response.failed':
        return {
          kind: 'error',
          body: { error: record(value['response'])['error'] ?? 'the response failed' },
        };
      case 'error':
        return {
          kind: 'error',
          body: isRecord(value['error']) ? { error: value['error'] } : withoutType(value),
        };
      default:
        // An error without a type, as gateways send it.
        return value['error'] == null ? DROP : { kind: 'error', body: value };
    }
  }

  #created({ id, model, created_at: at }: Fields): GateVerdict {
    return pass({
      type: 'response.created',
      response: { id: text(id), created_at: count(at) ?? 0, model: text(model) },
    });
  }

  #item(type: string, value: Fields): GateVerdict {
    const item = record(value['item']);
    const kind = text(item['type']);
    const read = Object.hasOwn(ITEMS, kind) ? ITEMS[kind] : undefined;
    if (read === undefined) return DROP;
    this.#items.add(text(item['id']));
    return pass({ type, output_index: count(value['output_index']) ?? 0, item: read(item) });
  }

  /** A piece of an item that the library has seen begin. */
  #piece(value: Fields, piece: Fields): GateVerdict {
    return this.#items.has(text(value['item_id'])) ? pass(piece) : DROP;
  }

  #end(type: string, response: Fields): GateVerdict {
    this.whole = true;
    const why = text(record(response['incomplete_details'])['reason']);
    this.reason = why || (type === 'response.completed' ? 'completed' : 'incomplete');
    return pass({
      type,
      response: {
        incomplete_details: why === '' ? null : { reason: why },
        usage: usageOf(response['usage']),
      },
    });
  }
}

/** `type: "error"` is the event's, and no code of an error. */
const withoutType = ({ type: _type, ...error }: Fields): Fields => ({ error });
