/**
 * The conversation as a provider's library takes it.
 *
 * Rule: a turn of this provider, dialect and model goes back as it came, in the order of its parts; any other turn is plain text
 * and calls, whose ids are nine alphanumerics. A user speaks first and last: two providers refuse anything else. Pure.
 * Imported within `backends/models/` and by tests.
 */
import type { ModelContent, ModelMessage, ProviderTurn } from '../../../protocol/ports/model.ts';
import { shortCallId } from '../openai-compatible/call-ids.ts';
import { asList, count, record, text } from '../openai-compatible/json-text.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';
import type { Speaker } from '../openai-compatible/messages.ts';
import type { SdkCall, SdkFile, SdkMessage, SdkOptions, SdkReasoning, SdkText } from './sdk-types.ts';

/** One part of an answer that goes back: `meta` is what only the provider understands. */
export type KeptPart =
  | { kind: 'reasoning'; text: string; meta: Record<string, unknown> | null }
  /** Characters of the turn's text, which is stored elsewhere. */
  | { kind: 'text'; chars: number; meta: Record<string, unknown> | null }
  /** The number of a call within the turn. */
  | { kind: 'call'; call: number; meta: Record<string, unknown> | null };

export interface PromptOptions {
  speaker: Speaker;
  /** The library's name of the provider in its options. */
  metaKey: string;
  /** Nothing that only the provider understands is sent back. */
  plain: boolean;
  /** Calls of turns that are not the model's own are told in words. */
  foreignCallsAsText: boolean;
}

type Assistant = Extract<ModelMessage, { role: 'assistant' }>;
type AssistantPart = SdkText | SdkReasoning | SdkCall;

const BEGIN = 'Begin.';
const GO_ON = 'Go on.';

const isOwn = (turn: ProviderTurn | null, { provider, dialect, model }: Speaker): turn is ProviderTurn =>
  turn !== null && turn.provider === provider && turn.dialect === dialect && turn.model === model;

const keptParts = (turn: ProviderTurn): KeptPart[] =>
  asList(record(turn.data)['parts']).flatMap((one): KeptPart[] => {
    const part = record(one);
    const meta = isRecord(part['meta']) ? part['meta'] : null;
    if (part['kind'] === 'reasoning') return [{ kind: 'reasoning', text: text(part['text']), meta }];
    if (part['kind'] === 'text') return [{ kind: 'text', chars: count(part['chars']) ?? 0, meta }];
    return part['kind'] === 'call' ? [{ kind: 'call', call: count(part['call']) ?? -1, meta }] : [];
  });

/** A data URL as its type and its bytes in base64; any other URL is the provider's to fetch. */
const imagePart = (url: string): SdkFile => {
  const [, mediaType, data] = /^data:([\w.+-]+\/[\w.+-]+)(?:;[\w=.-]+)*;base64,(.*)$/s.exec(url) ?? [];
  return mediaType === undefined || data === undefined
    ? { type: 'file', mediaType: 'image/*', data: new URL(url) }
    : { type: 'file', mediaType, data };
};

const argumentsOf = (value: string): unknown => {
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return { invalid_arguments: value };
  }
};

class SdkConversation {
  readonly #options: PromptOptions;
  /** Our ids → the ones that are sent. */
  readonly #ids = new Map<string, string>();
  readonly #inWords = new Set<string>();
  readonly messages: SdkMessage[] = [];

  constructor(options: PromptOptions) {
    this.#options = options;
  }

  add(message: ModelMessage): void {
    if (message.role === 'system') this.messages.push({ role: 'system', content: message.text });
    else if (message.role === 'user') this.#say(this.#userParts(message.content));
    else if (message.role === 'tool') this.#addOutput(message);
    else this.#addAssistant(message);
  }

