/**
 * The runs server for real, in this process: store, scripted model on a socket, worker and API on a Temporal dev server.
 * Several workers and API servers may share one store, as in production. Tests only.
 */
import OpenAI from 'openai';
import { createActivities, defineTools, noTools, type ToolRegistry } from '../../activities/index.ts';
import { createApi, serveApi } from '../../api/index.ts';
import { chatOnServer, type ChatOnServerOptions } from './chat-backend.ts';
import { RunsClient } from '../../client/index.ts';
import {
  createRunsService,
  createFollowUpRun,
  startWebhookDispatcher,
  webhookStarter,
  workflowsOf,
  type RunsServiceOptions,
} from '../../service/index.ts';
import type { WebhookDeps } from '../../activities/webhooks/send.ts';
import type { WebhookDeliveryInput } from '../../protocol/temporal/activities.ts';
import type { Logger } from '../../protocol/ports/backend.ts';
import type { RunsService } from '../../protocol/ports/runs-service.ts';
import type { Store } from '../../protocol/ports/run-store.ts';
import { createSandbox, type Sandbox, type SandboxOptions } from '../../testing/index.ts';
import { HEARTBEAT_THROTTLE_MS, makeWorker } from '../../worker/worker.ts';
import { uniqueName, workflowBundle, type LiveTemporal } from './temporal.ts';

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export interface NativeOptions {
  temporal: LiveTemporal;
  store: Store;
  taskQueue?: string;
  tools?: ToolRegistry;
  sandbox?: SandboxOptions;
  backend?: Partial<ChatOnServerOptions>;
  engine?: Partial<RunsServiceOptions>;
  /** Sends webhooks. Default: none are sent. */
  webhooks?: { deps: Omit<WebhookDeps, 'store'>; retry: WebhookDeliveryInput['retry'] };
  /** Default true. */
  worker?: boolean;
}

export interface NativeStack {
  taskQueue: string;
  sandbox: Sandbox;
  engine: RunsService;
  client: RunsClient;
  /** The official client on our socket. Its own retries are off. */
  openai: OpenAI;
  url: string;
  startWorker(): Promise<RunningTestWorker>;
  close(): Promise<void>;
}

export interface RunningTestWorker {
  stop(): Promise<void>;
}

export const openNative = async (options: NativeOptions): Promise<NativeStack> => {
  const { temporal, store } = options;
  const taskQueue = options.taskQueue ?? uniqueName('native');
  const sandbox = await createSandbox(options.sandbox);
  const client = new RunsClient({ client: temporal.client, taskQueue, searchAttributes: true });
  const engine = createRunsService({ store, client, log: silent, ...options.engine });
  const api = createApi({ engine });
  const server = await serveApi(api);
  const workers = new Set<RunningTestWorker>();

  const startWorker = async (): Promise<RunningTestWorker> => {
    const backend = chatOnServer({ store, baseUrl: sandbox.modelUrl, ...options.backend });
    const worker = await makeWorker({
      connection: temporal.nativeConnection,
      taskQueue,
      workflows: workflowBundle(),
      activities: createActivities({
        backends: { chat: backend },
        tools: options.tools ?? noTools(),
        ...(options.webhooks === undefined ? {} : { webhooks: { ...options.webhooks.deps, store } }),
        log: silent,
        maxHeartbeatThrottleMs: HEARTBEAT_THROTTLE_MS,
        startFollowUpRun: (request) => createFollowUpRun({ store, workflows: workflowsOf(client) }, request),
      }),
      shutdownGraceMs: 500,
    });
    const done = worker.run();
    const running: RunningTestWorker = {
      async stop() {
        if (!workers.delete(running)) return;
        worker.shutdown();
        await done;
        await backend.dispose();
      },
    };
    workers.add(running);
    return running;
  };
  const dispatcher =
    options.webhooks === undefined
      ? null
      : startWebhookDispatcher({ store, start: webhookStarter(client), retry: options.webhooks.retry });
  if (options.worker !== false) await startWorker();

  return {
    taskQueue,
    sandbox,
    engine,
    client,
    openai: new OpenAI({ baseURL: server.url, apiKey: 'none', maxRetries: 0 }),
    url: server.url,
    startWorker,
    async close() {
      await dispatcher?.stop();
      for (const worker of workers) await worker.stop();
      await server.close();
      await client.close();
      await sandbox.close();
    },
  };
};

export { defineTools };
