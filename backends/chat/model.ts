/**
 * One request to a chat-completions server, streamed when it can.
 *
 * Rule: one question, one answer, no retries here (Temporal owns them). Two things are asked differently when a server says
 * that it does not know them (token counts in the stream, streaming itself), and remembered for later requests. A stream that
 * ends without having said that it is done was cut: that is a failure, since half an answer looks like a whole one.
 * Imported within `backends/chat/`.
 */
import type { BackendContext } from '../../protocol/ports/backend.ts';
import { ANSWER_LIMITS } from '../../protocol/limits.ts';
import { AnswerLimitError, AnswerMeter } from '../answer-meter.ts';
import {
  asRecord,
  HttpFailure,
  JsonValuesError,
  parseJson,
  sseEvents,
  SseLimitError,
  type HttpClient,
  type HttpRequest,
} from '../http/index.ts';
import { serverErrorFrom } from '../http/server-error.ts';
import type { ModelDelta, TurnReader } from './completion-reader.ts';

export interface Capabilities {
  stream: boolean;
  streamUsage: boolean;
}

export interface CompletionRequest {
  /** The request's body for what the server is believed to be capable of. */
  body(capabilities: Capabilities): Record<string, unknown>;
  /** Gives the answer up. */
  signal: AbortSignal;
  observe: NonNullable<BackendContext['observe']>;
  reader: TurnReader;
  onNews(news: ModelDelta[]): Promise<void>;
}

export interface ModelTimeouts {
  /** To the first byte of an answer: a large prompt on a small machine takes minutes. Default 600,000 ms. */
  firstByteMs: number;
  /** Between two pieces. Default 300,000 ms. */
  gapMs: number;
}

const ROUTE = '/chat/completions';

/** The server's words for "the messages do not fit". */
const TOO_LONG =
  /context[ _](length|window|size)|maximum context|too many tokens|prompt is too long|exceeds? the (available )?context/i;

export const isTooLong = (error: unknown): boolean =>
  error instanceof HttpFailure &&
  (error.status === 400 || error.status === 413 || error.status === 422) &&
  (error.error?.code === 'context_length_exceeded' || TOO_LONG.test(error.error?.message ?? ''));

/** The server's filter found something in the messages: there will be no answer. */
export const isFiltered = (error: unknown): boolean =>
  error instanceof HttpFailure &&
  error.status === 400 &&
  (error.error?.code === 'content_filter' || error.error?.code === 'content_policy_violation');

/** What to try without, when the server refused the request as it was. */
const refusedCapability = (error: unknown, now: Capabilities): Capabilities | null => {
  if (!(error instanceof HttpFailure) || error.status === null || error.status < 400 || error.status >= 500)
    return null;
  const words = `${error.error?.param ?? ''} ${error.error?.message ?? ''}`;
  if (now.streamUsage && /stream_options|include_usage/.test(words)) return { ...now, streamUsage: false };
  if (now.stream && /\bstream(ing)?\b/.test(words)) return { stream: false, streamUsage: false };
  return null;
};

/** An answer nests as deep as its arguments do, when a server sends them as objects. */
const MAX_DEPTH = 100;

/** Bytes as they come; more than an answer may have is an `AnswerLimitError`. */
async function* metered(
  chunks: AsyncIterable<Uint8Array>,
  meter: AnswerMeter,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    meter.bytes(chunk.byteLength);
    yield chunk;
  }
}

const isRequestError = (type: string | null): boolean =>
  type !== null && /invalid_request|bad_?request/i.test(type);

export interface ChatCompletionsModel {
  /** Feeds `reader` and tells the news as they come. Throws `HttpFailure`, or the reason of an abort. */
  ask(asking: CompletionRequest): Promise<void>;
  probe(signal: AbortSignal): Promise<{ detail: string }>;
}

