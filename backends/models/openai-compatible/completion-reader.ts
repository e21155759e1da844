/**
 * Collects the answer of a chat-completions server and returns its new content as parts of the port.
 *
 * Rule: parse tolerantly, decide strictly. It reads chunks and complete answers, several choices, texts as parts, and
 * legacy calls. An answer is complete only with a finish reason, or when it ends as earlier complete answers of this
 * model did. Pure. Imported within `backends/models/openai-compatible/` and by tests.
 */
import type { ModelFinish, ModelPart, ModelUsage } from '../../../protocol/ports/model.ts';
import type { AnswerMeter } from '../../answer-meter.ts';
import { CallAssembler, type AssembledCall } from './call-assembler.ts';
import { reasonClass, type ReasonClass } from './finish-reasons.ts';
import { count, asList, record, text } from './json-text.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';
import { collectFields, type Fields } from './provider-fields.ts';
import { mergeUsage } from './usage.ts';

export interface ReaderOptions {
  /** Counts a piece before it is stored. */
  meter: AnswerMeter;
  tools: Iterable<string>;
  finishReasons?: Readonly<Record<string, ReasonClass>>;
}

/** How the body ended: `[DONE]`, its own end, or the end of a whole answer. */
export type AnswerBodyEnd = 'done' | 'closed' | 'whole';

/** Whether the answer is whole; `missing` = the server gave no reason. */
export type Ending =
  | { kind: 'finish'; reason: ModelFinish; raw: string | null }
  | { kind: 'broken'; what: string }
  | { kind: 'too_long' };

const MESSAGE_FIELDS = new Set([
  'role',
  'content',
  'refusal',
  'tool_calls',
  'function_call',
  'name',
  'parsed',
]);

/** Text of a content that is a string or parts of which some are text. */
const contentText = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : asList(value)
        .map((part) => (record(part)['type'] === 'thinking' ? '' : text(record(part)['text'])))
        .join('');

const reasoningText = (source: Record<string, unknown>): string => {
  for (const name of ['reasoning_content', 'reasoning', 'thinking', 'reasoning_text', 'thoughts']) {
    const value = source[name];
    if (typeof value === 'string' && value !== '') return value;
  }
  const content = source['content'];
  if (!Array.isArray(content)) return '';
  return content
    .filter((part) => record(part)['type'] === 'thinking')
    .map((part) => contentText(record(part)['thinking']))
    .join('');
};

const RANK: Readonly<Record<ReasonClass, number>> = {
  broken: 4,
  content_filter: 3,
  length: 2,
  unknown: 1,
  stop: 0,
};

export class CompletionReader {
  readonly #calls: CallAssembler;
  readonly #meter: AnswerMeter;
  readonly #own: Readonly<Record<string, ReasonClass>>;
  readonly #fields: Fields = {};
  #reason: { raw: string; meaning: ReasonClass } | null = null;
  #usage: ModelUsage | null = null;
  #spoke = { text: false, refusal: false, reasoning: false };
  #textFrom: number | null = null;

  constructor({ tools, meter, finishReasons = {} }: ReaderOptions) {
    this.#meter = meter;
    this.#calls = new CallAssembler(tools, meter);
    this.#own = finishReasons;
  }

  get usage(): ModelUsage | null {
    return this.#usage;
  }
  /** The server has sent its finish reason. */
  get finished(): boolean {
    return this.#reason !== null;
  }
  get saidAnything(): boolean {
    return this.#spoke.text || this.#spoke.refusal || this.#calls.size > 0;
  }

  /** One chunk of a stream. */
  chunk(value: unknown): ModelPart[] {
    const body = record(value);
    const choices = asList(body['choices']);
    this.#usage = mergeUsage(this.#usage, body, choices);
    const parts: ModelPart[] = [];
    for (const [at, item] of choices.entries()) {
      const choice = record(item);
      const index = count(choice['index']) ?? at;
      this.#sawReason(choice);
      const { delta, message } = choice;
      if (isRecord(delta)) this.#delta(delta, index, false, parts);
      if (isRecord(message)) this.#repeated(message, index, parts);
      // Some servers stream as the old completions do.
      else if (!isRecord(delta) && typeof choice['text'] === 'string')
        this.#delta({ content: choice['text'] }, index, false, parts);
    }
    return parts;
  }

  /** A whole answer; its choices are one turn, since only one was asked for. */
  whole(value: unknown): ModelPart[] {
    const body = record(value);
    const choices = asList(body['choices']);
    this.#usage = mergeUsage(this.#usage, body, choices);
    const parts: ModelPart[] = [];
    for (const [at, item] of choices.entries()) {
      const choice = record(item);
      const index = count(choice['index']) ?? at;
      this.#sawReason(choice);
      const message = choice['message'] ?? choice['delta'] ?? { content: choice['text'] };
      if (isRecord(message)) this.#delta(message, index, true, parts);
    }
    return parts;
  }

  /** The calls as they count. To be called when the answer has ended, before `ending`. */
  endCalls(): ModelPart[] {
    return this.#calls.end();
  }

