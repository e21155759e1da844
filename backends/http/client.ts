/**
 * A thin HTTP client over undici for servers that are slow, broken or hostile now and then.
 *
 * Rule: one call, one request: no retries (Temporal owns them), no redirects (they would carry the key elsewhere), no
 * unbounded wait or body, and an exact answer to "may it have happened?": a request counts as sent from the moment it
 * is handed to a socket. Streams have their own sockets, so that a thousand open ones never delay a call.
 * Secrets never reach a message: causes are dropped, the server's texts are scrubbed.
 * Throws `HttpFailure`, or `signal.reason` when the caller aborts. Only backends import it.
 */
import { Pool, type Dispatcher } from 'undici';
import { answerOf, isJsonType } from './response.ts';
import { BodyError, decode, isEncoded, readBytes, readStart } from './body.ts';
import { bodyChunks, decodedBody } from './body-chunks.ts';
import { retryAfterFrom, shouldRetryFrom } from './classify.ts';
import { HttpFailure, type ServerError } from './failure.ts';
import { JsonDepthError, JsonValuesError, parseJson } from './json.ts';
import { createRequestDeadline, type RequestDeadline } from './request-deadline.ts';
import { createReporter } from './request-report.ts';
import { trackSent, type SentTracker } from './track-sent.ts';
import { serverErrorFrom, scrub } from './server-error.ts';
import type {
  HttpClient,
  HttpClientOptions,
  HttpRequest,
  JsonAnswer,
  OpenAnswer,
  StreamAnswer,
} from './types.ts';
import { parseBaseUrl } from './url.ts';

const ERROR_BODY_BYTES = 65_536;

