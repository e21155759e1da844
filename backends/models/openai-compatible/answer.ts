/**
 * One request and its answer: from the HTTP client to parts, with every failure on the way as an error.
 *
 * Rule: one request, no retry. An answer ends with its finish reason: later data is awaited for a moment only (token
 * counts come last), and a connection that breaks then is no error. Imported by `index.ts`.
 */
import { ModelError, type ModelPart } from '../../../protocol/ports/model.ts';
import { AnswerLimitError, type AnswerMeter } from '../../answer-meter.ts';
import { inTurns } from '../../loop-turns.ts';
import {
  HttpFailure,
  readStart,
  SseLimitError,
  type HttpClient,
  type HttpRequest,
  type OpenAnswer,
} from '../../http/index.ts';
import type { CompletionReader, AnswerBodyEnd } from './completion-reader.ts';
import { isErrorBody, readErrorBody, readReport, reportOfBody, type ErrorReport } from './error-report.ts';
import {
  brokenOff,
  errorOf,
  foreign,
  GENERATING_AFTER_MS,
  isContentFilter,
  type RefusalFacts,
} from './failures.ts';
import { FrameReader, type AnswerFrame } from './framing.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';

const ERROR_BODY_BYTES = 65_536;

/** The server's refusal, with the error for the case that no adjustment of the request helps. */
export class ServerRefusal extends Error {
  override readonly name = 'ServerRefusal';
  readonly facts: RefusalFacts;
  readonly error: ModelError;

  constructor(facts: RefusalFacts) {
    super(facts.report.message);
    this.facts = facts;
    this.error = errorOf(facts);
  }
}

export interface AnswerContext {
  http: HttpClient;
  request: HttpRequest;
  reader: CompletionReader;
  meter: AnswerMeter;
  maxOutputTokens: number | null;
  /** Unix ms of the request. */
  startedAt: number;
  /** After the reason of the end has come, in milliseconds. */
  settleMs: number;
  /** The server has taken the request: a part of an answer has come. */
  onAccepted(): void;
}

/** How the answer's body ended; null = a filter ended it. */
export type AnswerEnd = AnswerBodyEnd | 'filtered';

const where = ({ http, request }: AnswerContext): string =>
  `${request.method} ${request.route} at ${http.origin}`;

/** May the model have generated? `heldMs`: from the request to the failure. */
const costOfTransport = (
  { kind, status }: HttpFailure,
  begun: boolean,
  heldMs: number,
): 'nothing' | 'turn' => {
  if (begun || kind === 'timeout') return 'turn';
  if (kind === 'network_ambiguous')
    return status !== null || heldMs >= GENERATING_AFTER_MS ? 'turn' : 'nothing';
  return kind === 'bad_body' && status !== null ? 'turn' : 'nothing';
};

/** An error of the transport in the terms of the port; any other error as it is. */
export const ofTransport = (error: unknown, begun: boolean, heldMs: number): unknown => {
  if (!(error instanceof HttpFailure)) return error;
  const { kind, status, facts, message } = error;
  const more = { status, code: facts.networkCode, cost: costOfTransport(error, begun, heldMs) };
  if (kind === 'key' || status === 401 || status === 403)
    return new ModelError('unauthorized', message, more);
  if (kind === 'status' && error.verdict.nonRetryable) return new ModelError('rejected', message, more);
  if (kind === 'bad_body' && facts.badBody !== 'not_http') return new ModelError('rejected', message, more);
  return new ModelError(
    begun || (kind === 'network_ambiguous' && status !== null) ? 'broken_off' : 'unavailable',
    message,
    more,
  );
};

/** A connection that breaks within the body of an error costs only its text; an abort is the caller's. */
const readErrorText = async (answer: OpenAnswer): Promise<string> => {
  const start = await readStart(answer.chunks, ERROR_BODY_BYTES, (error) => !(error instanceof HttpFailure));
  return answer.scrub(start.toString('utf8'));
};

const factsOf = (
  ctx: AnswerContext,
  answer: OpenAnswer,
  report: ErrorReport,
  begun: boolean,
): RefusalFacts => ({
  heldMs: Date.now() - ctx.startedAt,
  where: where(ctx),
  status: answer.status,
  retryAfterMs: answer.retryAfterMs,
  shouldRetry: answer.shouldRetry,
  report,
  begun,
  maxOutputTokens: ctx.maxOutputTokens,
});

const openAnswer = async (ctx: AnswerContext): Promise<OpenAnswer> => {
  try {
    return await ctx.http.open(ctx.request);
  } catch (error) {
    throw ofTransport(error, false, Date.now() - ctx.startedAt);
  }
};

