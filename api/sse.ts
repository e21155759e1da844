/**
 * Events of a run, or of approvals → a server-sent event stream, at the reader's own pace.
 *
 * Rules: nothing is buffered for a slow reader: an event is taken from the log only when the one before has left, so
 * memory does not grow with lag, and a reader that reads nothing for `stallMs` gets an error event and is dropped. The end of a
 * stream ends the subscription and nothing else; a run never notices its readers. The response ends after `[DONE]`.
 * Imports protocol only. `api/` uses it; the sandbox's model too.
 */
import type { ApiError } from '../protocol/errors.ts';
import type { AdmitRead } from '../protocol/ports/runs-service.ts';
import { endsRun, endsStream } from '../protocol/wire/events.ts';
import type { Thread } from '../protocol/wire/objects.ts';
import { toApiError } from './errors.ts';
import { OF_APPROVALS, OF_RUN, type StreamEnds } from './stream-ends.ts';
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
  /** Calls `tell` when the reader's session ends; returns what stops that. Default: the reader has no session. */
  onSenderEnd?: (tell: () => void) => () => void;
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

/** Where nothing is counted, the log may always be read. */
const UNLIMITED = (): void => undefined;

type Arrived = IteratorResult<StreamedEvent> | { error: unknown };
type Subscribe = (signal: AbortSignal, admit: AdmitRead) => AsyncIterable<StreamedEvent>;

const frameOf = (streamed: StreamedEvent): string =>
  encodeEvent(streamed.event, streamed.data, 'seq' in streamed ? streamed.seq : streamed.id);

/** Which event is a stream's last. */
const LAST = { turn: endsStream, run: endsRun, closed: () => false } as const;

type Controller = ReadableStreamDefaultController<Uint8Array>;

/**
 * `subscribe` opens the engine's iteration; its signal aborts when the stream is over, for whatever reason.
 */
export const eventStream = (subscribe: Subscribe, options: StreamOptions): Response =>
  new Response(new ReadableStream<Uint8Array>(new EventFrames(subscribe, options)), {
    status: 200,
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      ...options.headers,
    },
  });

class EventFrames {
  readonly #options: StreamOptions;
  readonly #subscription = new AbortController();
  readonly #events: AsyncIterator<StreamedEvent>;
  /** Errors that end the stream. */
  readonly #ends: StreamEnds;
  /** Frames before the first event of the log. */
  #first: string;
  #pending: Promise<void> | null = null;
  #arrived: Arrived | null = null;
  #over = false;
  #waitingSince: number | null = null;
  #tick: ReturnType<typeof setInterval> | undefined;
  #onShutdown = (): void => undefined;
  #forgetSender = (): void => undefined;

  constructor(subscribe: Subscribe, options: StreamOptions) {
    this.#options = options;
    this.#ends = options.until === 'closed' ? OF_APPROVALS : OF_RUN;
    this.#first = options.thread === undefined ? '' : encodeEvent('thread.created', options.thread);
    const admit: AdmitRead = async () => {
      const leave = await (options.share?.enter() ?? UNLIMITED);
      if (leave === null) throw this.#ends.stalled;
      return leave;
    };
    this.#events = subscribe(this.#subscription.signal, admit)[Symbol.asyncIterator]();
  }

