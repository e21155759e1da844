/**
 * The models that the API lists: those of RUNS_MODELS, of the one model server, else `RUNS_MODEL`.
 *
 * Rule: one request at a time, within three seconds, never repeated; the HTTP client is loaded at the first request.
 * Imported by `api.ts`.
 */
import { createModelList, listConfiguredModels, type ListModels } from '../api/index.ts';
import type { ModelsConfig } from '../protocol/models.ts';
import type { HttpClient } from '../backends/http/index.ts';
import { VENDOR_URLS } from '../backends/models/open-model.ts';
import type { Config } from '../worker/config.ts';

/** Address of the chat models. */
export type ModelServer = Pick<Config, 'baseUrl' | 'apiKey' | 'apiVersion' | 'model'>;

export interface OpenModels {
  list: ListModels;
  close: () => Promise<void>;
}

const TIMEOUT_MS = 3_000;
const BODY = { bytes: 4_194_304, values: 100_000 } as const;

const connect = async ({ baseUrl, apiKey, apiVersion }: ModelServer): Promise<HttpClient> => {
  const { createHttpClient } = await import('../backends/http/index.ts');
  return createHttpClient({
    baseUrl: baseUrl ?? VENDOR_URLS['openai-compatible'],
    ...(apiKey === null ? {} : { apiKey }),
    ...(apiVersion === null ? {} : { query: { 'api-version': apiVersion } }),
    connections: 1,
    maxBodyBytes: BODY.bytes,
    maxJsonValues: BODY.values,
    timeouts: {
      connectMs: TIMEOUT_MS,
      headersMs: TIMEOUT_MS,
      bodyGapMs: TIMEOUT_MS,
      totalMs: TIMEOUT_MS,
    },
  });
};

/** Of a configuration of several providers: nothing is asked. */
export const configuredModels = (config: ModelsConfig): OpenModels => ({
  list: listConfiguredModels(config),
  close: async () => undefined,
});

/** `server`: null = none is configured. */
export const openModels = (server: ModelServer | null): OpenModels => {
  let http: Promise<HttpClient> | null = null;
  const known = server !== null && (server.baseUrl !== null || server.apiKey !== null);
  const list = createModelList({
    read: known
      ? async () => {
          http ??= connect(server);
          return (await (await http).json({ method: 'GET', path: ['models'], route: '/models' })).body;
        }
      : null,
    configured: server === null || server.model === null ? [] : [server.model],
  });
  return { list, close: async () => (await http)?.close() };
};
