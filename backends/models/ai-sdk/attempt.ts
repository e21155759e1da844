/**
 * One request of a turn by a library: what is sent, its answer as parts, and its end.
 *
 * Rule: an answer is whole or an error, by the provider's own word for its end, whatever the library makes of it.
 * Imported by the adapter.
 */
import {
  ModelError,
  type ModelPart,
  type ModelRequest,
  type ProviderTurn,
  type TurnControls,
} from '../../../protocol/ports/model.ts';
import { AnswerLimitError, AnswerMeter } from '../../answer-meter.ts';
import { MAX_TURN_CHARS } from '../openai-compatible/attempt.ts';
import { reasonClass } from '../openai-compatible/finish-reasons.ts';
import type { Speaker } from '../openai-compatible/messages.ts';
import type { SdkAdapter, TurnAdjustments } from './dialect.ts';
import { partBatches } from './batches.ts';
import { commonOptions } from './call-options.ts';
import type { EventGate } from './event-gate.ts';
import { Exchange } from './exchange.ts';
import { sdkPrompt } from './prompt.ts';
import { TurnReader } from './turn-reader.ts';

export class SdkAttempt {
  readonly #adapter: SdkAdapter;
  readonly #request: ModelRequest;
  readonly #controls: TurnControls;
  readonly #signal: AbortSignal;
  readonly #adjusted: TurnAdjustments;
  readonly #speaker: Speaker;
  readonly #gate: EventGate;
  readonly #reader: TurnReader;
  readonly #exchange: Exchange;
  /** Aborts the request when the turn ends: complete, failed or aborted by its caller. */
  readonly #life = new AbortController();
  begun = false;

