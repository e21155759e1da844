/**
 * The port behind which a model answers: one turn in, typed parts out, errors of a closed list.
 *
 * Rule: an adapter sends one request for a turn and never repeats it after the first part; Temporal owns retries. A
 * turn ends with exactly one `finish` part, or the adapter throws `ModelError` or `signal.reason`. Ids of calls stay
 * with the provider: on this port a call is its number within the turn.
 * Imports wire shapes only. Imported by the adapters in `backends/models/`, by `backends/chat/` and by tests.
 */
import type { FunctionTool, ResponseFormat, ToolChoice } from '../wire/objects.ts';

export type ModelContent =
  | { type: 'text'; text: string }
  /** `url` may be a `data:` URL. */
  | { type: 'image'; url: string; detail?: 'auto' | 'low' | 'high' };

/** A call as the conversation repeats it. `callId` is unique within the conversation and unknown to the provider. */
export interface ModelCall {
  callId: string;
  name: string;
  arguments: string;
}

/**
 * Data that a provider must receive again, unchanged, with a later turn: opaque JSON. An adapter reuses it only for the
 * same provider, dialect and model; otherwise it sends the turn as plain text and calls.
 */
export interface ProviderTurn {
  /** The service, such as the origin of its base URL. */
  provider: string;
  /** The wire and its version, such as `openai-chat`. */
  dialect: string;
  /** The model name of the request. */
  model: string;
  /** The provider's ids of the turn's calls, in order; null = it gave no usable id. */
  ids: (string | null)[];
  /** Fields of message and calls that only the provider understands; null = there were none. */
  data: unknown;
}

export type ModelMessage =
  | { role: 'system'; text: string }
  | { role: 'user'; content: ModelContent[] }
  | { role: 'assistant'; text: string; calls: ModelCall[]; providerTurn: ProviderTurn | null }
  | { role: 'tool'; callId: string; name: string; output: string };

/** What a model can do; null = not known, so it is asked. */
export interface ModelCapabilities {
  images: boolean | null;
  jsonSchema: boolean | null;
  tools: boolean | null;
}

export interface ModelRequest {
  model: string;
  /** Oldest first. Every call has its output before the next message of another role. */
  messages: ModelMessage[];
  tools: FunctionTool[];
  /** null = the model decides. */
  toolChoice: ToolChoice | null;
  parallelToolCalls: boolean;
  /** null = plain text. */
  responseFormat: ResponseFormat | null;
  temperature: number | null;
  topP: number | null;
  reasoningEffort: string | null;
  /** Tokens of the answer, reasoning included; null = no limit. */
  maxOutputTokens: number | null;
  /** What the operator says of the model: wins over what the adapter is told of its server, and over what it learns. */
  capabilities: ModelCapabilities;
}

export interface ModelUsage {
  promptTokens: number;
  completionTokens: number;
  totalTokens: number;
  /** Part of `promptTokens`; null = not counted. */
  cachedTokens: number | null;
  /** Part of `completionTokens`; null = not counted. */
  reasoningTokens: number | null;
}

/**
 * Why a turn ended. A broken answer is an error, not a reason. `tool_calls` only when there are calls; `length` also
 * when the answer exceeds `maxOutputTokens`.
 */
export type ModelFinish = 'stop' | 'tool_calls' | 'length' | 'content_filter';

export type ModelPart =
  | { kind: 'text' | 'refusal' | 'reasoning'; text: string }
  /** The call's name is complete. Sent once per call, before its first piece; numbers count up from 0. */
  | { kind: 'call_begun'; call: number; name: string }
  | { kind: 'call_piece'; call: number; text: string }
  /** The complete call, once each, before `finish`. `arguments` is `{}` when the model gave none. */
  | { kind: 'call'; call: number; name: string; arguments: string }
  | { kind: 'usage'; usage: ModelUsage }
  | { kind: 'provider_turn'; turn: ProviderTurn }
  /** The last part. `raw` is the server's reason; null = it gave none. */
  | { kind: 'finish'; reason: ModelFinish; raw: string | null };

