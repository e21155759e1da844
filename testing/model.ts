/**
 * A scripted chat model behind the chat-completions wire: `POST /v1/chat/completions`, `GET /v1/models`.
 *
 * Rule: it plays the scripts of runs, selected by the model's name (`weather`, `scripted:weather`; any other name plays
 * the default script). It keeps no state: its answer follows from the request. Only the sandbox imports it.
 */
import { DEFAULT_BODY_LIMITS, readJson } from '../api/body.ts';
import type { Authenticator } from '../api/auth.ts';
import type { WireModel } from '../api/models.ts';
import { errorResponse, toApiError } from '../api/errors.ts';
import { ApiError, apiErrors } from '../protocol/errors.ts';
import type { ManualClock } from './clock.ts';
import type { Quirks } from './assistants-server/quirks.ts';
import type { IdSource } from './ids.ts';
import { readChatRequest } from './model-request.ts';
import type { ChatRequest } from './model-request.ts';
import { argumentsText, fragments, pieces, scriptOfModel, takeTurn, tokens, underRules } from './script.ts';
import type { ScriptCatalogue, ScriptedTurn } from './script.ts';
import { bodyOf, ConnectionLost } from './wire.ts';

export interface ModelDeps {
  clock: ManualClock;
  ids: IdSource;
  scripts: ScriptCatalogue;
  defaultScript: string;
  quirks: Quirks;
  auth: Authenticator;
  /** Rejects when the caller gives up or the sandbox closes. */
  forever: (signal: AbortSignal) => Promise<never>;
}

/** The scripts as models; `created` in unix seconds. */
export const scriptedModels = (scripts: ScriptCatalogue, created: number): WireModel[] =>
  [...scripts.keys()].map((id) => ({ id, object: 'model', created, owned_by: 'sandbox' }));

interface Said {
  text: string | null;
  chunks: string[];
  calls: { id: string | null; name: string; arguments: string }[];
  finish: 'stop' | 'tool_calls' | 'length' | 'content_filter';
  usage: {
    prompt_tokens: number;
    completion_tokens: number;
    total_tokens: number;
    prompt_tokens_details?: { cached_tokens: number };
    completion_tokens_details?: { reasoning_tokens: number };
  };
}

const modelFailure = (fail: { code: string; message: string; status?: number }): ApiError => {
  const status = fail.status ?? 500;
  const headers = status === 429 ? { 'retry-after': '1' } : {};
  return new ApiError(status, fail.message, { code: fail.code, headers });
};

interface Spoken {
  text?: string;
  chunks?: string[];
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** Where JSON is asked for, words of a script become the JSON `{"text": …}`, as a model server would constrain them. */
const asAsked = (spoken: Spoken, { wantsJson }: ChatRequest): Spoken => {
  const text = spoken.text ?? spoken.chunks?.join('');
  return !wantsJson || text === undefined || isJson(text) ? spoken : { text: JSON.stringify({ text }) };
};

const say = (turn: ScriptedTurn, request: ChatRequest, { ids, quirks }: ModelDeps): Said => {
  if ('incomplete' in turn && turn.incomplete === 'max_prompt_tokens')
    throw new ApiError(400, "This model's maximum context length is exceeded: the messages are too long.", {
      code: 'context_length_exceeded',
      param: 'messages',
    });
  const scripted = 'calls' in turn ? turn.calls : [];
  const calls = scripted.map((call, index) => ({
    id: { fresh: call.id ?? ids('call'), repeated: `call_${index}`, omitted: null }[quirks.modelCallIds],
    name: call.name,
    arguments: argumentsText(call),
  }));
  const spoken = asAsked('text' in turn ? turn : {}, request);
  let text = spoken.text ?? null;
  let chunks = pieces(spoken);
  let finish: Said['finish'] = calls.length > 0 && !quirks.modelStopWithCalls ? 'tool_calls' : 'stop';
  if ('incomplete' in turn) finish = turn.incomplete === 'content_filter' ? 'content_filter' : 'length';
  if (text !== null && request.maxTokens !== null && tokens(text) > request.maxTokens) {
    text = text.slice(0, request.maxTokens * 4);
    chunks = pieces({ text });
    finish = 'length';
  }
  const { turn: asked } = request;
  const prompt =
    turn.usage?.prompt_tokens ??
    tokens(
      asked.instructions ?? '',
      ...asked.messages.map((message) => message.text),
      ...asked.outputs.map(({ output }) => output),
    );
  const completion =
    turn.usage?.completion_tokens ?? tokens(text ?? '', ...calls.map((call) => call.name + call.arguments));
  return {
    text,
    chunks,
    calls,
    finish,
    usage: {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
      ...(turn.usage?.cached_tokens === undefined
        ? {}
        : { prompt_tokens_details: { cached_tokens: turn.usage.cached_tokens } }),
      ...(turn.usage?.reasoning_tokens === undefined
        ? {}
        : { completion_tokens_details: { reasoning_tokens: turn.usage.reasoning_tokens } }),
    },
  };
};

/** The pieces of a streamed answer; `pause` stands for the time between two of them. */
function* deltas(said: Said, whole: boolean): Generator<Record<string, unknown> | 'pause'> {
  yield { role: 'assistant', content: said.calls.length > 0 && said.text === null ? null : '' };
  for (const [index, value] of said.chunks.entries()) {
    if (index > 0) yield 'pause';
    yield { content: value };
  }
  for (const [index, call] of said.calls.entries()) {
    const head = { index, ...(call.id === null ? {} : { id: call.id }), type: 'function' };
    if (whole) {
      yield { tool_calls: [{ ...head, function: { name: call.name, arguments: call.arguments } }] };
      continue;
    }
    yield { tool_calls: [{ ...head, function: { name: call.name, arguments: '' } }] };
    for (const part of fragments(call.arguments)) {
      yield 'pause';
      yield { tool_calls: [{ index, function: { arguments: part } }] };
    }
  }
}

const encoder = new TextEncoder();

class ScriptedModel {
  readonly #deps: ModelDeps;

