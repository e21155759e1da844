/**
 * The native side of the stack: store, chat backend (on the sandbox's scripted model or a real server), engine and API, all
 * in this process, since the embedded store serves one process only.
 * Imported by the stack's backend.
 */
import { createChatBackend } from '../../backends/chat/index.ts';
import { RunsClient } from '../../client/index.ts';
import { startLinkedRun, workflowsOf } from '../../engine/index.ts';
import { createSandbox } from '../../sandbox/index.ts';
import { openStore } from '../../store/index.ts';
import { startApi } from './api.ts';
import type { BackendWish, StackBackend } from './backend.ts';
import { Endings } from './endings.ts';
import { choosePort } from './ports.ts';

export const openNative = async (wish: BackendWish): Promise<StackBackend> => {
  const { config, log } = wish;
  const endings = new Endings(log);
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
    const chat = createChatBackend({
      store,
      baseUrl: model?.modelUrl ?? config.baseUrl ?? OPENAI_URL,
      ...(config.apiKey === null || model !== null ? {} : { apiKey: config.apiKey }),
      ...(config.model === null || model !== null ? {} : { model: config.model }),
      ...(config.apiVersion === null || model !== null
        ? {}
        : { http: { query: { 'api-version': config.apiVersion } } }),
    });
    endings.add('chat backend', () => chat.dispose());
    const client = await RunsClient.connect(wish.connect);
    endings.add('client', () => client.close());
    const workflows = workflowsOf(client);
    return {
      backends: { chat },
      startLinkedRun: (request) => startLinkedRun({ store, workflows }, request),
      serve: async () => {
        const api = await startApi({ config, store, client, log, port: await apiPort(wish) });
        endings.add('API', () => api.close());
        return api.url;
      },
      close: () => endings.run(),
    };
  } catch (error) {
    await endings.run();
    throw error;
  }
};

const apiPort = async ({ apiPort: wanted, say }: BackendWish): Promise<number> => {
  if ('named' in wanted) return wanted.named;
  const { port, note } = await choosePort('the API', wanted.preferred);
  if (note !== null) say(note);
  return port;
};

/** Where a key without an address belongs. */
const OPENAI_URL = 'https://api.openai.com/v1';
