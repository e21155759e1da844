/**
 * The conversation in the form of a chat-completions request.
 *
 * Rule: a turn of the same provider, dialect and model goes back unchanged, with ids and unknown fields; any other turn
 * becomes plain text and calls. Adjustments change the form of the conversation, never its content. Pure. Imported
 * within `backends/models/openai-compatible/` and by tests.
 */
import type { ModelContent, ModelMessage, ProviderTurn } from '../../../protocol/ports/model.ts';
import type { Adjustment } from './capabilities.ts';
import { shortCallId } from './call-ids.ts';
import { asList } from './json-text.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';

export interface Speaker {
  provider: string;
  dialect: string;
  model: string;
}

/** Fields of one turn: of its message, and of each of its calls (`function` holds those within it). */
export interface TurnFields {
  message: Record<string, unknown>;
  calls: (Record<string, unknown> | null)[];
}

type WireMessage = Record<string, unknown> & { role: string };

type Assistant = Extract<ModelMessage, { role: 'assistant' }>;

/** Fills a missing user message, or a missing assistant message between a tool's and a user's, for servers that require one. */
const FIRST_USER_TEXT = 'Begin.';
const CONTINUE_USER_TEXT = 'Go on.';
const FILLER_ASSISTANT_TEXT = 'OK.';

const isOwn = (turn: ProviderTurn | null, { provider, dialect, model }: Speaker): turn is ProviderTurn =>
  turn !== null && turn.provider === provider && turn.dialect === dialect && turn.model === model;

const fieldsOf = (turn: ProviderTurn): TurnFields => {
  const data = isRecord(turn.data) ? turn.data : {};
  return {
    message: isRecord(data['message']) ? data['message'] : {},
    calls: asList(data['calls']).map((one) => (isRecord(one) ? one : null)),
  };
};

const userContent = (content: readonly ModelContent[]): unknown =>
  content.every(({ type }) => type === 'text')
    ? content.map((part) => (part.type === 'text' ? part.text : '')).join('\n')
    : content.map((part) =>
        part.type === 'text'
          ? { type: 'text', text: part.text }
          : {
              type: 'image_url',
              image_url: { url: part.url, ...(part.detail === undefined ? {} : { detail: part.detail }) },
            },
      );

const callsInWords = (message: Assistant): string =>
  [message.text, ...message.calls.map(({ name, arguments: args }) => `[Called ${name} with ${args}]`)]
    .filter((line) => line !== '')
    .join('\n');

class Conversation {
  readonly #speaker: Speaker;
  readonly #with: ReadonlySet<Adjustment>;
  /** Our ids → the ones that are sent. */
  readonly #ids = new Map<string, string>();
  readonly #used = new Set<string>();
  readonly #inWords = new Set<string>();
  readonly messages: WireMessage[] = [];

  constructor(speaker: Speaker, adjustments: ReadonlySet<Adjustment>) {
    this.#speaker = speaker;
    this.#with = adjustments;
  }

  add(message: ModelMessage): void {
    if (message.role === 'system') this.messages.push({ role: 'system', content: message.text });
    else if (message.role === 'user')
      this.messages.push({ role: 'user', content: userContent(message.content) });
    else if (message.role === 'tool') this.#addOutput(message);
    else this.#addAssistant(message);
  }

  #addOutput({ callId, name, output }: Extract<ModelMessage, { role: 'tool' }>): void {
    if (this.#inWords.has(callId))
      this.messages.push({ role: 'user', content: `[${name} returned]\n${output}` });
    else
      this.messages.push({
        role: 'tool',
        tool_call_id: this.#ids.get(callId) ?? shortCallId(callId),
        content: output,
      });
  }