  #say(content: (SdkText | SdkFile)[]): void {
    if (content.length > 0) this.messages.push({ role: 'user', content });
  }

  #userParts(content: readonly ModelContent[]): (SdkText | SdkFile)[] {
    return content.flatMap((part): (SdkText | SdkFile)[] => {
      if (part.type === 'text') return part.text === '' ? [] : [{ type: 'text', text: part.text }];
      const file = imagePart(part.url);
      const { metaKey } = this.#options;
      return [
        part.detail === undefined || metaKey !== 'openai'
          ? file
          : { ...file, providerOptions: { openai: { imageDetail: part.detail } } },
      ];
    });
  }

  #addOutput({ callId, name, output }: Extract<ModelMessage, { role: 'tool' }>): void {
    if (this.#inWords.has(callId)) {
      this.#say([{ type: 'text', text: `[${name} returned]\n${output}` }]);
      return;
    }
    const result = {
      type: 'tool-result' as const,
      toolCallId: this.#ids.get(callId) ?? shortCallId(callId),
      toolName: name,
      output: { type: 'text' as const, value: output },
    };
    const last = this.messages.at(-1);
    // Outputs of one turn are one message: providers refuse a turn that is answered in parts.
    if (last?.role === 'tool') last.content.push(result);
    else this.messages.push({ role: 'tool', content: [result] });
  }

  #addAssistant(message: Assistant): void {
    const { speaker, plain, foreignCallsAsText } = this.#options;
    const own = !plain && isOwn(message.providerTurn, speaker) ? message.providerTurn : null;
    const content =
      own !== null
        ? this.#ownParts(message, own)
        : foreignCallsAsText && message.calls.length > 0
          ? this.#inWordsOf(message)
          : this.#plainParts(message);
    if (content.length > 0) this.messages.push({ role: 'assistant', content });
  }

  #plainParts({ text: said, calls }: Assistant): AssistantPart[] {
    return [
      ...(said === '' ? [] : [{ type: 'text' as const, text: said }]),
      ...calls.map((call) => this.#call(call, shortCallId(call.callId))),
    ];
  }

  #inWordsOf({ text: said, calls }: Assistant): AssistantPart[] {
    for (const { callId } of calls) this.#inWords.add(callId);
    const lines = calls.map(({ name, arguments: args }) => `[Called ${name} with ${args}]`);
    return [{ type: 'text', text: [said, ...lines].filter((line) => line !== '').join('\n') }];
  }

  /** Parts as they came. Text that is not the stored one, and calls that no part names, come at their usual place. */
  #ownParts(message: Assistant, turn: ProviderTurn): AssistantPart[] {
    const { text: said, calls } = message;
    const parts = keptParts(turn);
    const chars = parts.reduce((sum, part) => sum + (part.kind === 'text' ? part.chars : 0), 0);
    const idOf = (index: number, callId: string): string => turn.ids[index] ?? shortCallId(callId);
    const named = new Set(parts.flatMap((part) => (part.kind === 'call' ? [part.call] : [])));
    const result: AssistantPart[] = [];
    let from = 0;
    for (const part of parts) {
      if (part.kind === 'reasoning')
        result.push({ type: 'reasoning', text: part.text, ...this.#meta(part.meta) });
      else if (part.kind === 'text' && chars === said.length) {
        const slice = said.slice(from, (from += part.chars));
        if (slice !== '' || part.meta !== null)
          result.push({ type: 'text', text: slice, ...this.#meta(part.meta) });
      } else if (part.kind === 'call') {
        const call = calls[part.call];
        if (call !== undefined)
          result.push({ ...this.#call(call, idOf(part.call, call.callId)), ...this.#meta(part.meta) });
      }
    }
    if (chars !== said.length && said !== '') {
      const at = result.findIndex(({ type }) => type !== 'reasoning');
      result.splice(at === -1 ? result.length : at, 0, { type: 'text', text: said });
    }
    for (const [index, call] of calls.entries())
      if (!named.has(index)) result.push(this.#call(call, idOf(index, call.callId)));
    return result;
  }

  #call({ callId, name, arguments: args }: Assistant['calls'][number], id: string): SdkCall {
    this.#ids.set(callId, id);
    return { type: 'tool-call', toolCallId: id, toolName: name, input: argumentsOf(args) };
  }

  #meta(meta: Record<string, unknown> | null): { providerOptions?: SdkOptions } {
    return meta === null ? {} : { providerOptions: { [this.#options.metaKey]: meta as SdkOptions[string] } };
  }
}

/** The `prompt` of a request to a library. */
export const sdkPrompt = (given: readonly ModelMessage[], options: PromptOptions): SdkMessage[] => {
  const conversation = new SdkConversation(options);
  for (const message of given) conversation.add(message);
  const { messages } = conversation;
  const at = messages.findIndex(({ role }) => role !== 'system');
  const first = messages[at];
  if (first === undefined || first.role !== 'user')
    messages.splice(at === -1 ? messages.length : at, 0, {
      role: 'user',
      content: [{ type: 'text', text: BEGIN }],
    });
  if (messages.at(-1)?.role === 'assistant')
    messages.push({ role: 'user', content: [{ type: 'text', text: GO_ON }] });
  return messages;
};

/** Turns of this request that hold data which only the provider understands. */
export const givenBack = (given: readonly ModelMessage[], speaker: Speaker): ProviderTurn[] =>
  given.flatMap((message) =>
    message.role === 'assistant' && isOwn(message.providerTurn, speaker) && message.providerTurn.data !== null
      ? [message.providerTurn]
      : [],
  );
