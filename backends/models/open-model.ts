/**
 * Opens the model of one provider by the kind of its wire.
 *
 * Rule: the code of an adapter, and the library behind it, is loaded when its kind is opened, never before. Every kind takes the
 * same settings; a setting that a kind has no use for is ignored.
 * Imported by the composition root, by tests and by the bench.
 */
import type { Model } from '../../protocol/ports/model.ts';
import type { HttpClientOptions } from '../http/index.ts';
import type { OpenAiCompatibleSettings } from './openai-compatible/settings.ts';

export const MODEL_KINDS = [
  'openai-compatible',
  'openai-responses',
  'anthropic',
  'google',
  'mistral',
  'bedrock',
] as const;
export type ModelKind = (typeof MODEL_KINDS)[number];

/** Every field: null or left out = the kind's default. */
export interface ModelProviderSettings {
  /** Version path included. Default: the vendor's own. */
  baseUrl?: string | null | undefined;
  /** Default: none is sent. A function is asked anew for every request. */
  apiKey?: HttpClientOptions['apiKey'] | null;
  /** Names the service in what is stored with a turn, and in metrics. Default: the origin of the base URL. */
  provider?: string | null | undefined;
  /** Sent with every request. */
  headers?: Readonly<Record<string, string>> | null | undefined;
  /** Added to the query of every request. */
  query?: Readonly<Record<string, string>> | null | undefined;
  /** Added to the body of every request; a key that is there wins over the run's. */
  body?: Readonly<Record<string, unknown>> | null | undefined;
  /** An HTTP proxy that carries all requests, such as `http://proxy.example:3128`. Default: none. */
  proxy?: string | null | undefined;
  /** false = no model of this provider can see: a request with an image is refused before it is sent. */
  images?: boolean | null | undefined;
  /** To the first byte of an answer, in milliseconds. Default 600,000. */
  firstByteMs?: number | null | undefined;
  /** Silence within an answer after which it counts as broken off, in milliseconds. Default 300,000. */
  gapMs?: number | null | undefined;
  /** Of `openai-compatible` alone: what would be learned of the server. */
  compatible?: Omit<OpenAiCompatibleSettings, 'extraBody'> | null | undefined;
}

/** Where a key without an address belongs, for each kind. */
export const VENDOR_URLS: Readonly<Record<ModelKind, string>> = {
  'openai-compatible': 'https://api.openai.com/v1',
  'openai-responses': 'https://api.openai.com/v1',
  anthropic: 'https://api.anthropic.com/v1',
  google: 'https://generativelanguage.googleapis.com/v1beta',
  mistral: 'https://api.mistral.ai/v1',
  bedrock: 'https://bedrock-runtime.us-east-1.amazonaws.com',
};

/** The options that all adapters share, without the fields that are not set. */
const shared = (kind: ModelKind, settings: ModelProviderSettings) => ({
  baseUrl: settings.baseUrl ?? VENDOR_URLS[kind],
  ...(settings.apiKey == null ? {} : { apiKey: settings.apiKey }),
  ...(settings.provider == null ? {} : { provider: settings.provider }),
  ...(settings.images == null ? {} : { images: settings.images }),
  ...(settings.firstByteMs == null ? {} : { firstByteMs: settings.firstByteMs }),
  ...(settings.gapMs == null ? {} : { gapMs: settings.gapMs }),
  http: {
    headers: settings.headers ?? {},
    ...(settings.query == null ? {} : { query: settings.query }),
  },
});

type Shared = ReturnType<typeof shared> & {
  http: Pick<HttpClientOptions, 'headers' | 'query' | 'dispatcher'>;
};

const OPENERS: Readonly<
  Record<ModelKind, (options: Shared, settings: ModelProviderSettings) => Promise<Model>>
> = {
  'openai-compatible': async (options, { body, compatible }) => {
    const { createOpenAiCompatible } = await import('./openai-compatible/index.ts');
    return createOpenAiCompatible({
      ...options,
      settings: { ...compatible, ...(body == null ? {} : { extraBody: body }) },
    });
  },
  'openai-responses': async (options, { body }) => {
    const { createOpenAiResponsesModel } = await import('./openai-responses/index.ts');
    return await createOpenAiResponsesModel({ ...options, ...(body == null ? {} : { body }) });
  },
  anthropic: async (options, { body }) => {
    const { createAnthropicModel } = await import('./anthropic/index.ts');
    return await createAnthropicModel({ ...options, ...(body == null ? {} : { body }) });
  },
  google: async (options, { body }) => {
    const { createGoogleModel } = await import('./google/index.ts');
    return await createGoogleModel({ ...options, ...(body == null ? {} : { body }) });
  },
  mistral: async (options, { body }) => {
    const { createMistralModel } = await import('./mistral/index.ts');
    return await createMistralModel({ ...options, ...(body == null ? {} : { body }) });
  },
  bedrock: async (options, { body }) => {
    const { createBedrockModel } = await import('./bedrock/index.ts');
    return await createBedrockModel({ ...options, ...(body == null ? {} : { body }) });
  },
};

export const openModel = async (kind: ModelKind, settings: ModelProviderSettings): Promise<Model> => {
  const options: Shared = shared(kind, settings);
  if (settings.proxy == null) return await OPENERS[kind](options, settings);
  const { ProxyAgent } = await import('undici');
  const dispatcher = new ProxyAgent(settings.proxy);
  const model = await OPENERS[kind]({ ...options, http: { ...options.http, dispatcher } }, settings);
  return {
    ...model,
    dispose: async () => {
      await model.dispose();
      await dispatcher.destroy();
    },
  };
};
