/**
 * The API over service and store, on a socket: for `runs serve` and for the stack.
 *
 * Rule: it is ready when this resolves. On shutdown, streams are notified and requests finish before the store and
 * Temporal's connection close.
 */
import { createApi, createLimiter, parseOrigins, parseRates, serveApi } from '../api/index.ts';
import type { RequestLogEntry } from '../api/index.ts';
import type { RunsClient } from '../client/index.ts';
import { textSeal } from '../client/seal-text.ts';
import {
  createRunsService,
  startMaintenance,
  startWebhookDispatcher,
  webhookStarter,
  workflowsOf,
  type BlindModel,
  type WebhookOptions,
} from '../service/index.ts';
import type { ModelsConfig } from '../protocol/models.ts';
import { resolveModel } from '../protocol/rules/resolve-model.ts';
import type { Logger } from '../protocol/ports/backend.ts';
import type { Store } from '../protocol/ports/run-store.ts';
import { splitAddress } from '../worker/address.ts';
import type { Config } from '../worker/config.ts';
import { serveMetrics, type MetricsEndpoint } from '../worker/serve-metrics.ts';
import type { Telemetry } from '../worker/telemetry/types.ts';
import { version } from './version.ts';
import { consoleUrlOf, openAccess } from './console/open-console.ts';
import { apiMetrics, type ApiMetrics } from './api-metrics.ts';
import { Disposables } from '../worker/disposables.ts';
import { configuredModels, openModels, type ModelServer, type OpenModels } from './models.ts';

export interface ApiParts {
  config: Config;
  store: Store;
  client: RunsClient;
  /** Starts runs; with a worker in this process, they begin there at once. Default: `client`. */
  starter?: RunsClient;
  log: Logger;
  /** The model server whose models are listed. Default: the configuration's, with `RUNS_BACKEND=chat`. */
  modelServer?: ModelServer;
  /** Default: the configuration's. */
  port?: number;
  /** Address of Temporal's Web UI, for links. Default: not known. */
  uiUrl?: string | null;
  /** Where spans and metrics go; stays the caller's to close. Default: nowhere. */
  telemetry?: Telemetry | null;
  /** Accept a Temporal namespace that the store was not used with before. Default false. */
  adoptNamespace?: boolean;
}

export interface RunningApi {
  /** Ends in `/v1`. */
  url: string;
  /** No key is required. */
  open: boolean;
  /** Of the console; null = it is off. */
  consoleUrl: string | null;
  close(): Promise<void>;
}

/**
 * A run must know at its start which hooks exist. The file is loaded only when one is configured: worker code costs a
 * server process tens of megabytes.
 */
const hooksOfWorkers = async ({ toolsFile }: Config): Promise<{ onWaiting?: boolean; onEnd?: boolean }> =>
  toolsFile === null ? {} : (await import('../worker/tools-file.ts')).hooksOf(toolsFile);

/** Models that can't see, by RUNS_MODELS; without a file, none can with `RUNS_MODEL_IMAGES=false`. */
const blindModelOf = (
  { backend, model, modelSettings: { images } }: Pick<Config, 'backend' | 'model' | 'modelSettings'>,
  configured: ModelsConfig | null,
): BlindModel => {
  if (configured === null)
    return backend === 'chat' && images === false ? (asked) => ({ name: model ?? asked }) : () => null;
  return (asked) => {
    if (asked === null) return null;
    const found = resolveModel({ ...configured, tenants: new Map() }, asked, '');
    return found.kind === 'resolved' && found.model.capabilities.images === false
      ? { name: found.model.name }
      : null;
  };
};

/** How the service checks the model of a new run. */
const modelRules = (
  config: Pick<Config, 'backend' | 'model' | 'modelSettings'>,
  models: ModelsConfig | null,
): { blindModel: BlindModel; models?: ModelsConfig } => ({
  blindModel: blindModelOf(config, models),
  ...(models === null ? {} : { models }),
});

/** What the configuration says to the service. */
const serviceSettings = (
  { offerTools, expiresInMs, budgets, tenantLimits: { liveRuns, storedMegabytes }, ...config }: Config,
  models: ModelsConfig | null,
  open: boolean,
) => ({
  // Without keys every client may declare every tool, so an offer grants nothing.
  offerTools: offerTools ?? (open ? ('all' as const) : ('none' as const)),
  expiresInMs,
  budgets: models?.budgets ?? budgets,
  tenantLimits: { liveRuns, storedBytes: storedMegabytes * 1_048_576 },
  ...modelRules(config, models),
  webhooks: webhookOptions(config),
});

