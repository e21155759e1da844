/**
 * Follows an event stream of the API over breaks of the connection.
 *
 * Rule: a stream is opened again at the last event that was handed out (`Last-Event-ID`), so no event is missed and none comes
 * twice. A stream that brings no byte for a while counts as broken. It ends when the server refuses the request for good, or
 * when `signal` aborts. Pages that follow something import it.
 */
import { readFrames, type StreamFrame } from '../../../client/http/read-frames.ts';
import { mayWorkLater, send } from './api.ts';

export type StreamState = 'connecting' | 'live' | 'reconnecting';

export interface FollowOptions {
  signal: AbortSignal;
  /** Id of the event after which the stream begins. Default: the server's own beginning. */
  after?: string | undefined;
  onState?: (state: StreamState) => void;
  /** Pause before the first new attempt, in milliseconds; it doubles up to 15 s. Default 500. */
  reopenMs?: number;
  /** Longest time without a byte; the server sends a comment every 15 s. Default 60 s. */
  silentMs?: number;
}

const LONGEST_PAUSE_MS = 15_000;

/** Resolves after `ms`, when the abort comes, or when the browser has a network again. */
const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      globalThis.removeEventListener('online', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    globalThis.addEventListener('online', done);
  });

/** The body, which fails when no chunk comes for `silentMs`. */
const watched = (body: ReadableStream<Uint8Array>, silentMs: number): ReadableStream<Uint8Array> => {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const silence = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error('The stream is silent.')), silentMs);
      });
      try {
        const { done, value } = await Promise.race([reader.read(), silence]);
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        await reader.cancel().catch(() => undefined);
        throw error;
      } finally {
        clearTimeout(timer);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
};

async function* opened(
  path: string,
  place: string | undefined,
  { signal, onState, silentMs = 60_000 }: FollowOptions,
): AsyncGenerator<StreamFrame, void, undefined> {
  const response = await send(path, {
    headers: { accept: 'text/event-stream', ...(place === undefined ? {} : { 'last-event-id': place }) },
    signal,
  });
  if (response.body === null) return;
  onState?.('live');
  for await (const frame of readFrames(watched(response.body, silentMs))) {
    // The stream says why it ends; it is opened again.
    if (frame.event === 'error') return;
    yield frame;
  }
}

/** Events of `path`, until `signal` aborts or the stream says that it is done. Throws what the server refuses for good. */
export async function* followEvents(
  path: string,
  options: FollowOptions,
): AsyncGenerator<StreamFrame, void, undefined> {
  const { signal, onState, reopenMs = 500 } = options;
  let place = options.after;
  let wait = reopenMs;
  onState?.('connecting');
  while (!signal.aborted) {
    try {
      for await (const frame of opened(path, place, options)) {
        wait = reopenMs;
        if (frame.event === 'done') return;
        place = frame.id ?? place;
        yield frame;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!mayWorkLater(error)) throw error;
    }
    if (signal.aborted) return;
    onState?.('reconnecting');
    await pause(wait, signal);
    wait = Math.min(wait * 2, LONGEST_PAUSE_MS);
  }
}
