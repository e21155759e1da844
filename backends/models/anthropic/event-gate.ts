/**
 * Events of Anthropic's messages, as far as a turn needs them.
 *
 * Rule: kinds of events, blocks and pieces that are not listed here do not reach the library, and of those that do only the named
 * fields. An answer is whole when `message_stop` has come. Pure. Imported by the adapter and tests.
 */
import { DROP, PASS, type EventGate, type GateVerdict } from '../ai-sdk/event-gate.ts';
import { count, record, text } from '../openai-compatible/json-text.ts';

type Fields = Record<string, unknown>;

const BLOCKS: Readonly<Record<string, (block: Fields) => Fields>> = {
  text: (block) => ({ type: 'text', text: text(block['text']) }),
  thinking: (block) => ({ type: 'thinking', thinking: text(block['thinking']) }),
  redacted_thinking: (block) => ({ type: 'redacted_thinking', data: text(block['data']) }),
  tool_use: (block) => ({
    type: 'tool_use',
    id: text(block['id']),
    name: text(block['name']),
    input: record(block['input']),
  }),
};

const PIECES: Readonly<Record<string, (piece: Fields) => Fields>> = {
  text_delta: (piece) => ({ type: 'text_delta', text: text(piece['text']) }),
  thinking_delta: (piece) => ({ type: 'thinking_delta', thinking: text(piece['thinking']) }),
  signature_delta: (piece) => ({ type: 'signature_delta', signature: text(piece['signature']) }),
  input_json_delta: (piece) => ({ type: 'input_json_delta', partial_json: text(piece['partial_json']) }),
};

/** Counts that are there and are numbers. */
const usageOf = (value: unknown): Fields => {
  const usage = record(value);
  const thinking = count(record(usage['output_tokens_details'])['thinking_tokens']);
  const counts = Object.fromEntries(
    ['input_tokens', 'output_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens']
      .map((name) => [name, count(usage[name])] as const)
      .filter(([, tokens]) => tokens !== null),
  );
  return {
    ...counts,
    ...(thinking === null ? {} : { output_tokens_details: { thinking_tokens: thinking } }),
  };
};

const known = <Value>(table: Readonly<Record<string, Value>>, name: unknown): Value | undefined =>
  typeof name === 'string' && Object.hasOwn(table, name) ? table[name] : undefined;

export class AnthropicGate implements EventGate {
  readonly #open = new Set<number>();
  #started = false;
  #outputTokens = 0;
  reason: string | null = null;
  whole = false;

  event(value: Fields): GateVerdict {
    const index = count(value['index']) ?? -1;
    switch (value['type']) {
      case 'message_start':
        return this.#start(record(value['message']));
      case 'content_block_start':
        return this.#block(index, record(value['content_block']));
      case 'content_block_delta': {
        const piece = record(value['delta']);
        const read = known(PIECES, piece['type']);
        if (read === undefined || !this.#open.has(index)) return DROP;
        return { kind: 'pass', value: { type: 'content_block_delta', index, delta: read(piece) } };
      }
      case 'content_block_stop':
        return this.#open.delete(index)
          ? { kind: 'pass', value: { type: 'content_block_stop', index } }
          : DROP;
      case 'message_delta':
        return this.#delta(record(value['delta']), value['usage']);
      case 'message_stop':
        this.whole = true;
        return PASS;
      case 'error':
        return { kind: 'error', body: value };
      default:
        return DROP;
    }
  }

  #start(message: Fields): GateVerdict {
    if (this.#started) return DROP;
    this.#started = true;
    const usage = { input_tokens: 0, ...usageOf(message['usage']) };
    return { kind: 'pass', value: { type: 'message_start', message: { role: 'assistant', usage } } };
  }

  #block(index: number, block: Fields): GateVerdict {
    const read = known(BLOCKS, block['type']);
    if (read === undefined || index < 0) return DROP;
    this.#open.add(index);
    return { kind: 'pass', value: { type: 'content_block_start', index, content_block: read(block) } };
  }

  #delta(delta: Fields, given: unknown): GateVerdict {
    const reason = text(delta['stop_reason']);
    if (reason !== '') this.reason = reason;
    const usage = usageOf(given);
    this.#outputTokens = Math.max(this.#outputTokens, count(usage['output_tokens']) ?? 0);
    return {
      kind: 'pass',
      value: {
        type: 'message_delta',
        delta: { stop_reason: this.reason },
        usage: { ...usage, output_tokens: this.#outputTokens },
      },
    };
  }
}