export type ModelObservation =
  | { kind: 'request'; method: string; route: string; status: number; ms: number }
  /** The server refused the request, and an adjusted one was sent. `reason` is one of the adapter's closed list. */
  | { kind: 'fallback'; reason: string }
  /** A limit of the server was learned; `capability` is one of the adapter's closed list. */
  | { kind: 'capability'; capability: string; change: 'learned' | 'confirmed' };

export interface TurnControls {
  /** Aborts the turn at once; the iteration then throws `signal.reason`. */
  signal: AbortSignal;
  /** Unix ms after which an answer is useless; null = none. The adapter then throws `broken_off`. */
  deadline: number | null;
  observe?(what: ModelObservation): void;
}

/**
 * A request field that a server does not accept, for one model. Of native kinds, `no_provider_fields` is of the turns whose data
 * was refused alone: data of other turns goes back.
 */
export interface LearnedCapability {
  model: string;
  capability: string;
  /** Unix ms; after it, the field is sent again. */
  until: number;
  /** How often the server has refused it. */
  times: number;
}

/** A model that is not asked for a while, since it has refused. */
export interface ModelCooldown {
  /** As its provider calls it; null = the whole provider can't be reached. */
  model: string | null;
  reason: 'rate_limited' | 'unavailable';
  /** Unix ms. */
  until: number;
  /** Refusals in a row. */
  times: number;
}

export interface LearnedOfServer {
  /** The server's origin, or the name that its operator gave it. */
  server: string;
  capabilities: LearnedCapability[];
  /** Default: none. */
  cooldowns?: ModelCooldown[];
}

export interface ModelSupport {
  /** false = no model of this provider can see; null = the provider decides for each model. */
  images: boolean | null;
}

export interface Model {
  readonly provider: string;
  readonly dialect: string;
  readonly supports: ModelSupport;
  /** Parts that arrived together are yielded together; no batch is empty. Ending the iteration aborts the answer. */
  turn(request: ModelRequest, controls: TurnControls): AsyncIterable<readonly ModelPart[]>;
  /** A cheap request that checks address and key. Throws what is wrong. */
  probe(signal: AbortSignal): Promise<{ detail: string }>;
  /** What this process has learned about the server. */
  learned(): LearnedCapability[];
  dispose(): Promise<void>;
}

export type ModelErrorKind =
  /** The messages do not fit into the model's context window: send fewer. */
  | 'too_long'
  /** Too many requests or tokens, or the quota is spent. */
  | 'rate_limited'
  /** The server does not accept one field of the request: `field`. */
  | 'refused'
  /** The server can't be reached, or can't answer now. */
  | 'unavailable'
  /** The answer began, and ended without a proper end. */
  | 'broken_off'
  /** The request is wrong, or the server speaks another dialect. */
  | 'rejected'
  | 'unauthorized';

/** Why a model did not answer. The message is one sentence without a key. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  readonly kind: ModelErrorKind;
  /** Another attempt with the same request may succeed. */
  readonly retryable: boolean;
  /** Milliseconds that the server asks to wait; null = it names no time. */
  readonly retryAfterMs: number | null;
  /** What the failed attempt may have cost: `turn` = the server may have generated, and charged for, an answer. */
  readonly cost: 'nothing' | 'turn';
  /** The refused field as a path of the request, such as `messages.2.content`; null = the server named none. */
  readonly field: string | null;
  /** Status of the response, or the one in its body; null = no response came. */
  readonly status: number | null;
  /** The server's or the network's own code; null = none. */
  readonly code: string | null;

  constructor(
    kind: ModelErrorKind,
    message: string,
    more: {
      retryable?: boolean;
      retryAfterMs?: number | null;
      cost?: 'nothing' | 'turn';
      field?: string | null;
      status?: number | null;
      code?: string | null;
      cause?: unknown;
    } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.kind = kind;
    this.retryable =
      more.retryable ?? (kind === 'unavailable' || kind === 'broken_off' || kind === 'rate_limited');
    this.retryAfterMs = more.retryAfterMs ?? null;
    this.cost = more.cost ?? (kind === 'broken_off' ? 'turn' : 'nothing');
    this.field = more.field ?? null;
    this.status = more.status ?? null;
    this.code = more.code ?? null;
  }
}
