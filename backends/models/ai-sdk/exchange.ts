/**
 * One request of a provider's library and its answer, over this project's HTTP client.
 *
 * Rule: the library never sees a failure: a refusal, a broken connection and an error within the answer are kept here, and end the
 * stream; the adapter throws them in the place of whatever the library makes of that. Events pass a gate, and are counted before
 * the library reads them. Imported by the adapter.
 */
import type { ModelError, ModelRequest, TurnControls } from '../../../protocol/ports/model.ts';
import { AnswerLimitError, type AnswerMeter } from '../../answer-meter.ts';
import {
  HttpFailure,
  JsonDepthError,
  JsonValuesError,
  parseJson,
  readStart,
  SseLimitError,
  type HttpClient,
  type OpenAnswer,
} from '../../http/index.ts';
import { inTurns } from '../../loop-turns.ts';
import { answerWithin, ofTransport, ServerRefusal } from '../openai-compatible/answer.ts';
import {
  isErrorBody,
  readErrorBody,
  readReport,
  type ErrorReport,
} from '../openai-compatible/error-report.ts';
import { brokenOff, foreign, isContentFilter, type RefusalFacts } from '../openai-compatible/failures.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';
import type { EventGate } from './event-gate.ts';
import { sentHeaders } from './sent-headers.ts';
import { awsEvents, FrameError, asOnePiece, sseWireEvents, type WireEvent } from './wire-events.ts';
import { ANSWER_LIMITS } from '../../../protocol/limits.ts';

const ERROR_BODY_BYTES = 65_536;

export interface ExchangeOptions {
  http: HttpClient;
  route: string;
  request: ModelRequest;
  controls: TurnControls;
  signal: AbortSignal;
  meter: AnswerMeter;
  gate: EventGate;
  /** null = server-sent events. */
  frames: 'aws' | null;
  firstByteMs: number;
  gapMs: number;
  /** Added to the query of the library's address. */
  query: Readonly<Record<string, string>>;
  /** The library's own authorization is a signature, which must not be changed, and neither may the body. */
  signed: boolean;
  /** null = the body goes as the library has made it. */
  adjustBody: ((body: Record<string, unknown>) => Record<string, unknown>) | null;
}

