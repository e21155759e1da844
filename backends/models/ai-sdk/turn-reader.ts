/**
 * Reads the parts of a library's stream as parts of the port, and keeps what must go back with a later turn.
 *
 * Rule: what is kept has the order of the answer, and of the provider's data only the named fields. Pure.
 * Imported by the adapter and tests.
 */
import type { ModelPart, ModelUsage } from '../../../protocol/ports/model.ts';
import type { AnswerMeter } from '../../answer-meter.ts';
import { usableIds } from '../openai-compatible/call-ids.ts';
import { record } from '../openai-compatible/json-text.ts';
import type { KeptPart } from './prompt.ts';
import type { SdkOptions, SdkPart } from './sdk-types.ts';

export interface TurnReaderOptions {
  meter: AnswerMeter;
  metaKey: string;
  /** Fields of the provider's data that go back. */
  kept: ReadonlySet<string>;
  /** Reasoning goes back also without such fields. */
  keepsReasoning?: boolean;
  /** The id of a call is the provider's own, and not one that the library has made. */
  ownIds: boolean;
}

interface OpenCall {
  number: number;
  id: string;
  name: string;
  /** Arguments so far. */
  text: string;
  whole: boolean;
}

export class TurnReader {
  readonly #options: TurnReaderOptions;
  readonly #parts: KeptPart[] = [];
  readonly #open = new Map<string, Exclude<KeptPart, { kind: 'call' }>>();
  readonly #calls: OpenCall[] = [];
  usage: ModelUsage | null = null;
  unreadable: unknown = null;

  constructor(options: TurnReaderOptions) {
    this.#options = options;
  }

  get calls(): number {
    return this.#calls.length;
  }

  /** Every call that was begun is whole. */
  get complete(): boolean {
    return this.#calls.every(({ whole }) => whole);
  }

  get spoke(): boolean {
    return this.#parts.some((part) => part.kind === 'call' || part.kind === 'reasoning' || part.chars > 0);
  }

  take(given: unknown): ModelPart[] {
    const part = given as SdkPart;
    switch (part.type) {
      case 'text-start':
      case 'reasoning-start':
        this.#segment(part.type === 'text-start' ? 'text' : 'reasoning', part.id, part.providerMetadata);
        return [];
      case 'text-delta':
      case 'reasoning-delta':
        return this.#said(
          part.type === 'text-delta' ? 'text' : 'reasoning',
          part.id,
          part.delta,
          part.providerMetadata,
        );
      case 'text-end':
      case 'reasoning-end': {
        const kind = part.type === 'text-end' ? 'text' : 'reasoning';
        this.#addMeta(this.#open.get(`${kind} ${part.id}`), part.providerMetadata);
        this.#open.delete(`${kind} ${part.id}`);
        return [];
      }
      case 'tool-input-start':
        return this.#begin(part.id, part.toolName);
      case 'tool-input-delta':
        return this.#piece(part.id, part.delta);
      case 'tool-call':
        return this.#whole(part);
      case 'error':
        this.unreadable ??= part.error ?? new Error('the library gave no reason');
        return [];
      case 'finish':
        this.usage = usageOf(part.usage);
        return [];
      default:
        return [];
    }
  }

  /** Calls that the end of the answer cut off, as far as they came. */
  cutCalls(): ModelPart[] {
    return this.#calls
      .filter(({ whole }) => !whole)
      .map(({ number, name, text }) => ({
        kind: 'call',
        call: number,
        name,
        arguments: text === '' ? '{}' : text,
      }));
  }

  /** What goes back: ids of the calls, and parts with data that only the provider understands; null = there are none. */
  kept(): { ids: (string | null)[]; data: { parts: KeptPart[] } | null } {
    const { keepsReasoning = false } = this.#options;
    const parts = this.#parts.filter(
      (part) => part.kind !== 'reasoning' || part.meta !== null || keepsReasoning,
    );
    const ids = this.#calls.map(({ id }) => (this.#options.ownIds ? id : null));
    return {
      ids: usableIds(ids),
      data: parts.some(({ kind, meta }) => kind === 'reasoning' || meta !== null) ? { parts } : null,
    };
  }

  #segment(
    kind: 'text' | 'reasoning',
    id: string,
    metadata: SdkOptions | undefined,
  ): Exclude<KeptPart, { kind: 'call' }> {
    const key = `${kind} ${id}`;
    const known = this.#open.get(key);
    if (known !== undefined) {
      this.#addMeta(known, metadata);
      return known;
    }
    const made: Exclude<KeptPart, { kind: 'call' }> =
      kind === 'text' ? { kind, chars: 0, meta: null } : { kind, text: '', meta: null };
    this.#open.set(key, made);
    this.#parts.push(made);
    this.#addMeta(made, metadata);
    return made;
  }

  #said(
    kind: 'text' | 'reasoning',
    id: string,
    delta: string,
    metadata: SdkOptions | undefined,
  ): ModelPart[] {
    const segment = this.#segment(kind, id, metadata);
    if (delta === '') return [];
    this.#options.meter.text(delta);
    if (segment.kind === 'text') segment.chars += delta.length;
    else segment.text += delta;
    return [{ kind, text: delta }];
  }

  #begin(id: string, name: string): ModelPart[] {
    this.#options.meter.call();
    this.#options.meter.name(name.length);
    const call: OpenCall = { number: this.#calls.length, id, name, text: '', whole: false };
    this.#calls.push(call);
    return [{ kind: 'call_begun', call: call.number, name }];
  }

  #openCall(id: string): OpenCall | undefined {
    return this.#calls.findLast((call) => call.id === id && !call.whole);
  }

  #piece(id: string, text: string): ModelPart[] {
    const call = this.#openCall(id);
    if (call === undefined || text === '') return [];
    this.#options.meter.arguments(text.length, call.text.length + text.length);
    call.text += text;
    return [{ kind: 'call_piece', call: call.number, text }];
  }

  #whole(part: Extract<SdkPart, { type: 'tool-call' }>): ModelPart[] {
    const begun =
      this.#openCall(part.toolCallId) === undefined ? this.#begin(part.toolCallId, part.toolName) : [];
    const call = this.#openCall(part.toolCallId);
    if (call === undefined) return begun;
    const args = part.input.trim() === '' ? '{}' : part.input;
    if (call.text === '') this.#options.meter.arguments(args.length, args.length);
    call.whole = true;
    const kept: KeptPart = { kind: 'call', call: call.number, meta: null };
    this.#parts.push(kept);
    this.#addMeta(kept, part.providerMetadata);
    return [...begun, { kind: 'call', call: call.number, name: call.name, arguments: args }];
  }

  #addMeta(part: KeptPart | undefined, metadata: SdkOptions | undefined): void {
    if (part === undefined || metadata === undefined) return;
    for (const [name, value] of Object.entries(record(metadata[this.#options.metaKey])))
      if (this.#options.kept.has(name) && value != null) part.meta = { ...part.meta, [name]: value };
  }
}

const usageOf = ({
  inputTokens,
  outputTokens,
}: Extract<SdkPart, { type: 'finish' }>['usage']): ModelUsage | null => {
  if (inputTokens.total === undefined && outputTokens.total === undefined) return null;
  const promptTokens = inputTokens.total ?? 0;
  const completionTokens = outputTokens.total ?? 0;
  return {
    promptTokens,
    completionTokens,
    totalTokens: promptTokens + completionTokens,
    cachedTokens: inputTokens.cacheRead ?? null,
    reasoningTokens: outputTokens.reasoning ?? null,
  };
};
