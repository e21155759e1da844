/**
 * From the bytes of a response to its JSON values, for any content type.
 *
 * Rule: the first bytes decide: an object or an array is a whole answer (or one chunk a line), markup is no answer, all else
 * is an event stream. Heartbeats of any form are skipped. Memory is bounded by the caps.
 * Pure but for the decoder's state. Imported within `backends/models/openai-compatible/` and by tests.
 */
import { ANSWER_LIMITS } from '../../../protocol/limits.ts';
import { AnswerLimitError, type AnswerMeter } from '../../answer-meter.ts';
import {
  createSseParser,
  JsonDepthError,
  JsonValuesError,
  parseJson,
  UNKNOWN_LINE,
  type SseEvent,
} from '../../http/index.ts';

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

const MAX_QUOTED_CHARS = 200;
const HEARTBEATS = /^(ping|heartbeat|keep[-_]?alive|comment)$/i;
const ERRORS = /^(error|exception|fail(ed|ure)?)$/i;
const isDone = (data: string): boolean => /^"?\[?done\]?"?$/i.test(data);
const looksLikeJson = (data: string): boolean => data.startsWith('{') || data.startsWith('[');

/** null = no JSON. Throws `AnswerLimitError` when it holds more than an answer may. */
const parsed = (data: string): { value: unknown } | null => {
  try {
    return { value: parseJson(data, ANSWER_LIMITS.depth, ANSWER_LIMITS.values) };
  } catch (error) {
    if (error instanceof JsonDepthError) throw new AnswerLimitError('depth', ANSWER_LIMITS.depth);
    if (error instanceof JsonValuesError) throw new AnswerLimitError('values', ANSWER_LIMITS.values);
    return null;
  }
};

/** One event's data as frames. Some servers put no blank line between events: then each line is one. */
const framesOf = (data: string): AnswerFrame[] => {
  const trimmed = data.trim();
  if (trimmed === '') return [];
  if (!trimmed.startsWith('{') && isDone(trimmed)) return [{ kind: 'done' }];
  // Text that is no JSON is a heartbeat in words; an answer that consists of it has no end and fails for that.
  if (!looksLikeJson(trimmed)) return trimmed.includes('\n') ? linesOf(trimmed) : [];
  const one = parsed(trimmed);
  if (one !== null) return [{ kind: 'chunk', value: one.value }];
  return trimmed.includes('\n')
    ? linesOf(trimmed)
    : [{ kind: 'garbled', text: trimmed.slice(0, MAX_QUOTED_CHARS) }];
};

const linesOf = (data: string): AnswerFrame[] => data.split('\n').flatMap((line) => framesOf(line));

const errorOf = (data: string): AnswerFrame => ({
  kind: 'error',
  value: parsed(data)?.value ?? data.slice(0, 2_000),
});

/** White space, and the mark of UTF-8 at the very start. */
const BLANK: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf]);

