/**
 * From the bytes of an answer to its JSON values, whatever the content type says.
 *
 * Rule: the first bytes decide: an object or an array is a whole answer (or one chunk a line), markup is no answer, all else
 * is an event stream. Heartbeats of any form are skipped. Memory is bounded by the caps.
 * Pure but for the decoder's state. Imported within `backends/models/openai-compatible/` and by tests.
 */
import { createParser, type EventSourceMessage, type ParseError } from 'eventsource-parser';
import { parseJson } from '../../http/index.ts';

export type AnswerFrame =
  /** One chunk of a stream. */
  | { kind: 'chunk'; value: unknown }
  /** A whole answer. */
  | { kind: 'whole'; value: unknown }
  /** The server calls it an error: parsed when it is JSON, else its text. */
  | { kind: 'error'; value: unknown }
  | { kind: 'done' }
  /** A chunk that is no JSON although it begins as such: the stream is broken. */
  | { kind: 'garbled'; text: string }
  /** The body is no answer of an API at all. */
  | { kind: 'foreign'; text: string };

export class AnswerTooLargeError extends Error {
  override readonly name = 'AnswerTooLargeError';
}

export interface FrameLimits {
  /** Characters of a whole answer, as it is sent. */
  answerChars: number;
  /** Characters of one event. */
  eventChars: number;
}

const SHOWN = 200;
const HEARTBEATS = /^(ping|heartbeat|keep[-_]?alive|comment)$/i;
const ERRORS = /^(error|exception|fail(ed|ure)?)$/i;
const isDone = (data: string): boolean => /^"?\[?done\]?"?$/i.test(data);
const looksLikeJson = (data: string): boolean => data.startsWith('{') || data.startsWith('[');

const parsed = (data: string): { value: unknown } | null => {
  try {
    return { value: parseJson(data) };
  } catch {
    return null;
  }
};

/** One event's data as frames. Some servers put no blank line between events: then each line is one. */
const framesOf = (data: string): AnswerFrame[] => {
  const trimmed = data.trim();
  if (trimmed === '') return [];
  if (isDone(trimmed)) return [{ kind: 'done' }];
  // Text that is no JSON is a heartbeat in words; an answer that consists of it has no end and fails for that.
  if (!looksLikeJson(trimmed)) return trimmed.includes('\n') ? linesOf(trimmed) : [];
  const one = parsed(trimmed);
  if (one !== null) return [{ kind: 'chunk', value: one.value }];
  return trimmed.includes('\n') ? linesOf(trimmed) : [{ kind: 'garbled', text: trimmed.slice(0, SHOWN) }];
};

const linesOf = (data: string): AnswerFrame[] => data.split('\n').flatMap((line) => framesOf(line));

const errorOf = (data: string): AnswerFrame => ({
  kind: 'error',
  value: parsed(data)?.value ?? data.slice(0, 2_000),
});

export class FrameReader {
  readonly #limits: FrameLimits;
  readonly #decoder = new TextDecoder('utf-8');
  readonly #parser;
  #mode: 'unknown' | 'events' | 'json' | 'lines' | 'markup' = 'unknown';
  #size = 0;
  /** What was read before the mode is known, or a whole body, or an unfinished line. */
  #held: string[] = [];
  #frames: AnswerFrame[] = [];
  #tooLarge = false;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
    this.#parser = createParser({
      maxBufferSize: limits.eventChars,
      onEvent: (event) => this.#onEvent(event),
      onError: (error) => this.#onOddLine(error),
    });
  }

  push(bytes: Uint8Array): AnswerFrame[] {
    return this.#take(this.#decoder.decode(bytes, { stream: true }));
  }

  /** What is left when the body has ended. */
  end(): AnswerFrame[] {
    const frames = this.#take(this.#decoder.decode());
    const rest = this.#held.join('');
    this.#held = [];
    if (this.#mode === 'events') {
      // A last event without its blank line still counts: if it was cut, it is no JSON.
      this.#parser.feed('\n\n');
      frames.push(...this.#drain());
    } else if (this.#mode === 'lines') frames.push(...framesOf(rest));
    else if (this.#mode === 'markup') frames.push({ kind: 'foreign', text: rest.slice(0, SHOWN) });
    else if (this.#mode === 'json') frames.push(...this.#whole(rest));
    return frames;
  }

  #take(text: string): AnswerFrame[] {
    if (text === '') return [];
    this.#size += text.length;
    if (this.#size > this.#limits.answerChars)
      throw new AnswerTooLargeError(`the answer is longer than ${this.#limits.answerChars} characters`);
    if (this.#mode === 'events') return this.#feed(text);
    this.#held.push(text);
    if (this.#mode === 'unknown') return this.#sniff();
    if (this.#mode === 'lines') return this.#lines();
    return [];
  }

  #sniff(): AnswerFrame[] {
    const text = this.#held.join('').replace(/^\uFEFF/, '');
    const first = text.trimStart()[0];
    if (first === undefined) return [];
    if (first === '<') this.#mode = 'markup';
    else if (first === '{' || first === '[') {
      this.#mode = 'json';
      const line = text.trimStart();
      const end = line.indexOf('\n');
      if (end > 0 && first === '{' && parsed(line.slice(0, end)) !== null && line.slice(end).trim() !== '') {
        this.#mode = 'lines';
        return this.#lines();
      }
    } else {
      this.#mode = 'events';
      this.#held = [];
      return this.#feed(text);
    }
    return [];
  }

  /** One chunk a line, without the framing of events. */
  #lines(): AnswerFrame[] {
    const newest = this.#held.at(-1) ?? '';
    if (!newest.includes('\n')) return [];
    const lines = this.#held.join('').split('\n');
    this.#held = [lines.pop() ?? ''];
    return lines.flatMap((line) => framesOf(line));
  }

  #whole(body: string): AnswerFrame[] {
    const one = parsed(body);
    if (one !== null) return [{ kind: 'whole', value: one.value }];
    const lines = body.split('\n').filter((line) => line.trim() !== '');
    if (lines.length > 1 && parsed(lines[0] ?? '') !== null) return lines.flatMap((line) => framesOf(line));
    return [{ kind: 'garbled', text: body.slice(0, SHOWN) }];
  }

  #feed(text: string): AnswerFrame[] {
    this.#parser.feed(text);
    return this.#drain();
  }

  #drain(): AnswerFrame[] {
    if (this.#tooLarge)
      throw new AnswerTooLargeError(
        `an event of the answer is longer than ${this.#limits.eventChars} characters`,
      );
    const frames = this.#frames;
    this.#frames = [];
    return frames;
  }

  #onEvent({ event, data }: EventSourceMessage): void {
    if (event !== undefined && HEARTBEATS.test(event)) return;
    if (event !== undefined && ERRORS.test(event)) this.#frames.push(errorOf(data));
    else this.#frames.push(...framesOf(data));
  }

  /** Lines that are no field of an event stream: an error under its own field, a bare end, a chunk without `data:`. */
  #onOddLine({ type, field = '', value = '', line = '' }: ParseError): void {
    if (type === 'max-buffer-size-exceeded') this.#tooLarge = true;
    else if (type !== 'unknown-field') return;
    else if (ERRORS.test(field) && value !== '') this.#frames.push(errorOf(value));
    else if (isDone(line.trim())) this.#frames.push({ kind: 'done' });
    else if (looksLikeJson(line.trim())) this.#frames.push(...framesOf(line));
  }
}
