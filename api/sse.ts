/**
 * Events of a run, or of approvals → a server-sent event stream, at the reader's own pace.
 *
 * Rules: nothing is buffered for a slow reader: an event is taken from the log only when the one before has left, so
 * memory does not grow with lag, and a reader that reads nothing for `stallMs` gets an error event and is dropped. The end of a
 * stream ends the subscription and nothing else; a run never notices its readers. The response ends after `[DONE]`.
 * Imports protocol only. `api/` uses it; the sandbox's model too.
 */
import { ApiError } from '../protocol/errors.ts';
import type { AdmitRead } from '../protocol/ports/runs-service.ts';
import { endsRun, endsStream } from '../protocol/wire/events.ts';
import type { Thread } from '../protocol/wire/objects.ts';
import { toApiError } from './errors.ts';
import { keepAliveFor } from './keep-alive.ts';
import type { StreamShare } from './stream-budget.ts';

const encoder = new TextEncoder();
const oneLine = (text: string): string => text.replace(/[\r\n]+/g, ' ');

/**
 * One frame. `data` is sent as JSON, which holds no raw line break; names and ids can't smuggle one in either.
 * `id` stands last: Azure's Java client takes the first line of a frame for the name of the event.
 */
export const encodeEvent = (event: string, data: unknown, id?: number | string): string =>
  `event: ${oneLine(event)}\ndata: ${JSON.stringify(data)}\n${id === undefined ? '' : `id: ${oneLine(String(id))}\n`}\n`;

export const DONE_FRAME = 'event: done\ndata: [DONE]\n\n';

export const errorFrame = (error: ApiError): string => encodeEvent('error', error.toBody());

/**
 * Who must hear that the server goes down. Not an `AbortSignal`: that one compares each new listener with all others, which
 * makes opening the two thousandth stream take longer than all the rest of it.
 */
export class ShutdownNotifier {
  readonly #told = new Set<() => void>();
  #begun = false;

  get begun(): boolean {
    return this.#begun;
  }

  begin(): void {
    this.#begun = true;
    for (const notify of this.#told) notify();
  }

  add(tell: () => void): void {
    this.#told.add(tell);
  }

  delete(tell: () => void): void {
    this.#told.delete(tell);
  }
}

/** One event of a stream: of a run's log, or of approvals. */
export type StreamedEvent = { event: string; data: unknown } & ({ seq: number } | { id: string });

export interface StreamOptions {
  /**
   * `turn`: until the run waits or has ended (create, submit). `run`: until it has ended (the events endpoint). `closed`:
   * until one side closes it.
   */
  until: 'turn' | 'run' | 'closed';
  /** The run had ended before: a log without anything new is a proper end. */
  ended: boolean;
  requestId: string;
  /** Sent first, without an id: the thread that was made along with the run. */
  thread?: Thread;
  headers: Record<string, string>;
  /** Of the reader. */
  userAgent: string | null;
  keepAliveMs: number;
  stallMs: number;
  /** Whether the server is going down, and word of it. */
  closing: ShutdownNotifier;
  /** Cuts the connection of a reader that takes nothing. */
  drop: () => void;
  /** What the tenant's streams may hold; ended with the stream. Default: no limit. */
  share?: StreamShare;
}

/** How long a stalled reader may still take its error before the connection is cut. */
const DROP_GRACE_MS = 1000;
/** Turns of the microtask queue that an event which is here takes to get here. */
const MAX_MICROTASK_TURNS = 4;
/** Frames sent together when they are ready together. */
const BATCH = 64;
/** And no more are added to this many characters. */
const BATCH_CHARS = 65_536;

/** Errors that end a stream, by what its reader can do then. */
const endings = (goOn: string) => ({
  shuttingDown: new ApiError(503, `The server is shutting down. ${goOn}`, {
    type: 'server_error',
    code: 'shutting_down',
  }),
  stalled: new ApiError(
    408,
    `The server closed the stream, because its events were not read for too long, or the unread events of all streams took too much memory. ${goOn}`,
    { type: 'server_error', code: 'slow_reader' },
  ),
  cutOff: new ApiError(500, `The stream of events ended before the run did. ${goOn}`, {
    type: 'server_error',
    code: 'stream_ended',
  }),
});
const OF_RUN = endings('The run goes on: read its events again with Last-Event-ID, or retrieve it.');
const OF_APPROVALS = endings('Open it again with Last-Event-ID.');

/** Where nothing is counted, the log may always be read. */
const UNLIMITED = (): void => undefined;

type Arrived = IteratorResult<StreamedEvent> | { error: unknown };

const frameOf = (streamed: StreamedEvent): string =>
  encodeEvent(streamed.event, streamed.data, 'seq' in streamed ? streamed.seq : streamed.id);

/** Which event is a stream's last. */
const LAST = { turn: endsStream, run: endsRun, closed: () => false } as const;

/**
 * `subscribe` opens the engine's iteration; its signal aborts when the stream is over, for whatever reason.
 */
export const eventStream = (
  subscribe: (signal: AbortSignal, admit: AdmitRead) => AsyncIterable<StreamedEvent>,
  options: StreamOptions,
): Response => {
  const subscription = new AbortController();
  const admit: AdmitRead = async () => {
    const leave = await (options.share?.enter() ?? UNLIMITED);
    if (leave === null) throw ends.stalled;
    return leave;
  };
  const events = subscribe(subscription.signal, admit)[Symbol.asyncIterator]();
  const isLast = LAST[options.until];
  const ends = options.until === 'closed' ? OF_APPROVALS : OF_RUN;
  let pending: Promise<void> | null = null;
  let first = options.thread === undefined ? '' : encodeEvent('thread.created', options.thread);
  const state: { over: boolean; waitingSince: number | null; arrived: Arrived | null } = {
    over: false,
    waitingSince: null,
    arrived: null,
  };
  let tick: ReturnType<typeof setInterval> | undefined;

  const finish = (): void => {
    state.over = true;
    clearInterval(tick);
    options.share?.close();
    options.closing.delete(onShutdown);
    subscription.abort();
    // An engine that waits hears the signal; one that was not asked for more hears this.
    events.return?.().catch(() => undefined);
  };

  const close = (controller: ReadableStreamDefaultController<Uint8Array>, lastFrame: string): void => {
    if (state.over) return;
    finish();
    controller.enqueue(encoder.encode(lastFrame));
    controller.close();
  };

  const evict = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    close(controller, errorFrame(ends.stalled));
    setTimeout(options.drop, DROP_GRACE_MS).unref();
  };

