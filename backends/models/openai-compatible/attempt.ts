/**
 * One request of a turn: its body without the fields that the server refuses, its answer as parts, and its end.
 *
 * Rule: an answer is complete or an error; the way in which it ends teaches the limits of the server. Imported by
 * `index.ts`.
 */
import {
  ModelError,
  type ModelPart,
  type ModelRequest,
  type ProviderTurn,
  type TurnControls,
} from '../../../protocol/ports/model.ts';
import { AnswerMeter } from '../../answer-meter.ts';
import type { HttpClient, HttpRequest } from '../../http/index.ts';
import { readAnswer, type AnswerEnd } from './answer.ts';
import { answerToolOf, jsonFormat, type AnswerTool } from './answer-tool.ts';
import { usableIds } from './call-ids.ts';
import type { Adjustment, CapabilityMemory } from './capabilities.ts';
import { CompletionReader } from './completion-reader.ts';
import { brokenOff } from './failures.ts';
import { JsonAnswerFilter } from './json-answer.ts';
import { maxTokensField, requestBody } from './request.ts';
import { decided, type OpenAiCompatibleSettings } from './settings.ts';

export const OPENAI_CHAT = 'openai-chat';

export const COMPLETIONS_ROUTE = '/chat/completions';

/** Most that a turn's fields may take in the store, as JSON. A server that sends more gets none of them back. */
export const MAX_TURN_CHARS = 262_144;

export interface Adapter {
  http: HttpClient;
  capabilities: CapabilityMemory;
  settings: OpenAiCompatibleSettings;
  provider: string;
  firstByteMs: number;
  gapMs: number;
  settleMs: number;
}

export const learn = (
  { capabilities }: Adapter,
  model: string,
  tried: readonly Adjustment[],
  controls: TurnControls,
): void => {
  for (const adjustment of tried)
    controls.observe?.({
      kind: 'capability',
      capability: adjustment,
      change: capabilities.learn(model, adjustment),
    });
};

/** One request of a turn. */
export class TurnAttempt {
  readonly adapter: Adapter;
  readonly request: ModelRequest;
  readonly body: Record<string, unknown>;
  readonly #active: ReadonlySet<Adjustment>;
  readonly #controls: TurnControls;
  readonly #signal: AbortSignal;
  readonly #onAccepted: () => void;
  readonly #answerTool: AnswerTool | null;
  /** null = the answer may be any text. */
  readonly #json: JsonAnswerFilter | null;
  #accepted = false;
  /** Parts of the answer have been passed on. */
  begun = false;

  constructor(
    adapter: Adapter,
    request: ModelRequest,
    active: ReadonlySet<Adjustment>,
    controls: TurnControls,
    signal: AbortSignal,
    onAccepted: () => void,
  ) {
    this.adapter = adapter;
    this.request = request;
    this.#active = new Set(active);
    this.#controls = controls;
    this.#signal = signal;
    this.#onAccepted = onAccepted;
    const speaker = { provider: adapter.provider, dialect: OPENAI_CHAT, model: request.model };
    this.#answerTool = answerToolOf(request, this.#active);
    this.body = requestBody(request, speaker, this.#active, adapter.settings.extraBody);
    const format = jsonFormat(request);
    this.#json =
      format === null
        ? null
        : new JsonAnswerFilter({ ...format, tools: request.tools.length > 0, answerTool: this.#answerTool });
  }

  /** How a turn that asks for JSON was asked; null = it does not ask for JSON. */
  get format(): 'field' | 'tool' | null {
    return this.#json === null ? null : this.#answerTool === null ? 'field' : 'tool';
  }

  async *run(): AsyncGenerator<ModelPart[], void, undefined> {
    const { settings } = this.adapter;
    const meter = new AnswerMeter();
    const reader = new CompletionReader({
      meter,
      tools: this.#toolNames(),
      ...(settings.finishReasons === undefined ? {} : { finishReasons: settings.finishReasons }),
    });
    try {
      yield* this.#parts(reader, meter);
    } catch (error) {
      // An answer that is not whole has its price, too.
      if (reader.usage !== null) yield [{ kind: 'usage', usage: reader.usage }];
      throw error;
    }
  }

  async *#parts(reader: CompletionReader, meter: AnswerMeter): AsyncGenerator<ModelPart[], void, undefined> {
    const { http, settleMs } = this.adapter;
    const answer = readAnswer({
      http,
      request: this.#httpRequest(),
      reader,
      meter,
      maxOutputTokens: this.request.maxOutputTokens,
      startedAt: Date.now(),
      settleMs,
      onAccepted: () => {
        if (!this.#accepted) this.#onAccepted();
        this.#accepted = true;
      },
    });
    let next = await answer.next();
    try {
      for (; next.done !== true; next = await answer.next()) {
        const parts = this.#shown(next.value);
        if (parts.length > 0) yield parts;
      }
    } finally {
      if (next.done !== true) await answer.return('closed');
    }
    yield this.#shown(this.#ending(reader, next.value));
  }

  /** What of the parts is passed on now. Throws `NotJson`. */
  #shown(parts: ModelPart[]): ModelPart[] {
    const shown = this.#json === null ? parts : this.#json.take(parts);
    this.begun ||= shown.length > 0;
    return shown;
  }

  #toolNames(): string[] {
    const names = this.request.tools.map((tool) => tool.function.name);
    return this.#answerTool === null ? names : [...names, this.#answerTool.tool.function.name];
  }

  #httpRequest(): HttpRequest {
    const { firstByteMs, gapMs } = this.adapter;
    return {
      method: 'POST',
      path: ['chat', 'completions'],
      route: COMPLETIONS_ROUTE,
      body: this.body,
      signal: this.#signal,
      timeouts: {
        headersMs: firstByteMs,
        streamGapMs: gapMs,
        bodyGapMs: gapMs,
        totalMs: firstByteMs + gapMs,
      },
      observe: (what) => this.#controls.observe?.({ kind: 'request', ...what }),
    };
  }