  constructor(deps: ModelDeps) {
    this.#deps = deps;
  }

  models(): WireModel[] {
    return scriptedModels(this.#deps.scripts, this.#created());
  }

  async complete(http: Request, requestId: string): Promise<Response> {
    const { forever } = this.#deps;
    const request = readChatRequest(await readJson(http, DEFAULT_BODY_LIMITS));
    const turn = this.#turn(request);
    if (turn.delayMs !== undefined && turn.delayMs > 0) await this.#pause(turn.delayMs);
    if ('hang' in turn) return forever(http.signal);
    if ('fail' in turn) throw modelFailure(turn.fail);
    const said = say(turn, request, this.#deps);
    const headers = { 'x-request-id': requestId, 'openai-version': '2020-10-01' };
    return request.stream
      ? new Response(bodyOf(this.#streamed(request, said, turn.chunkDelayMs ?? 0), 'end', undefined), {
          headers: {
            'content-type': 'text/event-stream; charset=utf-8',
            'cache-control': 'no-cache',
            ...headers,
          },
        })
      : new Response(JSON.stringify(this.#whole(request, said)), {
          headers: { 'content-type': 'application/json', ...headers },
        });
  }

  /** The turn that the model's script plays. */
  #turn(request: ChatRequest): ScriptedTurn {
    const { scripts, defaultScript } = this.#deps;
    const chosen = scriptOfModel(scripts, request.model, defaultScript);
    if (typeof chosen === 'string')
      throw new ApiError(
        404,
        `The model '${request.model}' does not exist or you do not have access to it. ${chosen}`,
        { code: 'model_not_found', param: 'model' },
      );
    return underRules(takeTurn(chosen, { ...request.turn, argument: chosen.argument }), {
      toolChoice: request.toolChoice,
      parallel: request.parallel,
    });
  }

  #created(): number {
    return Math.floor(this.#deps.clock.now() / 1000);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#deps.clock.setTimeout(resolve, ms));
  }

  #envelope(request: ChatRequest, object: string): Record<string, unknown> {
    return {
      id: this.#deps.ids('chatcmpl'),
      object,
      created: this.#created(),
      model: request.model,
      system_fingerprint: null,
    };
  }

  #whole(request: ChatRequest, said: Said): unknown {
    const toolCalls = said.calls.map((call) => ({
      ...(call.id === null ? {} : { id: call.id }),
      type: 'function',
      function: { name: call.name, arguments: call.arguments },
    }));
    return {
      ...this.#envelope(request, 'chat.completion'),
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: said.text,
            refusal: null,
            ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
          },
          logprobs: null,
          finish_reason: said.finish,
        },
      ],
      ...(this.#deps.quirks.modelNoUsage ? {} : { usage: said.usage }),
    };
  }

  async *#streamed(request: ChatRequest, said: Said, gapMs: number): AsyncGenerator<Uint8Array> {
    const { quirks } = this.#deps;
    const head = this.#envelope(request, 'chat.completion.chunk');
    const withUsage = request.includeUsage && !quirks.modelNoUsage;
    const frame = (more: Record<string, unknown>): Uint8Array =>
      encoder.encode(
        `data: ${JSON.stringify({ ...head, ...more, ...(withUsage && !('usage' in more) ? { usage: null } : {}) })}\n\n`,
      );
    const choice = (delta: unknown, finish: string | null): Uint8Array =>
      frame({ choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });
    for (const delta of deltas(said, quirks.modelWholeCalls)) {
      if (delta !== 'pause') yield choice(delta, null);
      else if (gapMs > 0) await this.#pause(gapMs);
    }
    yield choice({}, said.finish);
    if (withUsage) yield frame({ choices: [], usage: said.usage });
    yield encoder.encode('data: [DONE]\n\n');
  }
}

export const createScriptedModel = (deps: ModelDeps): ((request: Request) => Promise<Response>) => {
  const model = new ScriptedModel(deps);
  return async (request) => {
    const requestId = deps.ids('req');
    const path = new URL(request.url).pathname;
    try {
      deps.auth.authenticate(request.headers);
      if (request.method === 'POST' && path.endsWith('/chat/completions'))
        return await model.complete(request, requestId);
      if (request.method === 'GET' && path.endsWith('/models'))
        return new Response(JSON.stringify({ object: 'list', data: model.models() }), {
          headers: { 'content-type': 'application/json', 'x-request-id': requestId },
        });
      throw apiErrors.noRoute(request.method, path);
    } catch (error) {
      if (error instanceof ConnectionLost) throw error;
      return errorResponse(toApiError(error, requestId), requestId);
    }
  };
};
