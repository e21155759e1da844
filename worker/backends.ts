/**
 * Builds the backend of a configuration, with a way to close it.
 *
 * Rule: a backend's code is loaded only where it is used: a worker for an upstream runs API loads no database driver,
 * and the other way round.
 * Imported by the composition root and by `doctor`.
 */
import type { ActivityDeps } from '../activities/index.ts';
import { RunsError, type Backend } from '../protocol/index.ts';
import { budgetOf, type TenantBudgets } from '../protocol/rules/budget.ts';
import type { Logger } from '../protocol/ports/backend.ts';
import type { Model } from '../protocol/ports/model.ts';
import type { ModelRouter } from '../protocol/ports/model-router.ts';
import { oneServer } from './models/one-server.ts';
import type { Store } from '../protocol/ports/run-store.ts';
import type { WorkerDependencies } from './start-worker.ts';
import { storeFor, type Config, type ConfigEnv } from './config.ts';

export interface MadeBackend {
  backend: Backend;
  dispose(): Promise<void>;
}

const optional = <Key extends string, Value>(key: Key, value: Value | null): Partial<Record<Key, Value>> =>
  value === null ? {} : ({ [key]: value } as Partial<Record<Key, Value>>);

/** An upstream runs API. `configErrors` has checked that the address is set. */
export const makeAssistants = async (config: Config): Promise<MadeBackend> => {
  const { createAssistantsBackend } = await import('../backends/assistants/index.ts');
  const backend = createAssistantsBackend({
    baseUrl: config.baseUrl ?? '',
    ...optional('apiKey', config.apiKey),
    ...optional('apiVersion', config.apiVersion),
  });
  return { backend, dispose: () => backend.dispose() };
};

/** The model server that a configuration names, as its settings say. */
export const makeModel = async (config: Config): Promise<Model> => {
  const { openModel } = await import('../backends/models/open-model.ts');
  const { headers, body, maxTokensField, rolesAlternate, stream, jsonSchema, images } = config.modelSettings;
  return await openModel('openai-compatible', {
    baseUrl: config.baseUrl,
    apiKey: config.apiKey,
    headers,
    body,
    images,
    ...(config.apiVersion === null ? {} : { query: { 'api-version': config.apiVersion } }),
    compatible: {
      ...optional('maxTokensField', maxTokensField),
      ...optional('rolesAlternate', rolesAlternate),
      ...optional('jsonSchema', jsonSchema),
      ...optional('stream', stream),
    },
  });
};

export interface ChatOptions {
  /** Holds the keys of providers. Default: the process's. */
  env?: ConfigEnv;
  log?: Logger;
}

/** The models and budgets of RUNS_MODELS, or those of the variables. */
const makeModels = async (
  config: Config,
  store: Store,
  { env = process.env, log }: ChatOptions,
): Promise<{ models: ModelRouter; budgets: TenantBudgets }> => {
  const { createModelRouter } = await import('../backends/models/router.ts');
  const shared = { limitStore: store, ...(log === undefined ? {} : { log }) };
  const { modelsFile: file, model: replacement, budgets } = config;
  if (file === null) {
    const adapters = new Map([['', await makeModel(config)]]);
    return { models: createModelRouter({ config: oneServer(config), adapters, ...shared }), budgets };
  }
  const [{ loadModelsFile }, { openProviders }] = await Promise.all([
    import('./models/models-file.ts'),
    import('./models/open-providers.ts'),
  ]);
  const configured = await loadModelsFile(file, { replacement, budgets });
  const adapters = await openProviders(configured, env);
  const models = createModelRouter({ config: configured, adapters, ...shared });
  return { models, budgets: configured.budgets };
};

/** Any chat-completions server, with threads and runs in this project's store. */
export const makeChat = async (
  config: Config,
  store: Store,
  options: ChatOptions = {},
): Promise<MadeBackend> => {
  const [{ createChatBackend }, { models, budgets }] = await Promise.all([
    import('../backends/chat/index.ts'),
    makeModels(config, store, options),
  ]);
  const backend = createChatBackend({
    store,
    models,
    modelAttempts: config.modelAttempts,
    // A file has the price of each model.
    ...(config.modelsFile === null ? { priceOf: () => config.modelPrice } : {}),
    budgetOf: (tenant) => budgetOf(budgets, tenant),
  });
  return { backend, dispose: () => backend.dispose() };
};

/** The backends of a worker; `dispose` closes their connections and the store. */
export interface ProductionBackends {
  backends: ActivityDeps['backends'];
  webhookStore?: Store;
  startFollowUpRun?: NonNullable<WorkerDependencies['startFollowUpRun']>;
  dispose(): Promise<void>;
}

/** The backend of `runs worker`, from its configuration alone. Throws `RunsError` when the store can't be used. */
export const productionBackends = async (config: Config): Promise<ProductionBackends> => {
  if (config.backend === 'assistants') {
    const made = await makeAssistants(config);
    return { backends: { assistants: made.backend }, dispose: () => made.dispose() };
  }
  const choice = storeFor(config, 'worker');
  if (choice.kind !== 'postgres') {
    throw new RunsError('config', choice.kind === 'refused' ? choice.problem : 'DATABASE_URL is needed');
  }
  const { openStore } = await import('../store/index.ts');
  const store = await openStore({ databaseUrl: choice.databaseUrl, listens: false });
  try {
    const made = await makeChat(config, store);
    return {
      backends: { chat: made.backend },
      webhookStore: store,
      startFollowUpRun: async (request, _context, client) => {
        const { createFollowUpRun, workflowsOf } = await import('../service/index.ts');
        return await createFollowUpRun(
          { store, workflows: workflowsOf(client), expiresInMs: config.expiresInMs },
          request,
        );
      },
      dispose: async () => {
        await made.dispose();
        await store.close();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
};
