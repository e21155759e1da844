/**
 * Sends one request over undici and passes its response to a reader.
 *
 * Rule: a request counts as sent from the moment it is handed to a socket; its deadline ends with the reader. A status
 * outside 2xx is a failure with the server's own error, unless the caller takes any status.
 * Imported by the client and its readers.
 */
import { Pool, type Dispatcher } from 'undici';
import { answerOf } from './response.ts';
import { decode, readStart } from './body.ts';
import { retryAfterFrom, shouldRetryFrom } from './classify.ts';
import { HttpFailure, type ServerError } from './failure.ts';
import { createRequestDeadline, type RequestDeadline } from './request-deadline.ts';
import { createReporter } from './request-report.ts';
import { trackSent, type SentTracker } from './track-sent.ts';
import { serverErrorFrom, scrub } from './server-error.ts';
import type { HttpAnswer, HttpClientOptions, HttpRequest } from './types.ts';
import { parseBaseUrl } from './url.ts';

const ERROR_BODY_BYTES = 65_536;

export interface SendLimits {
  /** Longest silence between two chunks of the body. */
  gapMs: number;
  /** Until the reader has finished. */
  totalMs: number;
  accept: string;
  anyStatus?: boolean;
}

/** A response whose body is unread. */
export interface Received {
  response: Dispatcher.ResponseData<SentTracker>;
  answer: HttpAnswer;
  life: RequestDeadline;
  key: string | undefined;
}

export class RequestSender {
  readonly #options: HttpClientOptions;
  readonly base;
  readonly report;
  readonly times;
  readonly maxJsonDepth: number;
  /** Streams have their own sockets, so that a thousand open ones never delay a call. */
  readonly calls: Dispatcher;
  readonly streams: Dispatcher;

  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.base = parseBaseUrl(options.baseUrl, options.query);
    this.report = createReporter(this.base.origin);
    this.times = {
      connectMs: 10_000,
      headersMs: 60_000,
      bodyGapMs: 30_000,
      totalMs: 120_000,
      streamGapMs: 120_000,
      ...options.timeouts,
    };
    this.maxJsonDepth = options.maxJsonDepth ?? 100;
    this.calls = this.#pool(options.connections ?? 64);
    this.streams = this.#pool(options.streamConnections ?? null);
  }

  async send<Result>(
    request: HttpRequest,
    dispatcher: Dispatcher,
    limits: SendLimits,
    read: (received: Received) => Promise<Result>,
  ): Promise<Result> {
    request.signal?.throwIfAborted();
    const key = await this.#keyFor(request);
    const target = request.exact?.target ?? this.base.target(request.path, request.query);
    const body = request.exact?.body ?? (request.body === undefined ? null : JSON.stringify(request.body));
    const started = this.#now();
    const note: SentTracker = { sent: false };
    const life = createRequestDeadline(request.signal, limits.totalMs);
    let status = 0;
    try {
      const response = await life.race(
        dispatcher.request<SentTracker>({
          // A dispatcher that is handed in may serve several origins.
          origin: this.base.origin,
          method: request.method,
          path: target,
          headers: this.#headers(request, limits.accept, key, body !== null),
          body,
          signal: life.signal,
          opaque: note,
          headersTimeout: request.timeouts?.headersMs ?? this.times.headersMs,
          bodyTimeout: limits.gapMs,
        }),
      );
      // A body may fail before it is read; without a listener that would end the process.
      response.body.on('error', () => undefined);
      status = response.statusCode;
      const received = { response, answer: answerOf(response, this.#now()), life, key };
      if (limits.anyStatus !== true && (status < 200 || status > 299))
        throw await this.#statusFailure(request, received);
      return await read(received);
    } catch (error) {
      throw life.explain(error, (cause) =>
        this.report.transport(request, cause, { sent: note.sent, status, timedOut: life.timedOut() }),
      );
    } finally {
      life.finish();
      request.observe?.({
        method: request.method,
        route: request.route,
        status,
        ms: this.#now() - started,
      });
    }
  }

  async close(): Promise<void> {
    if (this.#options.dispatcher === undefined)
      await Promise.all([this.calls.destroy(), this.streams.destroy()]);
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }

  #pool(connections: number | null): Dispatcher {
    const { connectMs } = this.times;
    const dispatcher =
      this.#options.dispatcher ??
      new Pool(this.base.origin, {
        connections,
        pipelining: 1,
        connect: { timeout: connectMs },
        connectTimeout: connectMs,
      });
    return dispatcher.compose(trackSent);
  }

  #headers(
    request: HttpRequest,
    accept: string,
    key: string | undefined,
    hasBody: boolean,
  ): Record<string, string> {
    const keyHeader = this.#options.keyHeader ?? 'authorization';
    return {
      accept,
      // Unasked compression is unpacked within bounds; asking for it would only cost both sides time.
      'accept-encoding': 'identity',
      ...this.#options.headers,
      ...request.headers,
      ...(hasBody ? { 'content-type': 'application/json' } : {}),
      ...(key === undefined ? {} : { [keyHeader]: keyHeader === 'authorization' ? `Bearer ${key}` : key }),
    };
  }

  /** The key of this request; a provider that fails is like a network that is down. */
  async #keyFor(request: HttpRequest): Promise<string | undefined> {
    const { apiKey } = this.#options;
    let key: unknown;
    try {
      key = typeof apiKey === 'function' ? await apiKey() : apiKey;
    } catch {
      throw new HttpFailure(
        this.report.facts(request, 'network_before_send', 'the API key provider failed.'),
      );
    }
    if (key === undefined || key === '') return undefined;
    if (typeof key !== 'string' || !/^[\x21-\x7e]+$/.test(key))
      throw new HttpFailure(
        this.report.facts(
          request,
          'key',
          'the API key has characters that a header cannot carry (a line break or a space?).',
        ),
      );
    return key;
  }

  async #statusFailure(request: HttpRequest, { response, answer, key }: Received): Promise<HttpFailure> {
    const raw = await readStart(response.body, ERROR_BODY_BYTES);
    let error: ServerError | null = null;
    try {
      const body = await decode(raw, answer.headers['content-encoding'], ERROR_BODY_BYTES * 4);
      error = serverErrorFrom(scrub(body.toString('utf8'), key), this.maxJsonDepth);
    } catch {
      error = null;
    }
    const what = `HTTP ${answer.status}${error === null ? '.' : `: ${JSON.stringify(error.message)}`}`;
    return new HttpFailure(
      this.report.facts(request, 'status', what, {
        status: answer.status,
        error,
        errorCode: error?.code ?? null,
        shouldRetry: shouldRetryFrom(answer.headers),
        retryAfterMs: retryAfterFrom(answer.headers, answer.receivedAt, answer.serverTime),
        serverTime: answer.serverTime,
      }),
    );
  }
}