/** Reads one frame into `parts`. Returns how the body ended, or null when it goes on. */
const takeFrame = (
  frame: AnswerFrame,
  ctx: AnswerContext,
  parts: ModelPart[],
  refuse: (body: unknown) => ServerRefusal,
): AnswerBodyEnd | null => {
  const { reader } = ctx;
  const take = (value: unknown): void => {
    // Once the answer has ended, an error is no part of it.
    if (isErrorBody(value)) {
      if (!reader.finished) throw refuse(value);
      return;
    }
    if (isRecord(value) && (value['choices'] !== undefined || value['usage'] !== undefined)) ctx.onAccepted();
    parts.push(...reader.chunk(value));
  };
  switch (frame.kind) {
    case 'chunk':
      take(frame.value);
      return null;
    case 'whole':
      if (Array.isArray(frame.value)) {
        for (const item of frame.value) take(item);
        return 'closed';
      }
      if (isErrorBody(frame.value)) throw refuse(frame.value);
      if (!isRecord(frame.value) || frame.value['choices'] === undefined)
        throw foreign(where(ctx), 'the response is not a chat completion (it has no choices)');
      ctx.onAccepted();
      parts.push(...reader.whole(frame.value));
      return 'whole';
    case 'error':
      if (!reader.finished) throw refuse(frame.value);
      return null;
    case 'garbled':
      if (!reader.finished) throw brokenOff(where(ctx), 'a part of the response is not JSON');
      return null;
    case 'foreign':
      throw foreign(where(ctx), 'the response is a web page, not JSON');
    default:
      return 'done';
  }
};

interface Taken {
  parts: ModelPart[];
  end: AnswerBodyEnd | null;
  /** What is wrong, after the parts that came before it. */
  failure: { error: unknown } | null;
}

const takeFrames = (
  frames: readonly AnswerFrame[],
  ctx: AnswerContext,
  refuse: (body: unknown, after: boolean) => ServerRefusal,
): Taken => {
  const parts: ModelPart[] = [];
  for (const frame of frames) {
    try {
      const end = takeFrame(frame, ctx, parts, (body) => refuse(body, parts.length > 0));
      if (end !== null) return { parts, end, failure: null };
    } catch (error) {
      return { parts, end: null, failure: { error } };
    }
  }
  return { parts, end: null, failure: null };
};

/** The next chunk; undefined when it does not come within `ms`. */
export const answerWithin = async <T>(next: Promise<T>, ms: number): Promise<T | undefined> => {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      next,
      new Promise<undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), ms);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
};

/** Parts as they come; returns how the answer ended. Throws `ServerRefusal`, `ModelError` or the reason of an abort. */
export async function* readAnswer(ctx: AnswerContext): AsyncGenerator<ModelPart[], AnswerEnd, undefined> {
  const answer = await openAnswer(ctx);
  const { reader } = ctx;
  let begun = false;
  let released = false;
  try {
    if (answer.status < 200 || answer.status > 299) {
      const facts = factsOf(ctx, answer, readErrorBody(await readErrorText(answer)), false);
      if (isContentFilter(facts)) return 'filtered';
      throw new ServerRefusal(facts);
    }
    const refuse = (body: unknown, after: boolean): ServerRefusal => {
      const report = isRecord(body) || Array.isArray(body) ? reportOfBody(body) : readReport(body);
      const scrubbed = { ...report, message: answer.scrub(report.message) };
      return new ServerRefusal(factsOf(ctx, answer, scrubbed, begun || after));
    };
    const frames = new FrameReader(ctx.meter);
    const chunks = inTurns(answer.chunks);
    for (;;) {
      const next = await nextChunk(chunks, ctx);
      const taken = takeFrames(next === undefined ? frames.end() : frames.push(next), ctx, refuse);
      if (taken.parts.length > 0) {
        begun = true;
        yield taken.parts;
      }
      if (taken.failure !== null) throw taken.failure.error;
      if (taken.end === null && next !== undefined) continue;
      released = taken.end !== null;
      return taken.end ?? 'closed';
    }
  } catch (error) {
    if (error instanceof ServerRefusal && isContentFilter(error.facts)) return 'filtered';
    if (error instanceof SseLimitError || error instanceof AnswerLimitError)
      throw new ModelError('rejected', `${where(ctx)}: ${error.message}.`, {
        status: answer.status,
        cost: 'turn',
      });
    if (reader.finished && error instanceof HttpFailure) return 'closed';
    throw ofTransport(error, begun, Date.now() - ctx.startedAt);
  } finally {
    if (released) answer.release();
    else answer.close();
  }
}

/** undefined: the body has ended, or the answer has and nothing follows. */
const nextChunk = async (
  chunks: AsyncIterator<Uint8Array>,
  { reader, settleMs }: AnswerContext,
): Promise<Uint8Array | undefined> => {
  const next = chunks.next();
  const item = reader.finished ? await answerWithin(next, settleMs) : await next;
  // The chunk that is not awaited any more fails when the connection is closed.
  if (item === undefined) next.catch(() => undefined);
  return item === undefined || item.done === true ? undefined : item.value;
};