  /** The last parts of a whole answer; throws when it is not whole. */
  #ending(reader: CompletionReader, end: AnswerEnd): ModelPart[] {
    const { capabilities, http } = this.adapter;
    const { model, maxOutputTokens } = this.request;
    const usage: ModelPart[] = reader.usage === null ? [] : [{ kind: 'usage', usage: reader.usage }];
    if (end === 'filtered') return [...usage, { kind: 'finish', reason: 'content_filter', raw: null }];
    const where = `POST ${COMPLETIONS_ROUTE} at ${http.origin}`;
    const calls = reader.endCalls();
    const before = capabilities.ends(model);
    const ending = reader.ending(end, before, maxOutputTokens);
    if (ending.kind === 'broken') {
      if (!reader.finished && end === 'closed' && reader.saidAnything && !before.sendsReason)
        capabilities.sawBareEnd(model);
      throw brokenOff(where, ending.what, { status: 200 });
    }
    if (ending.kind === 'too_long')
      throw new ModelError('too_long', `${where}: the messages fill the model’s window.`, {
        status: 200,
        cost: 'turn',
      });
    if (reader.finished && end !== 'whole') capabilities.sawReason(model);
    this.#checkLimit(reader);
    return [...calls, ...usage, { kind: 'provider_turn', turn: this.#providerTurn(reader) }, ending];
  }

  /** A limit that was not kept: the server calls it otherwise, perhaps. */
  #checkLimit(reader: CompletionReader): void {
    const { maxOutputTokens, model } = this.request;
    const { fixed } = decided(this.adapter.settings, this.request.capabilities);
    const completion = reader.usage?.completionTokens ?? 0;
    if (maxOutputTokens === null || completion <= maxOutputTokens || fixed.has('other_max_tokens_field'))
      return;
    if (maxTokensField(this.#active) === 'max_completion_tokens')
      learn(this.adapter, model, ['other_max_tokens_field'], this.#controls);
  }

  #providerTurn(reader: CompletionReader): ProviderTurn {
    const { calls: all, fields } = reader.turn();
    const calls = all.filter(({ name }) => name !== this.#answerTool?.tool.function.name);
    const turn: ProviderTurn = {
      provider: this.adapter.provider,
      dialect: OPENAI_CHAT,
      model: this.request.model,
      ids: usableIds(calls.map(({ id }) => id)),
      data: null,
    };
    const callFields = calls.map((call) => (Object.keys(call.fields).length === 0 ? null : call.fields));
    if (Object.keys(fields).length === 0 && callFields.every((one) => one === null)) return turn;
    const data = { message: fields, calls: callFields };
    if (JSON.stringify(data).length <= MAX_TURN_CHARS) return { ...turn, data };
    this.#controls.observe?.({ kind: 'fallback', reason: 'provider_fields_too_large' });
    return turn;
  }
}
