/**
 * Adds up what a model server says, chunk by chunk, and says what is new in each. Pure apart from minting call ids.
 *
 * Rule: tolerant reading. Servers leave out a call's index or id, repeat ids, send names in pieces or again and again,
 * arguments as an object, a whole message instead of a delta. Ids are ours, always: theirs only tell calls apart.
 * Each piece is counted before it is kept (`AnswerLimitError`), and costs the same however many came before it.
 * Imported within `backends/chat/` and by tests.
 */
import { AnswerMeter } from '../answer-meter.ts';
import type { ModelTurn } from './types.ts';

export type ModelDelta =
  | { kind: 'text' | 'refusal'; value: string }
  /** The call's name is complete and its arguments begin; told once a call, before any `arguments` of it. */
  | { kind: 'call'; call: number; callId: string; name: string }
  | { kind: 'arguments'; call: number; value: string };

interface OpenCall {
  /** Its place among the calls. */
  at: number;
  callId: string;
  theirIndex: number | null;
  theirId: string | null;
  name: string;
  arguments: string;
  told: boolean;
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const count = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? Math.floor(value) : null;

/** Content as text: a string, or parts of which some are text. */
const spoken = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : list(value)
        .map((part) => text(record(part)['text']))
        .join('');

const argumentsText = (value: unknown): string => {
  if (typeof value === 'string') return value;
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : '';
};

const usageOf = (value: unknown): ModelTurn['usage'] => {
  const usage = record(value);
  const prompt = count(usage['prompt_tokens']);
  const completion = count(usage['completion_tokens']);
  if (prompt === null && completion === null) return null;
  const sum = (prompt ?? 0) + (completion ?? 0);
  return {
    promptTokens: prompt ?? 0,
    completionTokens: completion ?? 0,
    totalTokens: count(usage['total_tokens']) ?? sum,
  };
};

export interface TurnReader {
  /** One chunk (or a whole completion) of parsed JSON; what is new in it. */
  push(chunk: unknown): ModelDelta[];
  /** What is left to tell once nothing more comes: calls whose arguments never began. */
  end(): ModelDelta[];
  turn(): ModelTurn;
  /** Did the server say that it is done? */
  readonly finished: boolean;
  /** Did it say that it could not go on? Some routers end a stream like this when the server behind them fails. */
  readonly brokeOff: boolean;
}

export const createTurnReader = (mint: () => string, meter = new AnswerMeter()): TurnReader => {
  const calls: OpenCall[] = [];
  // The newest call of an index, the first of an id: looked up for each piece, of which there may be a million.
  const byIndex = new Map<number, OpenCall>();
  const byId = new Map<string, OpenCall>();
  let complete = 0;
  let said = '';
  let refusal = '';
  let finishReason: string | null = null;
  let usage: ModelTurn['usage'] = null;

  const open = (theirIndex: number | null, theirId: string | null): OpenCall => {
    meter.call();
    const call = {
      at: calls.length,
      callId: mint(),
      theirIndex,
      theirId,
      name: '',
      arguments: '',
      told: false,
    };
    calls.push(call);
    if (theirIndex !== null) byIndex.set(theirIndex, call);
    if (theirId !== null && !byId.has(theirId)) byId.set(theirId, call);
    return call;
  };

  /** Which call a piece belongs to. */
  const find = (piece: Record<string, unknown>, name: string): OpenCall => {
    const index = count(piece['index']);
    const id = text(piece['id']) || null;
    const last = calls.at(-1);
    if (index !== null) {
      const same = byIndex.get(index);
      if (same === undefined) return open(index, id);
      // Some servers number every parallel call 0: another id together with a name is another call.
      const another = id !== null && same.theirId !== null && id !== same.theirId && name !== '';
      return another ? open(index, id) : same;
    }
    if (id !== null) return byId.get(id) ?? open(null, id);
    // Neither index nor id: a name after arguments begins the next call, anything else goes on with the last.
    if (last === undefined || (name !== '' && last.arguments !== '')) return open(null, null);
    return last;
  };

  const tell = (call: OpenCall): ModelDelta[] => {
    if (call.told) return [];
    call.told = true;
    return [{ kind: 'call', call: call.at, callId: call.callId, name: call.name }];
  };

  const pushCall = (value: unknown): ModelDelta[] => {
    const piece = record(value);
    const fn = record(piece['function']);
    const name = text(fn['name']);
    const call = find(piece, name);
    // The call before this one is complete when the next one begins.
    const before = calls.slice(complete, -1);
    complete = calls.length - 1;
    const news = before.flatMap(tell);
    // Names come whole, in pieces, or whole with every chunk.
    if (!call.told && name !== '' && name !== call.name) {
      meter.name(name.length);
      call.name += name;
    }
    const more = argumentsText(fn['arguments']);
    if (more === '') return news;
    meter.arguments(more.length, call.arguments.length + more.length);
    call.arguments += more;
    return [...news, ...tell(call), { kind: 'arguments', call: call.at, value: more }];
  };

  const pushDelta = (delta: Record<string, unknown>): ModelDelta[] => {
    const news: ModelDelta[] = [];
    const content = spoken(delta['content']);
    if (content !== '') {
      meter.text(content.length);
      said += content;
      news.push({ kind: 'text', value: content });
    }
    const refused = text(delta['refusal']);
    if (refused !== '') {
      meter.text(refused.length);
      refusal += refused;
      news.push({ kind: 'refusal', value: refused });
    }
    for (const piece of list(delta['tool_calls'])) news.push(...pushCall(piece));
    if (typeof delta['function_call'] === 'object' && delta['function_call'] !== null)
      news.push(...pushCall({ index: 0, function: delta['function_call'] }));
    return news;
  };

  return {
    push(chunk) {
      const body = record(chunk);
      usage = usageOf(body['usage']) ?? usage;
      const choice = record(list(body['choices'])[0]);
      const reason = text(choice['finish_reason']);
      if (reason !== '') finishReason = reason;
      const delta = choice['delta'] ?? choice['message'];
      return pushDelta(record(delta));
    },
    end: () => calls.flatMap(tell),
    turn: () => ({
      text: said,
      refusal,
      calls: calls.map((call) => ({
        callId: call.callId,
        name: call.name,
        arguments: call.arguments === '' ? '{}' : call.arguments,
      })),
      finishReason,
      usage,
    }),
    get finished() {
      return finishReason !== null;
    },
    get brokeOff() {
      return finishReason === 'error';
    },
  };
};