  #addAssistant(message: Assistant): void {
    const { text, calls, providerTurn } = message;
    const own = isOwn(providerTurn, this.#speaker) ? providerTurn : null;
    const fields = own === null || this.#with.has('no_provider_fields') ? null : fieldsOf(own);
    if (calls.length === 0) {
      this.messages.push({ ...fields?.message, role: 'assistant', content: text });
      return;
    }
    const hasFields =
      fields !== null && (Object.keys(fields.message).length > 0 || fields.calls.some((one) => one !== null));
    if (this.#with.has('foreign_calls_as_text') && !hasFields) {
      for (const { callId } of calls) this.#inWords.add(callId);
      this.messages.push({ role: 'assistant', content: callsInWords(message) });
      return;
    }
    this.messages.push({
      ...fields?.message,
      role: 'assistant',
      content: text === '' ? (this.#with.has('content_string') ? '' : null) : text,
      tool_calls: calls.map(({ callId, name, arguments: args }, index) => {
        const { function: inner, ...outer } = fields?.calls[index] ?? {};
        return {
          ...outer,
          id: this.#idFor(callId, own?.ids[index] ?? null),
          type: 'function',
          function: { ...(isRecord(inner) ? inner : {}), name, arguments: args },
        };
      }),
    });
  }

  #idFor(callId: string, theirs: string | null): string {
    const id =
      theirs === null || this.#with.has('short_call_ids') || this.#used.has(theirs)
        ? shortCallId(callId)
        : theirs;
    this.#used.add(id);
    this.#ids.set(callId, id);
    return id;
  }
}

const isText = (content: unknown): content is string => typeof content === 'string';

const joinedContent = (a: unknown, b: unknown): unknown => {
  if (isText(a) && isText(b)) return [a, b].filter((one) => one !== '').join('\n\n');
  const parts = (content: unknown): unknown[] =>
    isText(content) ? [{ type: 'text', text: content }] : asList(content);
  return [...parts(a), ...parts(b)];
};

const firstNotSystem = (messages: readonly WireMessage[]): number => {
  const at = messages.findIndex(({ role }) => role !== 'system');
  return at === -1 ? messages.length : at;
};

/** A user message first, then alternating roles; an assistant message between a tool's and a user's; a user's or a tool's at the end. */
const alternateRoles = (messages: readonly WireMessage[]): WireMessage[] => {
  const result: WireMessage[] = [];
  for (const message of messages) {
    const last = result.at(-1);
    const { role } = message;
    if (role === 'assistant' && (last === undefined || last.role === 'system'))
      result.push({ role: 'user', content: FIRST_USER_TEXT });
    if (role === 'user' && last?.role === 'tool')
      result.push({ role: 'assistant', content: FILLER_ASSISTANT_TEXT });
    const joins =
      last !== undefined && last.role === role && role !== 'tool' && last['tool_calls'] === undefined;
    if (!joins || last === undefined) result.push(message);
    else
      result[result.length - 1] = {
        ...last,
        ...message,
        content: joinedContent(last['content'] ?? '', message['content'] ?? ''),
      };
  }
  const last = result.at(-1);
  if (last?.role === 'assistant') result.push({ role: 'user', content: CONTINUE_USER_TEXT });
  return result;
};

const systemAsUser = (messages: readonly WireMessage[]): WireMessage[] => {
  const instructions = messages
    .filter(({ role }) => role === 'system')
    .map(({ content }) => (isText(content) ? content : ''))
    .join('\n\n');
  const rest = messages.filter(({ role }) => role !== 'system');
  if (instructions === '') return rest;
  const at = rest.findIndex(({ role }) => role === 'user');
  const first = rest[at];
  if (first === undefined || at > 0) return [{ role: 'user', content: instructions }, ...rest];
  return [{ ...first, content: joinedContent(instructions, first['content']) }, ...rest.slice(1)];
};

/** The `messages` of a request. */
export const wireMessages = (
  given: readonly ModelMessage[],
  speaker: Speaker,
  adjustments: ReadonlySet<Adjustment>,
): WireMessage[] => {
  const conversation = new Conversation(speaker, adjustments);
  for (const message of given) conversation.add(message);
  let { messages } = conversation;
  if (adjustments.has('no_system_role')) messages = systemAsUser(messages);
  const asks = messages.some(({ role }) => role === 'user');
  if (!asks && (adjustments.has('user_message') || messages.length === 0)) {
    const at = firstNotSystem(messages);
    messages = [
      ...messages.slice(0, at),
      { role: 'user', content: messages.length === 0 ? '' : FIRST_USER_TEXT },
      ...messages.slice(at),
    ];
  }
  return adjustments.has('roles_alternate') || adjustments.has('no_system_role')
    ? alternateRoles(messages)
    : messages;
};
