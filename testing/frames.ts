/**
 * A stream of server-sent events, frame by frame, and the faults of one.
 *
 * Rule: works on the bytes that the API really sends; a frame is the text between two blank lines, blank line included.
 * Only `testing/fault-effects.ts` and `testing/reshape.ts` import it.
 */
import type { FaultAction } from './faults.ts';

const encoder = new TextEncoder();

/** The frames of a body, as text. A rest without a blank line is the last frame. */
export async function* framesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      text += done ? decoder.decode() : decoder.decode(value, { stream: true });
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        yield text.slice(0, end + 2);
        text = text.slice(end + 2);
      }
      if (done) {
        if (text !== '') yield text;
        return;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

export const isEvent = (frame: string): boolean => /^(?:event|data|id):/m.test(frame);

export async function* bytesOf(frames: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const frame of frames) yield encoder.encode(frame);
}

const GARBAGE = [
  'event: thread.message.delta\ndata: {"id": "msg_\n\n',
  'data\n\n',
  'event: thread.run.completed\n\n',
  'event: thread.run.step.delta\ndata: null\n\n',
  'event: thread.run.in_progress\ndata: {"object":"thread.run","status":7}\n\n',
  '\u0000\u0001\u0002 binary rubbish\n\n',
  ':::::\n\n',
  'data: not json at all\n\n',
];

const dataLines = (json: string): string =>
  JSON.stringify(JSON.parse(json), null, 1)
    .split('\n')
    .map((line) => `data: ${line}`)
    .join('\n');

/** The frames with the fault in them; ends early where the fault cuts or silences the stream. */
export async function* injectStreamFault(
  frames: AsyncIterable<string>,
  action: FaultAction,
): AsyncGenerator<string> {
  let place = 0;
  let held: string | null = null;
  for await (const frame of frames) {
    if (!isEvent(frame)) {
      yield frame;
      continue;
    }
    const at = place;
    place += 1;
    switch (action.kind) {
      case 'duplicate_events':
        yield frame;
        if (action.at === undefined || action.at.includes(at)) yield frame;
        break;
      case 'reorder_events':
        if (at === action.at) held = frame;
        else {
          yield frame;
          if (held !== null) yield held;
          held = null;
        }
        break;
      case 'drop_event':
        if (at !== action.at) yield frame;
        break;
      case 'unknown_events':
        yield 'event: thread.run.daydreaming\ndata: {"object":"thread.daydream","about":"sheep"}\n\n';
        yield frame;
        break;
      case 'garbage_events':
        yield GARBAGE[at % GARBAGE.length] ?? '';
        yield frame;
        break;
      case 'comments':
        if (at === 0) yield '\uFEFF';
        yield ': a comment\n:\nretry: 3000\nflavour: vanilla\n';
        yield frame;
        break;
      case 'line_endings': {
        const ending = { cr: '\r', crlf: '\r\n', mixed: ['\n', '\r', '\r\n'][at % 3] ?? '\n' }[action.with];
        yield frame.replaceAll('\n', ending);
        break;
      }
      case 'split_data':
        yield frame.replace(/^data: (\{.*)$/m, (_, json: string) => dataLines(json));
        break;
      case 'huge_line':
        if (at === (action.at ?? 0)) yield `: ${'x'.repeat(action.bytes)}\n`;
        yield frame;
        break;
      case 'error_event': {
        if (at !== action.at) {
          yield frame;
          break;
        }
        const {
          message = 'The server had an error while processing your request.',
          type = 'server_error',
          code = null,
        } = action.error ?? {};
        yield `event: error\ndata: ${JSON.stringify({ error: { message, type, param: null, code } })}\n\n`;
        return;
      }
      case 'cut':
      case 'stall_stream':
        if (at >= action.events) {
          if (action.kind === 'cut' && action.inside === 'event')
            yield frame.slice(0, Math.floor(frame.length / 2));
          return;
        }
        yield frame;
        break;
      default:
        yield frame;
    }
  }
  if (held !== null) yield held;
}