  /** The last events of the stream, if the tenant's streams may hold them. */
  const conclude = (controller: ReadableStreamDefaultController<Uint8Array>, frames: string): void =>
    options.share?.hold(Buffer.byteLength(frames)) === false ? evict(controller) : close(controller, frames);

  /** Asks for the next event, once. Never rejects: what went wrong has arrived, too. */
  const ask = (): Promise<void> => (pending ??= next());
  const next = async (): Promise<void> => {
    try {
      state.arrived = await events.next();
    } catch (error) {
      state.arrived = { error };
    }
  };

  /** What is here already; null when it has to be waited for. A race would leave its traces with the one who waits. */
  const ready = async (): Promise<Arrived | null> => {
    void ask();
    for (let turn = 0; turn < MAX_MICROTASK_TURNS && state.arrived === null; turn += 1)
      await Promise.resolve();
    return state.arrived;
  };

  let whenDown: (() => void) | null = null;
  const onShutdown = (): void => whenDown?.();

  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      whenDown = () => close(controller, errorFrame(ends.shuttingDown));
      if (options.closing.begun) {
        onShutdown();
        return;
      }
      options.closing.add(onShutdown);
      tick = setInterval(
        () => {
          const free = (controller.desiredSize ?? 1) > 0;
          if (free) {
            state.waitingSince = null;
            controller.enqueue(encoder.encode(keepAliveFor(options.userAgent)));
            return;
          }
          state.waitingSince ??= performance.now();
          if (performance.now() - state.waitingSince >= options.stallMs) evict(controller);
        },
        Math.min(options.keepAliveMs, options.stallMs),
      );
      tick.unref();
    },
    async pull(controller) {
      state.waitingSince = null;
      let frames = first;
      first = '';
      try {
        for (let count = 0; count < BATCH && frames.length < BATCH_CHARS && !state.over; count += 1) {
          if (frames === '') await ask();
          const result = await ready();
          if (state.over) return;
          if (result === null) break;
          pending = null;
          state.arrived = null;
          if ('error' in result) throw result.error;
          if (result.done === true) {
            conclude(controller, frames + (options.ended ? DONE_FRAME : errorFrame(ends.cutOff)));
            return;
          }
          // The thread was announced from the create's own answer; a log may hold it too.
          if (result.value.event === 'thread.created' && options.thread !== undefined) continue;
          frames += frameOf(result.value);
          if (isLast(result.value.event)) {
            conclude(controller, frames + DONE_FRAME);
            return;
          }
        }
        if (state.over) return;
        const bytes = encoder.encode(frames);
        if (options.share?.hold(bytes.byteLength) === false) {
          evict(controller);
          return;
        }
        controller.enqueue(bytes);
        tick?.refresh();
      } catch (error) {
        if (error === ends.stalled) evict(controller);
        else conclude(controller, frames + errorFrame(toApiError(error, options.requestId)));
      }
    },
    cancel() {
      finish();
    },
  });
  return new Response(body, {
    status: 200,
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      ...options.headers,
    },
  });
};