  start(controller: Controller): void {
    const { closing, keepAliveMs, stallMs } = this.#options;
    this.#onShutdown = () => this.#close(controller, errorFrame(this.#ends.shuttingDown));
    if (closing.begun) {
      this.#onShutdown();
      return;
    }
    closing.add(this.#onShutdown);
    this.#forgetSender =
      this.#options.onSenderEnd?.(() => this.#close(controller, errorFrame(this.#ends.signedOut))) ??
      this.#forgetSender;
    this.#tick = setInterval(() => this.#keepAlive(controller), Math.min(keepAliveMs, stallMs));
    this.#tick.unref();
  }

  async pull(controller: Controller): Promise<void> {
    this.#waitingSince = null;
    const batch = { frames: this.#first };
    this.#first = '';
    try {
      const last = await this.#fill(batch);
      if (this.#over) return;
      if (last) this.#conclude(controller, batch.frames);
      else this.#send(controller, batch.frames);
    } catch (error) {
      if (error === this.#ends.stalled) this.#evict(controller);
      else this.#conclude(controller, batch.frames + errorFrame(toApiError(error, this.#options.requestId)));
    }
  }

  cancel(): void {
    this.#finish();
  }

  /** Adds the frames that are ready together, and the end of the stream. True = nothing follows. */
  async #fill(batch: { frames: string }): Promise<boolean> {
    const { until, ended, thread } = this.#options;
    const isLast = LAST[until];
    for (let count = 0; count < BATCH && batch.frames.length < BATCH_CHARS && !this.#over; count += 1) {
      if (batch.frames === '') await this.#ask();
      const result = await this.#ready();
      if (this.#over || result === null) return false;
      this.#pending = null;
      this.#arrived = null;
      if ('error' in result) throw result.error;
      if (result.done === true) {
        batch.frames += ended ? DONE_FRAME : errorFrame(this.#ends.cutOff);
        return true;
      }
      const { event } = result.value;
      // The thread was announced from the create's own answer; a log may hold it too.
      if (event === 'thread.created' && thread !== undefined) continue;
      batch.frames += frameOf(result.value);
      if (isLast(event)) {
        batch.frames += DONE_FRAME;
        return true;
      }
    }
    return false;
  }

  /** Asks for the next event, once. Never rejects: what went wrong has arrived, too. */
  #ask(): Promise<void> {
    return (this.#pending ??= this.#next());
  }

  async #next(): Promise<void> {
    try {
      this.#arrived = await this.#events.next();
    } catch (error) {
      this.#arrived = { error };
    }
  }

  /** The event that is here already; null when it has to be waited for. `Promise.race` would leak a reaction for each call. */
  async #ready(): Promise<Arrived | null> {
    void this.#ask();
    for (let turn = 0; turn < MAX_MICROTASK_TURNS && this.#arrived === null; turn += 1)
      await Promise.resolve();
    return this.#arrived;
  }

  #send(controller: Controller, frames: string): void {
    const bytes = encoder.encode(frames);
    if (this.#options.share?.hold(bytes.byteLength) === false) {
      this.#evict(controller);
      return;
    }
    controller.enqueue(bytes);
    this.#tick?.refresh();
  }

  /** Comments keep a silent connection open; a reader that takes none for too long is dropped. */
  #keepAlive(controller: Controller): void {
    if ((controller.desiredSize ?? 1) > 0) {
      this.#waitingSince = null;
      controller.enqueue(encoder.encode(keepAliveFor(this.#options.userAgent)));
      return;
    }
    this.#waitingSince ??= performance.now();
    if (performance.now() - this.#waitingSince >= this.#options.stallMs) this.#evict(controller);
  }

  /** The last events of the stream, if the tenant's streams may hold them. */
  #conclude(controller: Controller, frames: string): void {
    if (this.#options.share?.hold(Buffer.byteLength(frames)) === false) this.#evict(controller);
    else this.#close(controller, frames);
  }

  #evict(controller: Controller): void {
    this.#close(controller, errorFrame(this.#ends.stalled));
    setTimeout(this.#options.drop, DROP_GRACE_MS).unref();
  }

  #close(controller: Controller, lastFrame: string): void {
    if (this.#over) return;
    this.#finish();
    controller.enqueue(encoder.encode(lastFrame));
    controller.close();
  }

  #finish(): void {
    this.#over = true;
    clearInterval(this.#tick);
    this.#options.share?.close();
    this.#options.closing.delete(this.#onShutdown);
    this.#forgetSender();
    this.#subscription.abort();
    // An engine that waits hears the signal; one that was not asked for more hears this.
    this.#events.return?.().catch(() => undefined);
  }
}