export class FrameReader {
  readonly #meter: AnswerMeter;
  readonly #decoder = new TextDecoder('utf-8');
  readonly #parser = createSseParser({
    maxLineChars: ANSWER_LIMITS.eventChars,
    maxEventChars: ANSWER_LIMITS.eventChars,
    keepUnknownLines: true,
  });
  #mode: 'unknown' | 'events' | 'json' | 'lines' | 'markup' = 'unknown';
  /** Characters that are held: of a whole body, or of an unfinished line. */
  #size = 0;
  /** A body that is not one chunk a line; and one whose first line has ended. */
  #isWhole = false;
  #firstLineEnded = false;
  /** A whole body, or an unfinished line of it. */
  #held: string[] = [];

  constructor(meter: AnswerMeter) {
    this.#meter = meter;
  }

  push(bytes: Uint8Array): AnswerFrame[] {
    this.#meter.bytes(bytes.byteLength);
    if (this.#mode === 'unknown') {
      const first = bytes.find((byte) => !BLANK.has(byte));
      // Blank so far: it means nothing in any form.
      if (first === undefined) return [];
      this.#mode = first === 0x3c ? 'markup' : first === 0x7b || first === 0x5b ? 'json' : 'events';
    }
    if (this.#mode === 'events') return this.#parser.push(bytes).flatMap((event) => this.#eventFrames(event));
    return this.#take(this.#decoder.decode(bytes, { stream: true }));
  }

  /** What is left when the body has ended. */
  end(): AnswerFrame[] {
    // A last event without its blank line still counts: if it was cut, it is no JSON.
    if (this.#mode === 'events')
      return this.#parser.push(Buffer.from('\n\n')).flatMap((event) => this.#eventFrames(event));
    const rest = this.#held.join('') + this.#decoder.decode();
    this.#held = [];
    if (this.#mode === 'markup') return [{ kind: 'foreign', text: rest.slice(0, MAX_QUOTED_CHARS) }];
    if (this.#mode === 'lines') return framesOf(rest);
    return this.#mode === 'json' ? this.#whole(rest) : [];
  }

  #take(text: string): AnswerFrame[] {
    this.#size += text.length;
    if (this.#size > ANSWER_LIMITS.bodyBytes)
      throw new AnswerLimitError('bodyBytes', ANSWER_LIMITS.bodyBytes);
    this.#held.push(text);
    if (this.#mode === 'lines') return this.#lines();
    return this.#mode === 'json' && this.#isLines() ? this.#lines() : [];
  }

  /** Is it one chunk a line? Decided once, when something comes after the end of the first line. */
  #isLines(): boolean {
    const newest = this.#held.at(-1) ?? '';
    this.#firstLineEnded ||= newest.includes('\n');
    if (this.#isWhole || !this.#firstLineEnded || newest.trim() === '') return false;
    const text = this.#held.join('').trimStart();
    const end = text.indexOf('\n');
    // The only line end so far was white space before the answer.
    this.#firstLineEnded = end > 0;
    if (!this.#firstLineEnded || text.slice(end).trim() === '') return false;
    this.#isWhole = !text.startsWith('{') || parsed(text.slice(0, end)) === null;
    if (!this.#isWhole) this.#mode = 'lines';
    return !this.#isWhole;
  }

  /** One chunk a line, without the framing of events. */
  #lines(): AnswerFrame[] {
    const newest = this.#held.at(-1) ?? '';
    if (!newest.includes('\n')) return [];
    const lines = this.#held.join('').split('\n');
    this.#held = [lines.pop() ?? ''];
    this.#size = this.#held[0]?.length ?? 0;
    return lines.flatMap((line) => {
      this.#meter.event(line.length);
      return framesOf(line);
    });
  }

  #whole(body: string): AnswerFrame[] {
    const one = parsed(body);
    if (one !== null) return [{ kind: 'whole', value: one.value }];
    const lines = body.split('\n').filter((line) => line.trim() !== '');
    if (lines.length > 1 && parsed(lines[0] ?? '') !== null) return lines.flatMap((line) => framesOf(line));
    return [{ kind: 'garbled', text: body.slice(0, MAX_QUOTED_CHARS) }];
  }

  #eventFrames({ event, data }: SseEvent): AnswerFrame[] {
    this.#meter.event(data.length);
    if (event === 'message') return framesOf(data);
    if (event === UNKNOWN_LINE) return oddLine(data);
    if (HEARTBEATS.test(event)) return [];
    return ERRORS.test(event) ? [errorOf(data)] : framesOf(data);
  }
}

/** A line that is no field of an event stream: an error under its own field, a bare end, a chunk without `data:`. */
const oddLine = (line: string): AnswerFrame[] => {
  const trimmed = line.trim();
  if (isDone(trimmed)) return [{ kind: 'done' }];
  if (looksLikeJson(trimmed)) return framesOf(trimmed);
  const colon = line.indexOf(':');
  const value = line.slice(colon + 1).trim();
  return colon > 0 && value !== '' && ERRORS.test(line.slice(0, colon)) ? [errorOf(value)] : [];
};
