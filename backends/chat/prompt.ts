/**
 * Builds the model's messages from the thread's finished messages and rounds, cut to size. Pure.
 *
 * Rule: calls and their outputs are one unit, kept or dropped together, since a server refuses one without the other.
 * Whole turns are dropped before parts of a turn, old ones before new ones; the newest user message always stays.
 * Imported within `backends/chat/` and by tests.
 */
import type { ModelContent, ModelMessage } from '../../protocol/ports/model.ts';
import type { ContextItem } from '../../protocol/ports/turn-store.ts';
import type { MessageContent, TruncationStrategy, WireToolCall } from '../../protocol/wire/objects.ts';
import { isRecord } from '../../protocol/rules/is-record.ts';

/** Messages that are kept or dropped together. */
export interface PromptUnit {
  messages: ModelMessage[];
  /** Thread messages in the unit, which `last_messages` counts. */
  counted: number;
  calls: boolean;
}
/** From one user message to the next. */
export type PromptTurn = PromptUnit[];

const textOf = (content: readonly MessageContent[]): string =>
  content
    .map((part) => (part.type === 'text' ? part.text.value : part.type === 'refusal' ? part.refusal : ''))
    .filter((text) => text !== '')
    .join('\n');

const userContent = (content: readonly MessageContent[]): ModelContent[] => {
  if (content.every((part) => part.type !== 'image_url')) return [{ type: 'text', text: textOf(content) }];
  return content.map((part) =>
    part.type === 'image_url'
      ? { type: 'image', ...part.image_url }
      : { type: 'text', text: part.type === 'text' ? part.text.value : part.refusal },
  );
};

const NAME = /^[A-Za-z0-9_-]{1,64}$/;

const isJsonObject = (text: string): boolean => {
  try {
    return isRecord(JSON.parse(text));
  } catch {
    return false;
  }
};

/**
 * A call as it is repeated to a server. Some servers refuse invalid tool names, and some prompt templates break on
 * arguments that are no JSON object; the output that follows tells the model what was wrong.
 */
export const repeatable = (call: WireToolCall): WireToolCall => {
  const { name, arguments: text } = call.function;
  return {
    id: call.id,
    type: 'function',
    function: {
      name: NAME.test(name) ? name : name.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 64) || 'unknown',
      arguments: isJsonObject(text) ? text : JSON.stringify({ invalid_arguments: text }),
    },
  };
};

const roundUnit = (round: Extract<ContextItem, { kind: 'round' }>, said: string | null): PromptUnit => {
  const calls = round.calls.map(repeatable).map(({ id, function: called }) => ({ callId: id, ...called }));
  return {
    messages: [
      { role: 'assistant', text: said ?? '', calls, providerTurn: round.providerTurn },
      ...calls.map(({ callId, name }): ModelMessage => ({
        role: 'tool',
        callId,
        name,
        output: Object.hasOwn(round.outputs, callId) ? (round.outputs[callId] ?? '') : '',
      })),
    ],
    counted: said === null ? 0 : 1,
    calls: true,
  };
};

const precedesRound = (item: ContextItem, next: ContextItem | undefined): boolean =>
  item.kind === 'message' &&
  item.role === 'assistant' &&
  item.runId !== null &&
  next?.kind === 'round' &&
  next.runId === item.runId &&
  next.round === item.round;

/** Keeps the thread's order. A message before calls forms one unit with them. */
export const toUnits = (items: readonly ContextItem[]): PromptUnit[] => {
  const units: PromptUnit[] = [];
  for (let index = 0; index < items.length; index += 1) {
    const item = items[index];
    const next = items[index + 1];
    if (item === undefined) continue;
    if (item.kind === 'round') units.push(roundUnit(item, null));
    else if (next?.kind === 'round' && precedesRound(item, next)) {
      units.push(roundUnit(next, textOf(item.content)));
      index += 1;
    } else if (item.role === 'user')
      units.push({
        messages: [{ role: 'user', content: userContent(item.content) }],
        counted: 1,
        calls: false,
      });
    // A message without text (an empty answer) says nothing, and servers refuse it.
    else if (textOf(item.content) !== '')
      units.push({
        messages: [{ role: 'assistant', text: textOf(item.content), calls: [], providerTurn: null }],
        counted: 1,
        calls: false,
      });
  }
  return units;
};

const isUser = (unit: PromptUnit | undefined): boolean => unit?.messages[0]?.role === 'user';

