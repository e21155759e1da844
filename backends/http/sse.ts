/**
 * Server-sent events, read incrementally from bytes as they arrive in any chunking.
 *
 * Rule: an event counts only after its blank line: what a cut stream left half-written is dropped, never guessed.
 * Line ends may be LF, CR or CRLF, mixed and split over chunks; a BOM at the very start is skipped; bytes that are no
 * UTF-8 become U+FFFD; a line or an event over its cap is an error, so that memory stays bounded.
 * Not eventsource-parser 3.1.1: its `maxBufferSize` counts characters, so 8 Mi of them in empty `data` lines take 256 MB of
 * heap, and this parser ends the same stream at 10 MB.
 * No imports. Backends import it; tests may.
 */

export interface SseEvent {
  /** `message` when the server named none. */
  event: string;
  data: string;
  /** The last `id:` seen so far; null before the first. */
  id: string | null;
}

export interface SseLimits {
  /** Longest line, in UTF-16 units. Default 4,194,304. */
  maxLineChars?: number;
  /** Most data of one event, in UTF-16 units. Default 8,388,608. */
  maxEventChars?: number;
  /** Give lines whose field is not one of the format as events named `UNKNOWN_LINE`. Default: false, they are dropped. */
  keepUnknownLines?: boolean;
}

/** No server can name an event like this: the name of one ends with its line. */
export const UNKNOWN_LINE = '\n';

const FIELDS: ReadonlySet<string> = new Set(['data', 'event', 'id', 'retry']);

/** The stream is larger in one place than this client is ready to hold. Reading on is pointless. */
export class SseLimitError extends Error {
  override readonly name = 'SseLimitError';
  readonly what: 'line' | 'event';
  readonly limit: number;

  constructor(what: 'line' | 'event', limit: number) {
    super(`The event stream has ${what === 'line' ? 'a line' : 'an event'} of more than ${limit} characters`);
    this.what = what;
    this.limit = limit;
  }
}

export interface SseParser {
  /** Feeds bytes, returns the events they complete. */
  push(bytes: Uint8Array): SseEvent[];
  /** Reconnection time that the server asked for, in milliseconds; null = none. */
  retryMs(): number | null;
}

export const createSseParser = (limits: SseLimits = {}): SseParser => {
  const maxLine = limits.maxLineChars ?? 4_194_304;
  const maxEvent = limits.maxEventChars ?? 8_388_608;
  const decoder = new TextDecoder('utf-8');
  let line = '';
  let afterCr = false;
  let event = '';
  let data: string[] = [];
  let size = 0;
  let id: string | null = null;
  let retry: number | null = null;

  const field = (name: string, value: string): void => {
    if (name === 'data') {
      // A line that says nothing is kept, too.
      size += Math.max(value.length + 1, 8);
      if (size > maxEvent) throw new SseLimitError('event', maxEvent);
      data.push(value);
    } else if (name === 'event') {
      event = value;
    } else if (name === 'id') {
      if (!value.includes('\0')) id = value;
    } else if (name === 'retry' && /^\d{1,9}$/.test(value)) {
      retry = Number(value);
    }
  };

  const finishLine = (text: string, into: SseEvent[]): void => {
    if (text === '') {
      if (data.length > 0) into.push({ event: event === '' ? 'message' : event, data: data.join('\n'), id });
      event = '';
      data = [];
      size = 0;
      return;
    }
    // Nearly every line.
    if (text.startsWith('data: ')) return field('data', text.slice(6));
    const colon = text.indexOf(':');
    if (colon === 0) return;
    if (limits.keepUnknownLines === true && !FIELDS.has(colon === -1 ? text : text.slice(0, colon)))
      into.push({ event: UNKNOWN_LINE, data: text, id });
    if (colon === -1) return field(text, '');
    // One space after the colon belongs to the syntax, further ones to the value.
    field(text.slice(0, colon), text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1));
  };

  return {
    push(bytes) {
      const events: SseEvent[] = [];
      const text = decoder.decode(bytes, { stream: true });
      if (text === '') return events;
      let from = afterCr && text.startsWith('\n') ? 1 : 0;
      afterCr = false;
      let lf = text.indexOf('\n', from);
      let cr = text.indexOf('\r', from);
      while (lf !== -1 || cr !== -1) {
        const endsInCr = cr !== -1 && (lf === -1 || cr < lf);
        const end = endsInCr ? cr : lf;
        if (line.length + end - from > maxLine) throw new SseLimitError('line', maxLine);
        const whole = line + text.slice(from, end);
        line = '';
        from = endsInCr && lf === end + 1 ? end + 2 : end + 1;
        // A CR that ends this chunk may be the first half of a CRLF.
        if (endsInCr && from === text.length && lf !== end + 1) afterCr = true;
        finishLine(whole, events);
        if (lf !== -1 && lf < from) lf = text.indexOf('\n', from);
        if (cr !== -1 && cr < from) cr = text.indexOf('\r', from);
      }
      line += text.slice(from);
      if (line.length > maxLine) throw new SseLimitError('line', maxLine);
      return events;
    },
    retryMs: () => retry,
  };
};

/** Events of a body. Ends when the body ends; throws what the body throws, or `SseLimitError`. */
export async function* sseEvents(
  chunks: AsyncIterable<Uint8Array>,
  limits: SseLimits = {},
): AsyncGenerator<SseEvent, void, undefined> {
  const parser = createSseParser(limits);
  for await (const chunk of chunks) yield* parser.push(chunk);
}