/** The file of models is loaded only where one is configured. */
const openListedModels = async (
  config: Config,
  server: ModelServer = config,
): Promise<OpenModels & { configured: ModelsConfig | null }> => {
  const { backend, modelsFile, model, budgets } = config;
  if (modelsFile === null || backend !== 'chat')
    return { ...openModels(backend === 'assistants' ? null : server), configured: null };
  const { loadModelsFile } = await import('../worker/models/models-file.ts');
  const configured = await loadModelsFile(modelsFile, { replacement: model, budgets });
  return { ...configuredModels(configured), configured };
};

/** `http:` is for networks that are listed. */
const webhookOptions = ({
  encryptionKeys,
  webhookNetworks,
}: Pick<Config, 'encryptionKeys' | 'webhookNetworks'>): WebhookOptions => ({
  sealSecret: textSeal(encryptionKeys).seal,
  plain: webhookNetworks !== null,
});

const logRequest = (log: Logger, { method, route, status, ms, requestId, error }: RequestLogEntry): void => {
  const fields = { method, route: route ?? '', status, ms: Math.round(ms), requestId };
  if (status >= 500) log.error({ ...fields, error }, 'request failed');
  else log.debug(fields, 'request');
};

/** At an address of their own; null = they are on the API's. */
const serveMetricsAt = async (
  { metricsAddress }: Config,
  metrics: ApiMetrics,
  log: Logger,
): Promise<MetricsEndpoint | null> => {
  const address = metricsAddress === null ? null : splitAddress(metricsAddress);
  if (address === null) return null;
  const { host, port } = address;
  const endpoint = await serveMetrics(metrics, host, port, 'RUNS_METRICS_ADDRESS');
  log.info({ address: endpoint.url }, 'metrics are served');
  return endpoint;
};

export const startApi = async (parts: ApiParts): Promise<RunningApi> => {
  const { config, store, client, starter = client, log, modelServer } = parts;
  const { port, uiUrl = null, adoptNamespace = false, telemetry = null } = parts;
  const endings = new Disposables(log);
  const access = { store, namespace: client.place.namespace, uiUrl, log };
  const { auth, console: pages } = await openAccess(config, access);
  const limiter = config.rateLimits === null ? null : createLimiter(parseRates(config.rateLimits));
  const seen = apiMetrics(store);
  if (telemetry?.exportsMetrics === true) telemetry.exportMetrics(seen.registry, seen.refresh);
  const hooks = await hooksOfWorkers(config);
  const workflows = workflowsOf(client);
  const maintenance = startMaintenance({ store, workflows, adoptNamespace, hooks, log });
  endings.add('maintenance', () => maintenance.stop());
  endings.add('webhooks', startWebhookDispatcher({ store, start: webhookStarter(client), log }).stop);
  const { configured, ...models } = await openListedModels(config, modelServer);
  endings.add('models', () => models.close());
  const durable = createRunsService({
    ...serviceSettings(config, configured, auth.open),
    store,
    client: { workflows: { ...workflows, start: workflowsOf(starter).start } },
    log,
    hooks,
    tail: { onDelivered: (ms) => seen.delivered(ms) },
  });
  const engine = {
    ...durable,
    readiness: async () => [...(await durable.readiness()), ...[maintenance.problem() ?? []].flat()],
  };
  const api = createApi({
    engine,
    models: models.list,
    auth,
    console: pages,
    ...(limiter === null ? {} : { limiter }),
    maxStreams: config.tenantLimits.streams,
    corsOrigins: parseOrigins(config.corsOrigins ?? ''),
    version: version(),
    ...(telemetry === null ? {} : { trace: telemetry.traceRequest }),
    ...(config.metricsAddress === null ? { metrics: seen.page } : {}),
    onRequest: (request) => {
      seen.request(request);
      logRequest(log, request);
    },
  });
  try {
    const served = await serveApi(api, {
      host: config.host,
      port: port ?? config.port,
    });
    endings.add('server', () => served.close());
    const metrics = await serveMetricsAt(config, seen, log);
    if (metrics !== null) endings.add('metrics', () => metrics.close());
    return {
      url: served.url,
      open: api.open,
      consoleUrl: consoleUrlOf(pages, served.url),
      close: () => endings.run(),
    };
  } catch (error) {
    await endings.run();
    throw error;
  }
};