  constructor(
    adapter: SdkAdapter,
    request: ModelRequest,
    controls: TurnControls,
    signal: AbortSignal,
    adjusted: TurnAdjustments,
  ) {
    const { dialect, http, firstByteMs, gapMs, query, body: extra } = adapter;
    this.#adapter = adapter;
    this.#request = request;
    this.#controls = controls;
    this.#signal = signal;
    this.#adjusted = { ...adjusted };
    this.#speaker = { provider: adapter.provider, dialect: dialect.dialect, model: request.model };
    this.#gate = dialect.gate();
    const meter = new AnswerMeter();
    this.#reader = new TurnReader({ meter, ...dialect });
    this.#exchange = new Exchange({
      http,
      route: dialect.route,
      request,
      controls,
      signal: this.#life.signal,
      meter,
      gate: this.#gate,
      frames: dialect.frames ?? null,
      firstByteMs,
      gapMs,
      query,
      signed: dialect.signed ?? false,
      adjustBody:
        dialect.body === undefined && Object.keys(extra).length === 0
          ? null
          : (body) => ({ ...(dialect.body?.(body, request) ?? body), ...extra }),
    });
  }

  async *run(): AsyncGenerator<ModelPart[], void, undefined> {
    const onAbort = (): void => this.#life.abort(this.#signal.reason);
    if (this.#signal.aborted) onAbort();
    let ended = false;
    this.#signal.addEventListener('abort', onAbort, { once: true });
    try {
      const stream = await this.#stream();
      if (stream !== null)
        for await (const given of partBatches(stream)) {
          const parts = given.flatMap((part) => this.#reader.take(part));
          if (parts.length === 0) continue;
          this.begun = true;
          yield parts;
        }
      const ending = this.#ending();
      this.begun = true;
      ended = true;
      yield ending;
    } catch (error) {
      throw this.#explained(error);
    } finally {
      this.#signal.removeEventListener('abort', onAbort);
      // After a whole answer nothing is left to end, and the error of an abort takes a tenth of a millisecond.
      if (!ended) this.#life.abort();
    }
  }

  /** null = a filter refused the prompt. */
  async #stream(): Promise<ReadableStream<unknown> | null> {
    const { dialect } = this.#adapter;
    const request = this.#request;
    const prompt = sdkPrompt(request.messages, {
      speaker: this.#speaker,
      metaKey: dialect.metaKey,
      ...this.#adjusted,
    });
    const options = dialect.options(commonOptions(request, prompt), request);
    const model = dialect.model(this.#exchange.fetch, request.model);
    try {
      return (await model.doStream({ ...options, abortSignal: this.#life.signal })).stream;
    } catch (error) {
      if (this.#exchange.filtered) return null;
      throw error;
    }
  }

  /** What the turn throws: an abort first, then what the exchange saw, then what the library says. */
  #explained(error: unknown): unknown {
    if (this.#signal.aborted) return this.#signal.reason;
    const { failure, where } = this.#exchange;
    if (failure !== null) return failure.error;
    if (error instanceof ModelError) return error;
    if (error instanceof AnswerLimitError)
      return new ModelError('rejected', `${where}: ${error.message}.`, { status: 200, cost: 'turn' });
    const said = error instanceof Error ? error.message : String(error);
    return new ModelError(
      this.#exchange.begun ? 'rejected' : 'refused',
      `${where}: the library can't ${this.#exchange.begun ? 'read the answer' : 'send this request'}: ${JSON.stringify(said.slice(0, 300))}.`,
      {
        code: error instanceof Error ? error.name : null,
        cost: this.#exchange.begun ? 'turn' : 'nothing',
        cause: error,
      },
    );
  }

  /** The last parts of a whole answer; throws when it is not whole. */
  #ending(): ModelPart[] {
    const exchange = this.#exchange;
    const reader = this.#reader;
    this.#signal.throwIfAborted();
    const usage: ModelPart[] = reader.usage === null ? [] : [{ kind: 'usage', usage: reader.usage }];
    if (exchange.filtered) {
      exchange.failure = null;
      return [...reader.cutCalls(), ...usage, { kind: 'finish', reason: 'content_filter', raw: null }];
    }
    if (exchange.failure !== null) throw exchange.failure.error;
    if (reader.unreadable !== null) throw reader.unreadable;
    if (!this.#gate.whole) throw exchange.broken('the stream ended before the answer was complete');
    const finish = this.#finish(this.#gate.reason);
    const turn: ModelPart = { kind: 'provider_turn', turn: this.#providerTurn() };
    const refusal = this.#gate.refusal ?? null;
    const refused: ModelPart[] = refusal === null ? [] : [{ kind: 'refusal', text: refusal }];
    return [...refused, ...reader.cutCalls(), ...usage, turn, finish];
  }

  #finish(raw: string | null): Extract<ModelPart, { kind: 'finish' }> {
    const { dialect } = this.#adapter;
    const { maxOutputTokens } = this.#request;
    const reader = this.#reader;
    const exchange = this.#exchange;
    const meaning = this.#gate.meaning ?? (raw === null ? 'stop' : reasonClass(raw, dialect.words));
    if (raw === 'pause_turn')
      throw new ModelError(
        'rejected',
        `${exchange.where}: the model paused its turn ("pause_turn") for a tool that the provider runs itself, and this project does not continue such turns. Remove the provider's own tools from the body of the request.`,
        { status: 200, cost: 'turn', code: 'pause_turn' },
      );
    if (meaning === 'broken' || meaning === 'unknown')
      throw exchange.broken(`the provider ended its answer with ${JSON.stringify(raw?.slice(0, 100))}`);
    const completion = reader.usage?.completionTokens ?? null;
    if (meaning === 'length' && !reader.spoke && completion === 0)
      throw new ModelError('too_long', `${exchange.where}: the messages fill the model’s window.`, {
        status: 200,
        cost: 'turn',
      });
    if (meaning !== 'stop') return { kind: 'finish', reason: meaning, raw };
    if (!reader.complete) throw exchange.broken('the answer ended in the middle of a call');
    if (maxOutputTokens !== null && completion !== null && completion > maxOutputTokens)
      return { kind: 'finish', reason: 'length', raw };
    return { kind: 'finish', reason: reader.calls > 0 ? 'tool_calls' : 'stop', raw };
  }

  #providerTurn(): ProviderTurn {
    const { ids, data } = this.#reader.kept();
    const turn: ProviderTurn = { ...this.#speaker, ids, data: null };
    if (data === null) return turn;
    if (JSON.stringify(data).length <= MAX_TURN_CHARS) return { ...turn, data };
    this.#controls.observe?.({ kind: 'fallback', reason: 'provider_fields_too_large' });
    return turn;
  }
}