/** A turn begins at a user message that follows another role. */
export const toTurns = (units: readonly PromptUnit[]): PromptTurn[] => {
  const turns: PromptTurn[] = [];
  for (const [index, unit] of units.entries()) {
    const last = turns.at(-1);
    if (last === undefined || (isUser(unit) && !isUser(units[index - 1]))) turns.push([unit]);
    else last.push(unit);
  }
  return turns;
};

export type Estimate = (messages: readonly ModelMessage[]) => number;

/** The text of a message as most providers send it; fields that only the provider understands count, too. */
const weighed = (message: ModelMessage): unknown => {
  if (message.role === 'system') return { role: 'system', content: message.text };
  if (message.role === 'tool') return { role: 'tool', tool_call_id: message.callId, content: message.output };
  if (message.role === 'user') {
    const [only] = message.content;
    const text = message.content.length === 1 && only?.type === 'text' ? only.text : null;
    const parts = message.content.map((part) => (part.type === 'image' ? { type: 'image' } : part));
    return { role: 'user', content: text ?? parts };
  }
  const { text, calls, providerTurn } = message;
  const tools = calls.map(({ callId, ...called }) => ({ id: callId, type: 'function', function: called }));
  return {
    role: 'assistant',
    content: text === '' ? null : text,
    ...(tools.length === 0 ? {} : { tool_calls: tools }),
    ...(providerTurn?.data == null ? {} : { data: providerTurn.data }),
  };
};

/** What most providers count for an image, whatever its bytes: a data URL holds millions of characters. */
const IMAGE_TOKENS = 1_100;
const LOW_DETAIL_TOKENS = 85;

const imageTokens = (message: ModelMessage): number =>
  message.role === 'user'
    ? message.content.reduce(
        (sum, part) =>
          part.type === 'image' ? sum + (part.detail === 'low' ? LOW_DETAIL_TOKENS : IMAGE_TOKENS) : sum,
        0,
      )
    : 0;

/**
 * An estimate without the model's tokenizer: four UTF-8 bytes a token, some for the frame of each message, and a fixed number for
 * each image.
 */
export const estimateTokens: Estimate = (messages) =>
  messages.reduce(
    (sum, message) =>
      sum + 4 + Math.ceil(Buffer.byteLength(JSON.stringify(weighed(message))) / 4) + imageTokens(message),
    0,
  );

const lastMessages = (units: readonly PromptUnit[], count: number): PromptUnit[] => {
  let left = count;
  let from = units.length;
  while (from > 0 && left > 0) {
    from -= 1;
    left -= units[from]?.counted ?? 0;
  }
  // Calls belong to the message before them; without it they would open the conversation.
  return units.slice(from);
};

const flat = (turns: readonly PromptTurn[]): ModelMessage[] =>
  turns.flatMap((turn) => turn.flatMap(({ messages }) => messages));

export interface PromptCut {
  messages: ModelMessage[];
  /** At least one unit was left out. */
  dropped: boolean;
  /** Nothing more can be left out. */
  minimal: boolean;
  tokens: number;
}

/**
 * `budget`: estimated tokens for the messages; null = no limit. When even the minimum is larger, the minimum is
 * returned, and the server decides.
 */
export const cutToSize = (
  items: readonly ContextItem[],
  strategy: TruncationStrategy,
  budget: number | null,
  estimate: Estimate = estimateTokens,
): PromptCut => {
  const all = toUnits(items);
  const units =
    strategy.type === 'last_messages' && strategy.last_messages != null
      ? lastMessages(all, strategy.last_messages)
      : all;
  const turns = toTurns(units);
  const weights = turns.map((turn) => turn.map(({ messages }) => estimate(messages)));
  let tokens = weights.flat().reduce((sum, weight) => sum + weight, 0);
  let dropped = units.length < all.length;
  const fits = (): boolean => budget === null || tokens <= budget;

  while (!fits() && turns.length > 1) {
    turns.shift();
    tokens -= (weights.shift() ?? []).reduce((sum, weight) => sum + weight, 0);
    dropped = true;
  }
  // In a long chain of calls within the newest turn, the oldest calls are dropped: the model works on the last ones.
  const turn = turns[0] ?? [];
  const turnWeights = weights[0] ?? [];
  const droppable = (): number => {
    const first = turn.findIndex(({ calls }) => calls);
    const last = turn.findLastIndex(({ calls }) => calls);
    return turns.length === 1 && first !== last ? first : -1;
  };
  while (!fits() && droppable() >= 0) {
    const at = droppable();
    turn.splice(at, 1);
    tokens -= turnWeights.splice(at, 1)[0] ?? 0;
    dropped = true;
  }
  return { messages: flat(turns), dropped, minimal: turns.length <= 1 && droppable() < 0, tokens };
};