export const createChatModel = (http: HttpClient, timeouts: ModelTimeouts): ChatCompletionsModel => {
  // What this server was found not to know; the next requests ask in the way that it understood.
  let capabilities: Capabilities = { stream: true, streamUsage: true };

  const requestFor = (asking: CompletionRequest, can: Capabilities): HttpRequest => ({
    method: 'POST',
    path: ['chat', 'completions'],
    route: ROUTE,
    body: asking.body(can),
    signal: asking.signal,
    timeouts: {
      headersMs: timeouts.firstByteMs,
      streamGapMs: timeouts.gapMs,
      bodyGapMs: timeouts.gapMs,
      totalMs: timeouts.firstByteMs + timeouts.gapMs,
    },
    observe: (what) => asking.observe({ kind: 'request', ...what }),
  });

  /** An answer that began well and went wrong; what the server says decides as it would have at the beginning. */
  const brokeOff = (what: string, event: string | null): HttpFailure => {
    const error = event === null ? null : serverErrorFrom(event, 100);
    const code = Number(error?.code);
    return new HttpFailure({
      kind: error === null ? 'network_ambiguous' : 'status',
      route: `POST ${ROUTE}`,
      origin: http.origin,
      what: error === null ? what : `${what} ${error.message}`,
      status:
        error === null ? 200 : code >= 400 && code <= 599 ? code : isRequestError(error.type) ? 400 : 500,
      errorCode: error?.code ?? null,
      shouldRetry: null,
      retryAfterMs: null,
      networkCode: null,
      error,
      serverTime: null,
    });
  };

  const readJson = async (asking: CompletionRequest, request: HttpRequest, body: unknown): Promise<void> => {
    const completion = asRecord(body);
    if (completion === undefined || !Array.isArray(completion['choices']))
      throw http.unusable(request, 200, 'the answer is no chat completion (it has no choices).');
    await asking.onNews(asking.reader.push(completion));
  };

  const readEvents = async (
    asking: CompletionRequest,
    chunks: AsyncIterable<Uint8Array>,
    onBegun: () => void,
  ): Promise<void> => {
    let done = false;
    const meter = new AnswerMeter();
    const limits = { maxLineChars: ANSWER_LIMITS.eventChars, maxEventChars: ANSWER_LIMITS.eventChars };
    for await (const { data } of sseEvents(metered(chunks, meter), limits)) {
      meter.event(data.length);
      if (data.trim() === '[DONE]') {
        done = true;
        break;
      }
      let chunk: unknown;
      try {
        chunk = parseJson(data, MAX_DEPTH, ANSWER_LIMITS.values);
      } catch (error) {
        if (error instanceof JsonValuesError) throw new AnswerLimitError('values', ANSWER_LIMITS.values);
        throw brokeOff('an event of the stream is no JSON.', null);
      }
      const error = asRecord(chunk)?.['error'];
      if (error !== undefined && error !== null)
        throw brokeOff('the model server broke off its answer:', data);
      onBegun();
      const news = asking.reader.push(chunk);
      if (news.length > 0) await asking.onNews(news);
    }
    if (asking.reader.brokeOff) throw brokeOff('the model server gave its answer up.', null);
    if (!done && !asking.reader.finished)
      throw brokeOff('the stream ended before the answer was complete.', null);
  };

  const askOnce = async (
    asking: CompletionRequest,
    can: Capabilities,
    onBegun: () => void,
  ): Promise<void> => {
    const request = requestFor(asking, can);
    try {
      if (!can.stream) return await readJson(asking, request, (await http.json(request)).body);
      const answer = await http.stream(request);
      if (answer.kind === 'json') await readJson(asking, request, answer.body);
      else await readEvents(asking, answer.chunks, onBegun);
    } catch (error) {
      if (error instanceof SseLimitError || error instanceof AnswerLimitError)
        throw http.unusable(request, 200, `${error.message}.`, 'too_large');
      throw error;
    }
  };

  return {
    async ask(asking) {
      for (;;) {
        let begun = false;
        // Of this request: another one may learn otherwise meanwhile.
        const asked = capabilities;
        try {
          await askOnce(asking, asked, () => (begun = true));
          return;
        } catch (error) {
          // A refusal comes in the place of an answer. What an answer that had begun breaks off with says nothing about
          // the server, and its pieces are with the reader: another answer would be added to them.
          const without = begun ? null : refusedCapability(error, asked);
          if (without === null) throw error;
          capabilities = {
            stream: capabilities.stream && without.stream,
            streamUsage: capabilities.streamUsage && without.streamUsage,
          };
          asking.observe({
            kind: 'fallback',
            reason: without.stream ? 'no stream usage' : 'no stream',
          });
        }
      }
    },
    async probe(signal) {
      const { body } = await http.json({ method: 'GET', path: ['models'], route: '/models', signal });
      const models = asRecord(body)?.['data'];
      const names = Array.isArray(models) ? models.map((model) => asRecord(model)?.['id']) : [];
      const known = names.filter((name) => typeof name === 'string').slice(0, 5);
      return {
        detail: `${http.origin} answers${known.length === 0 ? '' : ` and has ${known.join(', ')}`}`,
      };
    },
  };
};
