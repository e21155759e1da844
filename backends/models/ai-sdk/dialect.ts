/**
 * What one provider's adapter says of its wire and of the library that speaks it; everything else is shared.
 *
 * Rule: a dialect holds no state; a gate is made for each request. Types only. Imported within `backends/models/`.
 */
import type { ModelRequest } from '../../../protocol/ports/model.ts';
import type { HttpClient } from '../../http/index.ts';
import type { ReasonClass } from '../openai-compatible/finish-reasons.ts';
import type { EventGate } from './event-gate.ts';
import type { RefusedData } from './refused-data.ts';
import type { SdkCallOptions, SdkFetch, SdkModel } from './sdk-types.ts';

export interface SdkDialect {
  /** The wire and its version, as it is stored with a turn. */
  dialect: string;
  /** The path of a turn's request, for messages and metrics. */
  route: string;
  /** The header of the key. */
  keyHeader: string;
  /** Headers of every request that the library does not send, the probe's too. */
  headers?: Readonly<Record<string, string>>;
  /** The library's name of the provider in its options. */
  metaKey: string;
  /** Fields of the provider's data that go back with a turn. */
  kept: ReadonlySet<string>;
  /** Reasoning goes back also when it has no such field. */
  keepsReasoning?: boolean;
  /** The ids of calls come from the provider. */
  ownIds: boolean;
  /** The library signs its requests: body and headers go as they are. */
  signed?: boolean;
  /** The path that lists models, for the probe; null = the provider has none. */
  modelsPath: readonly string[] | null;
  model: (fetch: SdkFetch, name: string) => SdkModel;
  /** How events are framed. Default: server-sent events. */
  frames?: 'aws';
  gate: () => EventGate;
  /** Changes what is common to all providers to what this one takes. */
  options: (common: SdkCallOptions, request: ModelRequest) => SdkCallOptions;
  /** Changes the body that the library has made. */
  body?: (body: Record<string, unknown>, request: ModelRequest) => Record<string, unknown>;
  /** Meanings of the provider's words for the end of an answer that differ from the usual ones. */
  words?: Readonly<Record<string, ReasonClass>>;
  /** Text that a refusal of data of an earlier turn has. */
  refusesGivenBack: RegExp;
}

export interface SdkAdapter {
  http: HttpClient;
  dialect: SdkDialect;
  provider: string;
  body: Readonly<Record<string, unknown>>;
  query: Readonly<Record<string, string>>;
  firstByteMs: number;
  gapMs: number;
  memory: RefusedData;
}

/** How the turn differs from the usual one, after what the provider has refused. */
export interface TurnAdjustments {
  plain: boolean;
  foreignCallsAsText: boolean;
}
