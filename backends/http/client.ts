/**
 * A thin HTTP client over undici for servers that are slow, broken or hostile now and then.
 *
 * Rule: one call, one request: no retries (Temporal owns them), no redirects (they would carry the key elsewhere), no
 * unbounded wait or body, and an exact answer to "may it have happened?".
 * Secrets never reach a message: causes are dropped, the server's texts are scrubbed.
 * Throws `HttpFailure`, or `signal.reason` when the caller aborts. Only backends import it.
 */
import { isJsonType } from './response.ts';
import { BodyError, decode, isEncoded, readBytes } from './body.ts';
import { bodyChunks, decodedBody, type BodyChunks } from './body-chunks.ts';
import { retryAfterFrom, shouldRetryFrom } from './classify.ts';
import { JsonDepthError, JsonValuesError, parseJson } from './json.ts';
import { RequestSender, type Received } from './request-sender.ts';
import { scrub } from './server-error.ts';
import type {
  HttpClient,
  HttpClientOptions,
  HttpRequest,
  JsonAnswer,
  OpenAnswer,
  StreamAnswer,
} from './types.ts';

const STREAM_TYPES = 'text/event-stream, application/json';

export const createHttpClient = (options: HttpClientOptions): HttpClient => {
  const sender = new RequestSender(options);
  const reader = new AnswerReader(sender, options);
  const { times, report } = sender;
  /** Until a stream begins; once it does, only its gaps are bounded. */
  const untilHeadersMs = (request: HttpRequest): number =>
    (request.timeouts?.headersMs ?? times.headersMs) + times.bodyGapMs;
  return {
    origin: sender.base.origin,

    json: (request) =>
      sender.send(
        request,
        sender.calls,
        {
          gapMs: request.timeouts?.bodyGapMs ?? times.bodyGapMs,
          totalMs: request.timeouts?.totalMs ?? times.totalMs,
          accept: 'application/json',
        },
        (received) => reader.json(request, received),
      ),

    stream: (request) =>
      sender.send<StreamAnswer>(
        request,
        sender.streams,
        {
          gapMs: request.timeouts?.streamGapMs ?? times.streamGapMs,
          totalMs: Math.max(request.timeouts?.totalMs ?? times.totalMs, untilHeadersMs(request)),
          accept: STREAM_TYPES,
        },
        (received) => reader.stream(request, received),
      ),

    open: (request) =>
      sender.send<OpenAnswer>(
        request,
        sender.streams,
        {
          gapMs: request.timeouts?.streamGapMs ?? times.streamGapMs,
          totalMs: untilHeadersMs(request),
          accept: STREAM_TYPES,
          anyStatus: true,
        },
        (received) => Promise.resolve(reader.open(request, received)),
      ),

    unusable: (request, status, what, why = 'shape') => report.badBody(request, status, why, what),

    close: () => sender.close(),
  };
};

/** Reads the bodies of answers within the client's bounds. */
class AnswerReader {
  readonly #report: RequestSender['report'];
  readonly #maxBytes: number;
  readonly #maxDepth: number;
  readonly #maxValues: number;

  constructor({ report, maxJsonDepth }: RequestSender, options: HttpClientOptions) {
    this.#report = report;
    this.#maxBytes = options.maxBodyBytes ?? 16_777_216;
    this.#maxDepth = maxJsonDepth;
    this.#maxValues = options.maxJsonValues ?? 250_000;
  }

  async json(request: HttpRequest, received: Received): Promise<JsonAnswer> {
    const { status, headers } = received.answer;
    const type = headers['content-type'] ?? '';
    const text = await this.#text(request, received);
    if (text.trim() === '') return { ...received.answer, body: undefined };
    if (type !== '' && !isJsonType(type))
      throw this.#report.badBody(
        request,
        status,
        'content_type',
        `expected JSON, got ${JSON.stringify(type.slice(0, 60))}; another kind of server answers there.`,
      );
    return { ...received.answer, body: this.#parsed(request, status, text) };
  }

  async stream(request: HttpRequest, received: Received): Promise<StreamAnswer> {
    const { response, answer } = received;
    if (!/^text\/event-stream\b/i.test(answer.headers['content-type'] ?? ''))
      return { ...(await this.json(request, received)), kind: 'json' };
    if (isEncoded(answer.headers['content-encoding'])) {
      response.body.destroy();
      throw this.#report.badBody(request, answer.status, 'encoding', 'the event stream is compressed.');
    }
    return { ...answer, kind: 'events', ...this.#chunks(request, answer.status, response.body) };
  }

  open(request: HttpRequest, { response, answer, key }: Received): OpenAnswer {
    const body = decodedBody(response.body, answer.headers['content-encoding']);
    if (body === null) {
      response.body.destroy();
      throw this.#report.badBody(request, answer.status, 'encoding', 'the response has an unknown encoding.');
    }
    return {
      ...answer,
      ...this.#chunks(request, answer.status, body),
      retryAfterMs: retryAfterFrom(answer.headers, answer.receivedAt, answer.serverTime),
      shouldRetry: shouldRetryFrom(answer.headers),
      scrub: (text) => scrub(text, key),
    };
  }

  #chunks(request: HttpRequest, status: number, body: Parameters<typeof bodyChunks>[0]): BodyChunks {
    return bodyChunks(body, request.signal, (cause) =>
      this.#report.transport(request, cause, { sent: true, status, timedOut: false }),
    );
  }

  async #text(request: HttpRequest, { response, answer, life }: Received): Promise<string> {
    const { status, headers } = answer;
    if (Number(headers['content-length'] ?? 0) > this.#maxBytes) {
      response.body.destroy();
      throw this.#report.badBody(
        request,
        status,
        'too_large',
        `the body is larger than ${this.#maxBytes} bytes.`,
      );
    }
    try {
      const raw = await life.race(readBytes(response.body, this.#maxBytes));
      return (await decode(raw, headers['content-encoding'], this.#maxBytes)).toString('utf8');
    } catch (error) {
      if (error instanceof BodyError)
        throw this.#report.badBody(request, status, error.reason, `${error.message}.`);
      throw error;
    }
  }

  #parsed(request: HttpRequest, status: number, text: string): unknown {
    try {
      return parseJson(text, this.#maxDepth, this.#maxValues);
    } catch (error) {
      if (error instanceof JsonDepthError)
        throw this.#report.badBody(request, status, 'too_deep', `${error.message}.`);
      if (error instanceof JsonValuesError)
        throw this.#report.badBody(request, status, 'too_large', `${error.message}.`);
      throw this.#report.badBody(
        request,
        status,
        'not_json',
        `the body is not JSON (${text.length} characters).`,
      );
    }
  }
}
