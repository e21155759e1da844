/**
 * The port behind which a model answers: one turn in, typed parts out, errors of a closed list.
 *
 * Rule: an adapter sends one request for a turn and never repeats it after the first part; Temporal owns retries. It ends
 * a turn with exactly one `finish` part, or throws `ModelError`, or throws `signal.reason`. Ids of calls stay with the
 * provider: on this port a call is its number within the turn.
 * Imports wire shapes only. Adapters in `backends/models/`, `backends/chat/` and tests import it.
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
 * What a provider must get back unchanged with a later turn: opaque JSON. An adapter reuses it only when provider,
 * dialect and model are the ones it serves; otherwise it sends the turn as plain text and calls.
 */
export interface ProviderTurn {
  /** The service, such as the origin of its base URL. */
  provider: string;
  /** The wire and its version, such as `openai-chat`. */
  dialect: string;
  /** As it was asked for. */
  model: string;
  /** The provider's ids of the turn's calls, in order; null = it gave none that is usable. */
  ids: (string | null)[];
  /** Fields of message and calls that only the provider understands; null = there were none. */
  data: unknown;
}

export type ModelMessage =
  | { role: 'system'; text: string }
  | { role: 'user'; content: ModelContent[] }
  | { role: 'assistant'; text: string; calls: ModelCall[]; providerTurn: ProviderTurn | null }
  | { role: 'tool'; callId: string; name: string; output: string };

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
 * Why a turn ended. Reasons that mean a broken answer are errors, not reasons.
 * `tool_calls` only when there are calls; `length` also when the answer is longer than `maxOutputTokens`.
 */
export type ModelFinish = 'stop' | 'tool_calls' | 'length' | 'content_filter';

export type ModelPart =
  | { kind: 'text' | 'refusal' | 'reasoning'; text: string }
  /** The call's name is complete. Once for each call, before its first piece; numbers count up from 0. */
  | { kind: 'call_begun'; call: number; name: string }
  | { kind: 'call_piece'; call: number; text: string }
  /** The call as it counts, once for each, before `finish`. `arguments` is `{}` when the model gave none. */
  | { kind: 'call'; call: number; name: string; arguments: string }
  | { kind: 'usage'; usage: ModelUsage }
  | { kind: 'provider_turn'; turn: ProviderTurn }
  /** The last part. `raw` is the server's own word; null = it gave none. */
  | { kind: 'finish'; reason: ModelFinish; raw: string | null };

export type ModelObservation =
  | { kind: 'request'; method: string; route: string; status: number; ms: number }
  /** A request was refused and is sent once more, adjusted. `reason` is one of a closed list of the adapter. */
  | { kind: 'fallback'; reason: string }
  /** What was learned of a server's limits; `capability` is one of a closed list of the adapter. */
  | { kind: 'capability'; capability: string; change: 'learned' | 'confirmed' };

export interface TurnControls {
  /** Gives the turn up at once; the iteration then throws `signal.reason`. */
  signal: AbortSignal;
  /** Unix ms after which an answer is of no use; null = none. The adapter then throws `broken_off`. */
  deadline: number | null;
  observe?(what: ModelObservation): void;
}

/** One thing that a server was found not to take, for one model. */
export interface LearnedCapability {
  model: string;
  capability: string;
  /** Unix ms; the server is asked as usual again afterwards. */
  until: number;
  /** How often the server has shown it. */
  times: number;
}

export interface Model {
  readonly provider: string;
  readonly dialect: string;
  /** Parts that arrived together come together; no batch is empty. Stopping the iteration gives the answer up. */
  turn(request: ModelRequest, controls: TurnControls): AsyncIterable<readonly ModelPart[]>;
  /** A cheap request that proves address and key. Throws what is wrong. */
  probe(signal: AbortSignal): Promise<{ detail: string }>;
  /** What this process has learned of the server so far. */
  learned(): LearnedCapability[];
  dispose(): Promise<void>;
}

export type ModelErrorKind =
  /** The messages do not fit into the model's window: send fewer. */
  | 'too_long'
  /** Too many requests or tokens, or the quota is spent. */
  | 'rate_limited'
  /** The server does not take one field of the request: `field`. */
  | 'refused'
  /** The server is not there, or not able to answer now. */
  | 'unavailable'
  /** The answer began and did not end as an answer ends. */
  | 'broken_off'
  /** The request is wrong, or the server is not one of this dialect. */
  | 'rejected'
  | 'unauthorized';

/** Why a model did not answer. The message holds no key and is one sentence. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  readonly kind: ModelErrorKind;
  /** Another attempt at the same request may succeed. */
  readonly retryable: boolean;
  /** Milliseconds that the server asks to wait; null = it names no time. */
  readonly retryAfterMs: number | null;
  /** What the failed attempt may have cost: `turn` = the server may have generated, and charged for, an answer. */
  readonly cost: 'nothing' | 'turn';
  /** The refused field as a path of the request, such as `messages.2.content`; null = the server named none. */
  readonly field: string | null;
  /** Of the answer, or as the server put it into its body; null = no answer came. */
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