export const createHttpClient = (options: HttpClientOptions): HttpClient => {
  const base = parseBaseUrl(options.baseUrl, options.query);
  const report = createReporter(base.origin);
  const times = {
    connectMs: 10_000,
    headersMs: 60_000,
    bodyGapMs: 30_000,
    totalMs: 120_000,
    streamGapMs: 120_000,
    ...options.timeouts,
  };
  const maxBytes = options.maxBodyBytes ?? 16_777_216;
  const maxDepth = options.maxJsonDepth ?? 100;
  const maxValues = options.maxJsonValues ?? 250_000;
  const now = options.now ?? Date.now;
  const poolOf = (connections: number | null): Dispatcher =>
    (
      options.dispatcher ??
      new Pool(base.origin, {
        connections,
        pipelining: 1,
        connect: { timeout: times.connectMs },
        connectTimeout: times.connectMs,
      })
    ).compose(trackSent);
  const calls = poolOf(options.connections ?? 64);
  const streams = poolOf(options.streamConnections ?? null);

  /** The key of this request; a provider that fails is like a network that is down. */
  const keyFor = async (request: HttpRequest): Promise<string | undefined> => {
    let key: unknown;
    try {
      key = typeof options.apiKey === 'function' ? await options.apiKey() : options.apiKey;
    } catch {
      throw new HttpFailure(report.facts(request, 'network_before_send', 'the API key provider failed.'));
    }
    if (key === undefined || key === '') return undefined;
    if (typeof key !== 'string' || !/^[\x21-\x7e]+$/.test(key))
      throw new HttpFailure(
        report.facts(
          request,
          'key',
          'the API key has characters that a header cannot carry (a line break or a space?).',
        ),
      );
    return key;
  };

  const send = async <Result>(
    request: HttpRequest,
    dispatcher: Dispatcher,
    limits: { gapMs: number; totalMs: number; accept: string; anyStatus?: boolean },
    read: (
      response: Dispatcher.ResponseData<SentTracker>,
      life: RequestDeadline,
      key: string | undefined,
    ) => Promise<Result>,
  ): Promise<Result> => {
    request.signal?.throwIfAborted();
    const key = await keyFor(request);
    const target = base.target(request.path, request.query);
    const started = now();
    const note: SentTracker = { sent: false };
    const life = createRequestDeadline(request.signal, limits.totalMs);
    let status = 0;
    try {
      const response = await life.race(
        dispatcher.request<SentTracker>({
          method: request.method,
          path: target,
          headers: {
            accept: limits.accept,
            // Unasked compression is unpacked within bounds; asking for it would only cost both sides time.
            'accept-encoding': 'identity',
            ...options.headers,
            ...request.headers,
            ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
            ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
          },
          body: request.body === undefined ? null : JSON.stringify(request.body),
          signal: life.signal,
          opaque: note,
          headersTimeout: request.timeouts?.headersMs ?? times.headersMs,
          bodyTimeout: limits.gapMs,
        }),
      );
      // A body may fail before it is read; without a listener that would end the process.
      response.body.on('error', () => undefined);
      status = response.statusCode;
      if (limits.anyStatus !== true && (status < 200 || status > 299))
        throw await statusFailure(request, response, key);
      return await read(response, life, key);
    } catch (error) {
      throw life.explain(error, (cause) =>
        report.transport(request, cause, { sent: note.sent, status, timedOut: life.timedOut() }),
      );
    } finally {
      life.finish();
      request.observe?.({ method: request.method, route: request.route, status, ms: now() - started });
    }
  };

  const statusFailure = async (
    request: HttpRequest,
    response: Dispatcher.ResponseData<SentTracker>,
    key: string | undefined,
  ): Promise<HttpFailure> => {
    const answer = answerOf(response, now());
    const raw = await readStart(response.body, ERROR_BODY_BYTES);
    let error: ServerError | null = null;
    try {
      const body = await decode(raw, answer.headers['content-encoding'], ERROR_BODY_BYTES * 4);
      error = serverErrorFrom(scrub(body.toString('utf8'), key), maxDepth);
    } catch {
      error = null;
    }
    return new HttpFailure(
      report.facts(
        request,
        'status',
        `HTTP ${answer.status}${error === null ? '.' : `: ${JSON.stringify(error.message)}`}`,
        {
          status: answer.status,
          error,
          errorCode: error?.code ?? null,
          shouldRetry: shouldRetryFrom(answer.headers),
          retryAfterMs: retryAfterFrom(answer.headers, answer.receivedAt, answer.serverTime),
          serverTime: answer.serverTime,
        },
      ),
    );
  };

  const readJson = async (
    request: HttpRequest,
    response: Dispatcher.ResponseData<SentTracker>,
    life: RequestDeadline,
  ): Promise<JsonAnswer> => {
    const answer = answerOf(response, now());
    const { status, headers } = answer;
    const type = headers['content-type'] ?? '';
    if (Number(headers['content-length'] ?? 0) > maxBytes) {
      response.body.destroy();
      throw report.badBody(request, status, 'too_large', `the body is larger than ${maxBytes} bytes.`);
    }
    let text: string;
    try {
      const raw = await life.race(readBytes(response.body, maxBytes));
      text = (await decode(raw, headers['content-encoding'], maxBytes)).toString('utf8');
    } catch (error) {
      if (error instanceof BodyError)
        throw report.badBody(request, status, error.reason, `${error.message}.`);
      throw error;
    }
    if (text.trim() === '') return { ...answer, body: undefined };
    if (type !== '' && !isJsonType(type))
      throw report.badBody(
        request,
        status,
        'content_type',
        `expected JSON, got ${JSON.stringify(type.slice(0, 60))}; something else answers there.`,
      );
    try {
      return { ...answer, body: parseJson(text, maxDepth, maxValues) };
    } catch (error) {
      if (error instanceof JsonDepthError)
        throw report.badBody(request, status, 'too_deep', `${error.message}.`);
      if (error instanceof JsonValuesError)
        throw report.badBody(request, status, 'too_large', `${error.message}.`);
      throw report.badBody(request, status, 'not_json', `the body is no JSON (${text.length} characters).`);
    }
  };

  return {
    origin: base.origin,

    json: (request) =>
      send(
        request,
        calls,
        {
          gapMs: request.timeouts?.bodyGapMs ?? times.bodyGapMs,
          totalMs: request.timeouts?.totalMs ?? times.totalMs,
          accept: 'application/json',
        },
        (response, life) => readJson(request, response, life),
      ),

    stream: (request) => {
      const gapMs = request.timeouts?.streamGapMs ?? times.streamGapMs;
      return send<StreamAnswer>(
        request,
        streams,
        {
          gapMs,
          // Until the stream begins; once it does, only its gaps are bounded.
          totalMs: Math.max(
            request.timeouts?.totalMs ?? times.totalMs,
            (request.timeouts?.headersMs ?? times.headersMs) + times.bodyGapMs,
          ),
          accept: 'text/event-stream, application/json',
        },
        async (response, life) => {
          const answer = answerOf(response, now());
          if (!/^text\/event-stream\b/i.test(answer.headers['content-type'] ?? ''))
            return { ...(await readJson(request, response, life)), kind: 'json' };
          if (isEncoded(answer.headers['content-encoding'])) {
            response.body.destroy();
            throw report.badBody(request, answer.status, 'encoding', 'the event stream is compressed.');
          }
          const stream = bodyChunks(response.body, request.signal, (cause) =>
            report.transport(request, cause, { sent: true, status: answer.status, timedOut: false }),
          );
          return { ...answer, kind: 'events', ...stream };
        },
      );
    },

    open: (request) =>
      send<OpenAnswer>(
        request,
        streams,
        {
          gapMs: request.timeouts?.streamGapMs ?? times.streamGapMs,
          totalMs: (request.timeouts?.headersMs ?? times.headersMs) + times.bodyGapMs,
          accept: 'text/event-stream, application/json',
          anyStatus: true,
        },
        async (response, _life, key) => {
          const answer = answerOf(response, now());
          const body = decodedBody(response.body, answer.headers['content-encoding']);
          if (body === null) {
            response.body.destroy();
            throw report.badBody(request, answer.status, 'encoding', 'the answer’s encoding is not known.');
          }
          const stream = bodyChunks(body, request.signal, (cause) =>
            report.transport(request, cause, { sent: true, status: answer.status, timedOut: false }),
          );
          return {
            ...answer,
            ...stream,
            retryAfterMs: retryAfterFrom(answer.headers, answer.receivedAt, answer.serverTime),
            shouldRetry: shouldRetryFrom(answer.headers),
            scrub: (text) => scrub(text, key),
          };
        },
      ),

    unusable: (request, status, what, why = 'shape') => report.badBody(request, status, why, what),

    close: async () => {
      if (options.dispatcher === undefined) await Promise.all([calls.destroy(), streams.destroy()]);
    },
  };
};
