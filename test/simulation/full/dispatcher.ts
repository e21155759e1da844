/**
 * An undici dispatcher without sockets: requests go to a server in this process, over a network that can fail.
 *
 * Rule: to the client it behaves as a connection: a request counts as sent only after it has left, a response arrives
 * in pieces, the client's own timeouts end a silence, and a reset is reported. A request that has left arrives even if
 * its sender dies. Only `test/simulation/full` imports it.
 */
import { AsyncResource } from 'node:async_hooks';
import { Dispatcher, errors } from 'undici';
import type { NetworkFault, FinalFault, Faults, Route } from '../faults.ts';
import type { Random } from '../../support/random.ts';
import type { SimClock } from '../temporal/types.ts';
import type { Worker } from '../temporal/worker.ts';
import type { Virtual } from './virtual.ts';

const nothing = (): void => undefined;

export interface NetworkDeps {
  clock: SimClock;
  random: Random;
  faults: Faults;
  virtual: Virtual;
  worker: Worker;
  /** The server. */
  answer(request: Request): Promise<Response>;
  /** Prepares the server to answer the next such request with what it showed a state ago. */
  stale(method: string, path: string): void;
  /** Unix ms by the server's clock, for the `date` header. */
  serverNow(): number;
  /** A request has reached the server. */
  arrived(route: Route): void;
  /** A fault made a difference to the client. */
  felt: (fault: string) => void;
  body(path: string, body: string): string;
}

const routeOf = (method: string, path: string): Route => {
  if (path.includes('/chat/completions')) return 'model';
  if (path.endsWith('/submit_tool_outputs')) return 'submit';
  if (path.endsWith('/cancel')) return 'cancel';
  if (method === 'POST') return path.endsWith('/runs') ? 'create' : 'thread';
  return /\/runs(\?|$)/.test(path) ? 'list' : 'get';
};

const reset = (): Error => Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });

const body = (status: number): string =>
  JSON.stringify({
    error: { message: `The network said ${status}.`, type: 'server_error', param: null, code: null },
  });

/** An answer in the place of the server's. */
const instead = (fault: NetworkFault | FinalFault | null, random: Random): Response | null => {
  const json = { 'content-type': 'application/json' };
  switch (fault) {
    case 'status 401':
      return new Response(body(401), { status: 401, headers: json });
    case 'status 404':
      return new Response(body(404), { status: 404, headers: json });
    case 'status 500, not processed':
      return new Response(body(500), { status: 500, headers: json });
    case 'status 503':
      return new Response(body(503), { status: 503, headers: json });
    case 'status 429 with Retry-After':
      return new Response(body(429), {
        status: 429,
        headers: { ...json, 'retry-after': String(random.int(0, 20)) },
      });
    default:
      return null;
  }
};

class Controller implements Dispatcher.DispatchController {
  paused = false;
  aborted = false;
  reason: Error | null = null;
  rawHeaders = null;
  rawTrailers = null;
  readonly #onAbort: (reason: Error) => void;
  readonly #onResume: () => void;
  constructor(onAbort: (reason: Error) => void, onResume: () => void) {
    this.#onAbort = onAbort;
    this.#onResume = onResume;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.#onResume();
  }
  abort(reason: Error): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.#onAbort(reason);
  }
}

export class SimDispatcher extends Dispatcher {
  readonly #deps: NetworkDeps;
  /** Connections that are open now. */
  open = 0;
  /** What the process's death does to each connection at the server's end. */
  readonly #broken = new Set<() => void>();

  constructor(deps: NetworkDeps) {
    super();
    this.#deps = deps;
  }

