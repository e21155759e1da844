/**
 * Events of an answer's bytes: server-sent events, or the binary frames of AWS.
 *
 * Rule: an event counts when it is complete; one that is larger than an answer's event may be is an error before it is kept.
 * Imports the reader of server-sent events. Imported by the exchange and tests.
 */
import { ANSWER_LIMITS } from '../../../protocol/limits.ts';
import { createSseParser, SseLimitError } from '../../http/index.ts';

export interface WireEvent {
  /** '' = none; that of an exception begins with `EXCEPTION`. */
  name: string;
  data: string;
  /** The event as it came; null = it is written anew for the library. */
  raw: Uint8Array | null;
}

export const EXCEPTION = 'exception ';

export interface WireEvents {
  /** Adds bytes, returns the events that they complete. Throws `SseLimitError` or `FrameError`. */
  push(bytes: Uint8Array): WireEvent[];
}

/** The bytes are no frames of AWS. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/** Lengths, headers' length and checksum; checksum at the end. */
const PRELUDE = 12;
const LEAST = 16;
const STRING = 7;

/** Sizes of the values of other types than bytes and strings, by type. */
const FIXED: Readonly<Record<number, number>> = { 0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16 };

const headersOf = (bytes: Buffer): Map<string, string> => {
  const headers = new Map<string, string>();
  let at = 0;
  while (at < bytes.length) {
    const nameEnd = at + 1 + bytes.readUInt8(at);
    const name = bytes.toString('utf8', at + 1, nameEnd);
    const type = bytes.readUInt8(nameEnd);
    const from = nameEnd + 1;
    const fixed = FIXED[type];
    if (fixed !== undefined) at = from + fixed;
    else {
      const end = from + 2 + bytes.readUInt16BE(from);
      if (type === STRING) headers.set(name, bytes.toString('utf8', from + 2, end));
      at = end;
    }
  }
  return headers;
};

const eventOf = (frame: Buffer): WireEvent => {
  const headersEnd = PRELUDE + frame.readUInt32BE(4);
  if (headersEnd > frame.length - 4) throw new FrameError('a frame’s headers are longer than the frame');
  const headers = headersOf(frame.subarray(PRELUDE, headersEnd));
  const name =
    headers.get(':message-type') === 'event'
      ? (headers.get(':event-type') ?? '')
      : `${EXCEPTION}${headers.get(':exception-type') ?? headers.get(':error-code') ?? ''}`;
  return { name, data: frame.toString('utf8', headersEnd, frame.length - 4), raw: frame };
};

/** Frames of AWS; their checksums are the library's matter. */
export const awsEvents = (maxBytes: number = ANSWER_LIMITS.eventChars): WireEvents => {
  let chunks: Uint8Array[] = [];
  let size = 0;
  const take = (length: number): Buffer => {
    const all = Buffer.concat(chunks, size);
    chunks = [all.subarray(length)];
    size -= length;
    return all.subarray(0, length);
  };
  const lengthOf = (): number | null => {
    if (size < 4) return null;
    if ((chunks[0]?.length ?? 0) < 4) chunks = [Buffer.concat(chunks, size)];
    const [first] = chunks;
    return first === undefined ? null : Buffer.from(first.buffer, first.byteOffset, 4).readUInt32BE(0);
  };
  return {
    push(bytes) {
      chunks.push(bytes);
      size += bytes.length;
      const events: WireEvent[] = [];
      for (let length = lengthOf(); length !== null; length = lengthOf()) {
        if (length > maxBytes) throw new SseLimitError('event', maxBytes);
        if (length < LEAST) throw new FrameError('a frame is shorter than its own frame');
        if (size < length) break;
        try {
          events.push(eventOf(take(length)));
        } catch (error) {
          throw error instanceof RangeError ? new FrameError('a frame’s headers are cut off') : error;
        }
      }
      return events;
    },
  };
};

export const sseWireEvents = (): WireEvents => {
  const parser = createSseParser({ maxEventChars: ANSWER_LIMITS.eventChars });
  return {
    push: (bytes) => parser.push(bytes).map(({ event, data }) => ({ name: event, data, raw: null })),
  };
};

/** Events of one chunk as one piece for the library. */
export const asOnePiece = (events: readonly (Uint8Array | string)[]): Uint8Array =>
  events.every((event) => typeof event === 'string')
    ? Buffer.from(events.join(''))
    : Buffer.concat(events.map((event) => (typeof event === 'string' ? Buffer.from(event) : event)));