export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #startedAt = Date.now();
  #asked = false;
  /** Why the answer is none, or not whole; null = nothing is known to be wrong. */
  failure: { error: unknown } | null = null;
  /** A filter ended the answer before it began. */
  filtered = false;
  begun = false;

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  get where(): string {
    return `POST ${this.#options.route} at ${this.#options.http.origin}`;
  }

  /** The `fetch` of the library. */
  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    try {
      // A library that asks again by itself would pay for a second answer.
      if (this.#asked) throw this.broken('the library asks a second time within one turn');
      this.#asked = true;
      const answer = await this.#open(String(input instanceof Request ? input.url : input), init);
      if (answer.status < 200 || answer.status > 299) await this.#refused(answer);
      return new Response(this.#body(answer), {
        status: 200,
        headers: { 'content-type': answer.headers['content-type'] ?? 'text/event-stream' },
      });
    } catch (error) {
      this.failure ??= { error: ofTransport(error, false, this.#heldMs()) };
      throw error;
    }
  };

  broken(what: string): ModelError {
    return brokenOff(this.where, what, { status: 200 });
  }

  #heldMs(): number {
    return Date.now() - this.#startedAt;
  }

  async #open(url: string, init: RequestInit | undefined): Promise<OpenAnswer> {
    const { http, route, controls, signal, firstByteMs, gapMs, query, signed, adjustBody } = this.#options;
    const target = new URL(url);
    if (!signed) for (const [name, value] of Object.entries(query)) target.searchParams.set(name, value);
    const given = typeof init?.body === 'string' ? init.body : '{}';
    const body =
      signed || adjustBody === null
        ? given
        : JSON.stringify(adjustBody(JSON.parse(given) as Record<string, unknown>));
    return await http.open({
      method: 'POST',
      path: [],
      exact: { target: `${target.pathname}${target.search}`, body },
      route,
      headers: sentHeaders(init?.headers, signed),
      signal,
      timeouts: { headersMs: firstByteMs, streamGapMs: gapMs },
      observe: (what) => controls.observe?.({ kind: 'request', ...what }),
    });
  }

  async #refused(answer: OpenAnswer): Promise<never> {
    const start = await readStart(
      answer.chunks,
      ERROR_BODY_BYTES,
      (error) => !(error instanceof HttpFailure),
    );
    const report = readErrorBody(answer.scrub(start.toString('utf8')));
    // AWS names the error in a header: `ThrottlingException:http://…`.
    const named = answer.headers['x-amzn-errortype']?.split(':')[0] ?? '';
    const codes = named === '' ? report.codes : [named, ...report.codes];
    return this.#refuse(this.#facts(answer, { ...report, codes }));
  }

  #facts(answer: OpenAnswer, report: ErrorReport): RefusalFacts {
    return {
      where: this.where,
      status: answer.status,
      retryAfterMs: answer.retryAfterMs,
      shouldRetry: answer.shouldRetry,
      // The word of an envelope, which the word of the error is in.
      report: { ...report, codes: report.codes.filter((code) => code !== 'error') },
      begun: this.begun,
      heldMs: this.#heldMs(),
      maxOutputTokens: this.#options.request.maxOutputTokens,
    };
  }

  #refuse(facts: RefusalFacts): never {
    this.filtered = isContentFilter(facts);
    throw new ServerRefusal(facts);
  }

  /** The body as the library reads it. It ends well also when the answer does not: `failure` says so. */
  #body(answer: OpenAnswer): ReadableStream<Uint8Array> {
    const { signal, gate } = this.#options;
    const source = this.#gated(answer, gate);
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          try {
            const next = await source.next();
            if (next.done === true) controller.close();
            else controller.enqueue(next.value);
          } catch (error) {
            if (signal.aborted) {
              controller.error(signal.reason);
              return;
            }
            this.failure ??= { error: this.#translated(error) };
            controller.close();
          }
        },
        cancel: async () => {
          answer.close();
          await source.return(undefined);
        },
      },
      { highWaterMark: 0 },
    );
  }

  #translated(error: unknown): unknown {
    if (
      error instanceof AnswerLimitError ||
      error instanceof JsonDepthError ||
      error instanceof JsonValuesError ||
      error instanceof SseLimitError
    )
      return foreignSize(this.where, error.message);
    if (error instanceof FrameError) return foreign(this.where, error.message);
    return ofTransport(error, this.begun, this.#heldMs());
  }

  async *#gated(answer: OpenAnswer, gate: EventGate): AsyncGenerator<Uint8Array, void, undefined> {
    const { meter } = this.#options;
    const wire = this.#options.frames === 'aws' ? awsEvents() : sseWireEvents();
    let start = '';
    let events = 0;
    let released = false;
    try {
      const chunks = inTurns(answer.chunks);
      for (;;) {
        const chunk = await nextChunk(chunks, gate);
        if (chunk === undefined) break;
        meter.bytes(chunk.byteLength);
        if (events === 0 && start.length < 4_096) start += Buffer.from(chunk).toString('utf8');
        const out: (Uint8Array | string)[] = [];
        for (const event of wire.push(chunk)) {
          events += 1;
          meter.event(event.data.length);
          const passed = this.#gatedEvent(answer, gate, event);
          if (passed !== null) out.push(passed);
        }
        if (out.length > 0) yield asOnePiece(out);
        if (gate.whole && gate.countsFollow !== true) {
          released = true;
          answer.release();
          return;
        }
      }
    } catch (error) {
      if (!(gate.whole && error instanceof HttpFailure)) throw error;
    } finally {
      // A released connection serves the next turn.
      if (!released) answer.close();
    }
    if (events === 0) this.#notEvents(answer, start.trim());
  }

  /** The event as the library reads it; null = the library does not see it. */
  #gatedEvent(
    answer: OpenAnswer,
    gate: EventGate,
    { name, data, raw }: WireEvent,
  ): Uint8Array | string | null {
    if (data.trim() === '' || data.trim() === '[DONE]') return null;
    let value: unknown;
    try {
      value = parseJson(data, ANSWER_LIMITS.depth, ANSWER_LIMITS.values);
    } catch (error) {
      if (error instanceof JsonDepthError || error instanceof JsonValuesError) throw error;
      throw this.broken('a part of the answer is no JSON');
    }
    if (!isRecord(value)) return null;
    const verdict = gate.event(value, name);
    if (verdict.kind === 'drop') return null;
    if (verdict.kind === 'error') return this.#errorWithin(answer, verdict.body);
    this.begun = true;
    if (raw !== null) return raw;
    // An event of one line goes on as it came.
    const asItCame = verdict.value === undefined && !data.includes('\n');
    return `data: ${asItCame ? data : JSON.stringify(verdict.value ?? value)}\n\n`;
  }

  #errorWithin(answer: OpenAnswer, body: unknown): never {
    const report = readReport(body);
    return this.#refuse(this.#facts(answer, { ...report, message: answer.scrub(report.message) }));
  }

  #notEvents(answer: OpenAnswer, start: string): void {
    if (start.startsWith('<')) throw foreign(this.where, 'the answer is a page, not events');
    try {
      const value = parseJson(start);
      if (isErrorBody(value)) this.#errorWithin(answer, value);
    } catch (error) {
      if (error instanceof ServerRefusal) throw error;
    }
    const isStream = /event-?stream/i.test(answer.headers['content-type'] ?? '');
    throw start === '' || isStream
      ? this.broken('the answer ended before its first event')
      : foreign(this.where, 'the answer is no stream of events');
  }
}

/** How long token counts are awaited after the end, in milliseconds. */
const SETTLE_MS = 3_000;

/** undefined: the body has ended, or the answer has and nothing follows. */
const nextChunk = async (
  chunks: AsyncIterator<Uint8Array>,
  gate: EventGate,
): Promise<Uint8Array | undefined> => {
  const next = chunks.next();
  const item = gate.whole ? await answerWithin(next, SETTLE_MS) : await next;
  // The chunk that is not awaited any more fails when the connection is closed.
  if (item === undefined) next.catch(() => undefined);
  return item === undefined || item.done === true ? undefined : item.value;
};

const foreignSize = (where: string, message: string): ModelError =>
  foreign(where, `${message}; an answer of this size is not kept`);
