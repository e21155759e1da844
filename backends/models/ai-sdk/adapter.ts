/**
 * A provider behind the port for models, by a library of the AI SDK at the level of one request.
 *
 * Rule: a request is sent once. It is sent again, adjusted, only before anything of an answer has come, when the provider refuses
 * the data of earlier turns or misses it; what helped is remembered (`refused-data.ts`). The library retries nothing and waits for nothing: time, size and abort are kept here.
 * Imported by the adapters in `backends/models/`.
 */
import type {
  Model,
  ModelPart,
  ModelRequest,
  ModelSupport,
  TurnControls,
} from '../../../protocol/ports/model.ts';
import { createHttpClient, type HttpClientOptions } from '../../http/index.ts';
import { ServerRefusal } from '../openai-compatible/answer.ts';
import type { Adjustment, CapabilityOptions } from '../openai-compatible/capabilities.ts';
import { brokenOff, effectiveStatus } from '../openai-compatible/failures.ts';
import { NotJson } from '../openai-compatible/json-answer.ts';
import { refuseUnsupported } from '../supported-request.ts';
import { withDeadline } from '../turn-deadline.ts';
import { answerByTool } from './answer-by-tool.ts';
import { SdkAttempt } from './attempt.ts';
import type { SdkAdapter, SdkDialect, TurnAdjustments } from './dialect.ts';
import { probeProvider } from './probe.ts';
import { givenBack } from './prompt.ts';
import { createRefusedData } from './refused-data.ts';

export interface SdkModelOptions {
  baseUrl: string;
  apiKey?: HttpClientOptions['apiKey'];
  provider?: string;
  /** false = no model of the provider can see. */
  images?: boolean;
  /** Added to the body of every request; a key that is there wins. */
  body?: Readonly<Record<string, unknown>>;
  firstByteMs?: number;
  gapMs?: number;
  capabilities?: CapabilityOptions;
  http?: Pick<HttpClientOptions, 'headers' | 'query' | 'dispatcher' | 'connections' | 'streamConnections'>;
}

export const createSdkModel = (dialect: SdkDialect, options: SdkModelOptions): Model => {
  const { searchParams } = new URL(options.baseUrl);
  const http = createHttpClient({
    baseUrl: options.baseUrl,
    apiKey: options.apiKey,
    ...options.http,
    keyHeader: dialect.keyHeader,
    headers: { ...dialect.headers, ...options.http?.headers },
  });
  const adapter: SdkAdapter = {
    http,
    dialect,
    provider: options.provider ?? http.origin,
    body: options.body ?? {},
    query: { ...Object.fromEntries(searchParams), ...options.http?.query },
    firstByteMs: options.firstByteMs ?? 600_000,
    gapMs: options.gapMs ?? 300_000,
    memory: createRefusedData(options.capabilities),
  };
  const supports: ModelSupport = { images: options.images ?? null };
  return {
    provider: adapter.provider,
    dialect: dialect.dialect,
    supports,
    turn: (request, controls) => runTurn(adapter, request, controls, supports),
    probe: (signal) => probeProvider(http, dialect, signal),
    learned: () => adapter.memory.list(),
    dispose: () => http.close(),
  };
};

/** The base URL as a library takes it: without query and without a slash at the end. */
export const libraryBase = (baseUrl: string): string => {
  const { origin, pathname } = new URL(baseUrl);
  return `${origin}${pathname.replace(/\/+$/, '')}`;
};

async function* runTurn(
  adapter: SdkAdapter,
  asked: ModelRequest,
  controls: TurnControls,
  supports: ModelSupport,
): AsyncGenerator<ModelPart[], void, undefined> {
  refuseUnsupported(asked, supports);
  controls.signal.throwIfAborted();
  const { signal, stop } = withDeadline(controls);
  const { memory } = adapter;
  const request = { ...asked, messages: memory.without(asked.messages) };
  const adjusted: TurnAdjustments = {
    plain: false,
    foreignCallsAsText: memory.capabilities.active(request.model).includes('foreign_calls_as_text'),
  };
  const tried: Adjustment[] = [];
  try {
    for (;;) {
      const byTool = answerByTool(request);
      const attempt = new SdkAttempt(adapter, byTool?.request ?? request, controls, signal, adjusted);
      try {
        for await (const parts of attempt.run()) {
          learn(adapter, request, tried.splice(0), controls);
          const shown = byTool?.take(parts) ?? parts;
          if (shown.length > 0) yield shown;
        }
        return;
      } catch (error) {
        if (error instanceof NotJson)
          throw brokenOff(`POST ${adapter.dialect.route} at ${adapter.http.origin}`, error.message, {
            status: 200,
          });
        if (!(error instanceof ServerRefusal)) throw error;
        const reason = attempt.begun ? null : adjust(error, adapter, request, adjusted);
        if (reason === null) throw error.error;
        tried.push(reason);
        controls.observe?.({ kind: 'fallback', reason });
      }
    }
  } finally {
    stop();
  }
}

/** Remembers what the provider has refused, once it has answered without it. */
const learn = (
  { memory, dialect, provider }: SdkAdapter,
  { model, messages }: ModelRequest,
  tried: readonly Adjustment[],
  controls: TurnControls,
): void => {
  const [first] = tried;
  if (first === undefined) return;
  // A model that missed what was dropped first says nothing of calls of others.
  const change =
    first === 'no_provider_fields'
      ? memory.refused(model, givenBack(messages, { provider, dialect: dialect.dialect, model }))
      : memory.capabilities.learn(model, first);
  controls.observe?.({ kind: 'capability', capability: first, change });
};

const MISSES = /missing|must (be|have|start|contain|include)|expected|required/i;

/** Changes `adjusted` by what the refusal calls for; null = it calls for nothing. Each change is tried once. */
const adjust = (
  { facts }: ServerRefusal,
  { dialect, provider }: SdkAdapter,
  request: ModelRequest,
  adjusted: TurnAdjustments,
): Adjustment | null => {
  const status = effectiveStatus(facts);
  if (status !== 400 && status !== 422 && status !== 404) return null;
  if (!dialect.refusesGivenBack.test(facts.report.message)) return null;
  const speaker = { provider, dialect: dialect.dialect, model: request.model };
  if (!adjusted.plain && givenBack(request.messages, speaker).length > 0) {
    adjusted.plain = true;
    return 'no_provider_fields';
  }
  const calls = request.messages.some(({ role }) => role === 'tool');
  if (!adjusted.foreignCallsAsText && calls && MISSES.test(facts.report.message)) {
    adjusted.foreignCallsAsText = true;
    return 'foreign_calls_as_text';
  }
  return null;
};