  /** The part that must go back to the server: the calls' ids, and unknown fields. */
  turn(): { calls: AssembledCall[]; fields: Fields } {
    return { calls: this.#calls.calls(), fields: this.#fields };
  }

  ending(
    end: AnswerBodyEnd,
    before: { sendsReason: boolean; bareEnds: number },
    maxOutputTokens: number | null,
  ): Ending {
    if (this.#reason === null) return this.#endingWithoutReason(end, before);
    const { raw, meaning } = this.#reason;
    const completion = this.#usage?.completionTokens ?? null;
    if (meaning === 'broken')
      return { kind: 'broken', what: `the server aborted its answer (${JSON.stringify(raw)})` };
    if (meaning === 'unknown')
      return {
        kind: 'broken',
        what: `the server ended its answer with the unknown reason ${JSON.stringify(raw.slice(0, 100))}`,
      };
    // No text, and no token spent: the prompt fills the window.
    if (meaning === 'length' && !this.saidAnything && !this.#spoke.reasoning && completion === 0)
      return { kind: 'too_long' };
    if (meaning !== 'stop') return { kind: 'finish', reason: meaning, raw };
    // A server that ignores the limit has returned more tokens than requested.
    if (maxOutputTokens !== null && completion !== null && completion > maxOutputTokens)
      return { kind: 'finish', reason: 'length', raw };
    return { kind: 'finish', reason: this.#calls.size > 0 ? 'tool_calls' : 'stop', raw };
  }

  #endingWithoutReason(end: AnswerBodyEnd, before: { sendsReason: boolean; bareEnds: number }): Ending {
    const whole: Ending = { kind: 'finish', reason: this.#calls.size > 0 ? 'tool_calls' : 'stop', raw: null };
    if (!this.saidAnything && this.#usage === null)
      return { kind: 'broken', what: 'the answer is empty and has no finish reason' };
    if (!this.#calls.complete)
      return { kind: 'broken', what: 'the answer ended in the middle of a tool call' };
    if (end === 'whole') return whole;
    if (before.sendsReason)
      return {
        kind: 'broken',
        what: 'the stream ended without the finish reason that this server otherwise sends',
      };
    if (end === 'done' || before.bareEnds > 0) return whole;
    return { kind: 'broken', what: 'the stream ended before the answer was complete' };
  }

  #sawReason(choice: Record<string, unknown>): void {
    // `stop_reason` is the reason on some servers, and the text that stopped the model on others.
    const said = text(choice['finish_reason']) || text(choice['finishReason']);
    const raw = said || text(choice['stop_reason']);
    if (raw === '' || raw === 'null') return;
    const meaning = reasonClass(raw, this.#own);
    if (said === '' && meaning === 'unknown') return;
    if (this.#reason === null || RANK[meaning] > RANK[this.#reason.meaning]) this.#reason = { raw, meaning };
  }

  #delta(delta: Record<string, unknown>, index: number, whole: boolean, parts: ModelPart[]): void {
    const reasoning = reasoningText(delta);
    if (reasoning !== '') {
      this.#meter.text(reasoning);
      this.#spoke.reasoning = true;
      parts.push({ kind: 'reasoning', text: reasoning });
    }
    // One choice speaks. Servers that answer in several put calls into another one, or the same text again.
    const content = contentText(delta['content']);
    if (content !== '' && (this.#textFrom === null || this.#textFrom === index)) {
      this.#meter.text(content);
      this.#textFrom = index;
      this.#spoke.text = true;
      parts.push({ kind: 'text', text: content });
    }
    const refusal = text(delta['refusal']);
    if (refusal !== '') {
      this.#meter.text(refusal);
      this.#spoke.refusal = true;
      parts.push({ kind: 'refusal', text: refusal });
    }
    this.#callPieces(delta, whole, parts);
    collectFields(this.#fields, delta, MESSAGE_FIELDS);
  }

  #callPieces(delta: Record<string, unknown>, whole: boolean, parts: ModelPart[]): void {
    const { tool_calls: given, function_call: legacy } = delta;
    const calls = isRecord(given) ? [given] : asList(given);
    for (const call of calls) parts.push(...(whole ? this.#calls.pushWhole(call) : this.#calls.push(call)));
    // Some servers send a call in both forms.
    if (!isRecord(legacy) || calls.length > 0) return;
    const call = { index: 0, function: legacy };
    parts.push(...(whole ? this.#calls.pushWhole(call) : this.#calls.push(call)));
  }

  /** A whole message within a stream: what was not streamed before is new, all else is said again. */
  #repeated(message: Record<string, unknown>, index: number, parts: ModelPart[]): void {
    this.#calls.markStreamed();
    const { content, refusal, tool_calls: calls, function_call: call } = message;
    this.#delta(
      {
        role: 'assistant',
        ...(this.#spoke.text ? {} : { content }),
        ...(this.#spoke.refusal ? {} : { refusal }),
        tool_calls: calls,
        function_call: call,
      },
      index,
      true,
      parts,
    );
  }
}
