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

const errorFrame = (error: Extract<FaultAction, { kind: 'error_event' }>['error']): string => {
  const {
    message = 'The server had an error while processing your request.',
    type = 'server_error',
    code = null,
  } = error ?? {};
  return `event: error\ndata: ${JSON.stringify({ error: { message, type, param: null, code } })}\n\n`;
};

const withLineEndings = (frame: string, ending: 'cr' | 'crlf' | 'mixed', at: number): string =>
  frame.replaceAll('\n', { cr: '\r', crlf: '\r\n', mixed: ['\n', '\r', '\r\n'][at % 3] ?? '\n' }[ending]);

/** What a fault that changes single events makes of the event at place `at`. */
const faultyFrames = (frame: string, action: FaultAction, at: number): string[] => {
  switch (action.kind) {
    case 'duplicate_events':
      return action.at === undefined || action.at.includes(at) ? [frame, frame] : [frame];
    case 'drop_event':
      return at === action.at ? [] : [frame];
    case 'unknown_events':
      return ['event: thread.run.daydreaming\ndata: {"object":"thread.daydream","about":"sheep"}\n\n', frame];
    case 'garbage_events':
      return [GARBAGE[at % GARBAGE.length] ?? '', frame];
    case 'comments':
      return [...(at === 0 ? ['\uFEFF'] : []), ': a comment\n:\nretry: 3000\nflavour: vanilla\n', frame];
    case 'line_endings':
      return [withLineEndings(frame, action.with, at)];
    case 'split_data':
      return [frame.replace(/^data: (\{.*)$/m, (_, json: string) => dataLines(json))];
    case 'huge_line':
      return at === (action.at ?? 0) ? [`: ${'x'.repeat(action.bytes)}\n`, frame] : [frame];
    default:
      return [frame];
  }
};

/** The last piece of a stream that ends at this event; null = it goes on. */
const lastPiece = (frame: string, action: FaultAction, at: number): string | null => {
  if (action.kind === 'error_event') return at === action.at ? errorFrame(action.error) : null;
  if ((action.kind !== 'cut' && action.kind !== 'stall_stream') || at < action.events) return null;
  return action.kind === 'cut' && action.inside === 'event'
    ? frame.slice(0, Math.floor(frame.length / 2))
    : '';
};

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
    const last = lastPiece(frame, action, at);
    if (last !== null) {
      if (last !== '') yield last;
      return;
    }
    if (action.kind === 'reorder_events' && at === action.at) {
      held = frame;
      continue;
    }
    yield* faultyFrames(frame, action, at);
    if (held !== null) yield held;
    held = null;
  }
  if (held !== null) yield held;
}
