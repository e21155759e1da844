/**
 * The `chat` side of the stack: store, backend (on the scripted model or a real server), service and API, all in this
 * process, since the embedded store serves one process only.
 * Imported by the stack's backend.
 */
import { DEFAULT_TENANT } from '../api/auth.ts';
import { RunsClient } from '../client/index.ts';
import { createFollowUpRun, workflowsOf } from '../service/index.ts';
import { createSandbox } from '../testing/index.ts';
import { openStore } from '../store/index.ts';
import { makeChat } from '../worker/backends.ts';
import { NO_MODEL_SETTINGS } from '../worker/model-settings.ts';
import { startApi } from './api.ts';
import { Disposables } from '../worker/disposables.ts';
import { choosePort } from './ports.ts';
import { sampleAssistant } from './sample-assistant.ts';
import type { BackendOptions, StackBackend } from './types.ts';

export const openNative = async (wish: BackendOptions): Promise<StackBackend> => {
  const { config, log } = wish;
  const endings = new Disposables(log);
  try {
    const store = await openStore(
      config.databaseUrl !== null
        ? { databaseUrl: config.databaseUrl }
        : wish.storeDir === null
          ? { memory: true }
          : { dataDir: wish.storeDir },
    );
    endings.add('store', () => store.close());
    const model = config.backend === 'sandbox' ? await createSandbox() : null;
    if (model !== null) endings.add('sandbox', () => model.close());
    // The scripted model needs no key, and plays the script that the run names.
    const modelServer =
      model === null
        ? config
        : {
            ...config,
            baseUrl: model.modelUrl,
            apiKey: null,
            apiVersion: null,
            model: null,
            modelsFile: null,
            modelSettings: NO_MODEL_SETTINGS,
          };
    const chat = await makeChat(modelServer, store, { log });
    endings.add('chat backend', () => chat.dispose());
    const client = await RunsClient.connect(wish.connect);
    endings.add('client', () => client.close());
    return {
      backends: { chat: chat.backend },
      webhookStore: store,
      startFollowUpRun: (request, _context, workerClient) =>
        createFollowUpRun(
          { store, workflows: workflowsOf(workerClient), expiresInMs: config.expiresInMs },
          request,
        ),
      serve: async (starter) => {
        const api = await startApi({
          config,
          store,
          client,
          starter,
          log,
          modelServer,
          telemetry: wish.telemetry,
          port: await apiPort(wish),
          uiUrl: wish.uiUrl,
          adoptNamespace: wish.embedded,
        });
        const sample = wish.sample && model !== null && api.open;
        return {
          url: api.url,
          open: api.open,
          consoleUrl: api.consoleUrl,
          assistantId: sample ? await sampleAssistant(store, DEFAULT_TENANT, wish.tools, Date.now()) : null,
          close: () => api.close(),
        };
      },
      close: () => endings.run(),
    };
  } catch (error) {
    await endings.run();
    throw error;
  }
};

const apiPort = async ({ apiPort: wanted, say }: BackendOptions): Promise<number> => {
  if ('named' in wanted) return wanted.named;
  const { port, note } = await choosePort('the API', wanted.preferred);
  if (note !== null) say(note);
  return port;
};