  /** The process is dead: the server hears that its connections are gone. */
  die(): void {
    for (const stop of this.#broken) stop();
    this.#broken.clear();
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    void this.#carry(options, handler);
    return true;
  }

  async #carry(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): Promise<void> {
    const { worker, clock, random, faults, virtual, felt } = this.#deps;
    const { life } = worker;
    const method = options.method;
    const path = options.path;
    const route = routeOf(method, path);
    const latency = (): number => random.int(0, 15);
    /** What was started by a process that is dead by now leads nowhere. */
    const setHere = new AsyncResource('SimDispatcher');
    const later = (ms: number, fn: () => void): (() => void) =>
      worker.later(ms, () => setHere.runInAsyncScope(fn), life);
    let over = false;
    let silence: () => void = nothing;
    let wake: () => void = nothing;
    let stopReading: () => void = nothing;

    const finish = (): boolean => {
      if (over) return false;
      over = true;
      this.open -= 1;
      silence();
      stopReading();
      wake();
      return true;
    };
    const controller = new Controller(
      (reason) => fail(reason),
      () => wake(),
    );
    const fail = (error: Error): void => {
      if (finish()) handler.onResponseError?.(controller, error);
    };
    /** Silence for so long ends the request, as undici's own timers do. */
    const listen = (ms: number | null | undefined, error: () => Error): void => {
      silence();
      silence = ms == null || ms === 0 ? () => undefined : later(ms, () => fail(error()));
    };
    /** Does the worker survive this place? */
    const survives = (
      place: 'request under way' | 'answer under way' | 'waiting for the server',
    ): boolean => {
      const fault = faults.worker(place);
      if (fault === 'worker killed') worker.kill(random.ms(50, 60_000));
      if (fault === 'worker frozen') worker.freeze(random.ms(500, 60_000));
      if (fault === 'worker cut off') worker.cut(random.ms(500, 60_000));
      return worker.life === life;
    };

    this.open += 1;
    virtual.stir();
    if (faults.worker('before a request', ['worker killed']) !== null) {
      worker.kill(random.ms(50, 60_000));
      finish();
      return;
    }
    const fault = faults.request(route);
    if (fault === 'reset before sending') {
      felt(fault);
      later(latency(), () =>
        fail(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })),
      );
      return;
    }
    handler.onRequestStart?.(controller, {});
    if (over) return;
    listen(options.headersTimeout, () => new errors.HeadersTimeoutError());
    const request = new Request(`http://sandbox.test${path}`, {
      method,
      headers: headersOf(options.headers),
      ...(typeof options.body === 'string' ? { body: this.#deps.body(path, options.body) } : {}),
    });
    const slow = fault === 'slow' ? random.ms(100, method === 'POST' ? 2_000 : 20_000) : 0;
    const arrival = new Promise<void>((resolve) => {
      clock.setTimeout(() => {
        virtual.stir();
        this.#deps.arrived(route);
        resolve();
      }, latency() + slow);
    });
    if (!survives('request under way')) finish();
    await arrival;
    if (fault === 'no answer, not processed') return felt(fault);
    if (fault === 'stale read' && method === 'GET') {
      felt(fault);
      this.#deps.stale(method, path.split('?')[0] ?? path);
    }
    if (slow > 0) felt('slow');
    let response: Response;
    const refusal = instead(fault, random);
    if (refusal !== null) felt(String(fault));
    try {
      response = refusal ?? (await virtual.outside(async () => await this.#deps.answer(request)));
    } catch {
      later(latency(), () => fail(reset()));
      return;
    }
    virtual.stir();
    if (
      fault === 'status 502, processed' ||
      fault === 'reset after processing' ||
      fault === 'no answer, processed'
    ) {
      felt(fault);
      await response.body?.cancel().catch(() => undefined);
      if (fault === 'no answer, processed') return;
      if (fault === 'reset after processing') {
        later(latency(), () => fail(reset()));
        return;
      }
      response = new Response(body(502), { status: 502, headers: { 'content-type': 'application/json' } });
    }
    const unread = (): void => void response.body?.cancel().catch(() => undefined);
    if (worker.life !== life) {
      unread();
      return;
    }
    this.#broken.add(unread);
    later(latency(), () => {
      this.#broken.delete(unread);
      if (over || !survives('answer under way')) {
        finish();
        unread();
        return;
      }
      void this.#deliver(response, {
        controller,
        handler,
        isOver: () => over,
        onStop: (stop) => {
          stopReading = stop;
        },
        untilResumed: () =>
          new Promise<void>((resolve) => {
            wake = resolve;
          }),
        heard: () => listen(options.bodyTimeout, () => new errors.BodyTimeoutError()),
        fail,
        finish,
        later,
        cutAfter: fault === 'cut stream' ? random.int(0, 6) : null,
        survives: () => survives('waiting for the server'),
      });
    });
  }

  async #deliver(
    response: Response,
    wire: {
      controller: Controller;
      handler: Dispatcher.DispatchHandler;
      isOver(): boolean;
      onStop(stop: () => void): void;
      untilResumed(): Promise<void>;
      heard(): void;
      fail(error: Error): void;
      finish(): boolean;
      later(ms: number, fn: () => void): () => void;
      /** Breaks the connection after so many pieces. */
      cutAfter: number | null;
      /** More is to come: does the worker live to see it? */
      survives(): boolean;
    },
  ): Promise<void> {
    const { random, virtual, felt } = this.#deps;
    const { controller, handler } = wire;
    const headers: Record<string, string> = { date: new Date(this.#deps.serverNow()).toUTCString() };
    for (const [name, value] of response.headers) headers[name] = value;
    wire.heard();
    handler.onResponseStart?.(controller, response.status, headers, '');
    const reader = response.body?.getReader();
    const stop = (): void => {
      this.#broken.delete(stop);
      void reader?.cancel().catch(() => undefined);
    };
    this.#broken.add(stop);
    wire.onStop(stop);
    /** What the server says travels like everything else. */
    const travelled = (): Promise<void> =>
      new Promise((resolve) => {
        wire.later(random.int(0, 5), resolve);
      });
    try {
      for (let pieces = 0; !wire.isOver(); pieces += 1) {
        if (wire.cutAfter !== null && pieces >= wire.cutAfter) {
          felt('cut stream');
          wire.fail(reset());
          return;
        }
        if (pieces > 0 && !wire.survives()) {
          wire.finish();
          return;
        }
        const next = (await reader?.read()) ?? { done: true as const, value: undefined };
        virtual.stir();
        await travelled();
        if (wire.isOver()) return;
        if (next.done) {
          if (wire.finish()) handler.onResponseEnd?.(controller, {});
          return;
        }
        wire.heard();
        handler.onResponseData?.(controller, Buffer.from(next.value));
        if (controller.paused && !wire.isOver()) await wire.untilResumed();
      }
    } catch {
      await travelled();
      wire.fail(reset());
    }
  }

  override async close(): Promise<void> {}
  override async destroy(): Promise<void> {}
}

const headersOf = (headers: Dispatcher.DispatchOptions['headers']): Headers => {
  const result = new Headers();
  if (headers === null || headers === undefined || Array.isArray(headers) || Symbol.iterator in headers)
    return result;
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined) result.set(name, String(value));
  return result;
};
