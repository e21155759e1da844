/**
 * A worker of this project on the shared Temporal server, with runs of a sandbox: for tests of outputs and commands.
 * Close it in `afterAll`.
 */
import { inject } from 'vitest';
import type { ToolRegistry } from '../../activities/index.ts';
import { RunsClient, temporalTarget } from '../../client/index.ts';
import { createSandbox, type Sandbox, type SandboxOptions } from '../../testing/index.ts';
import { makeAssistants } from '../../worker/backends.ts';
import { startWorker, type RunningWorker } from '../../worker/start-worker.ts';
import { configFromEnv } from '../../worker/config.ts';
import { makeLog } from '../../worker/log.ts';
import { uniqueName, workflowBundle } from './temporal.ts';

export interface SandboxWorker {
  sandbox: Sandbox;
  client: RunsClient;
  worker: RunningWorker;
  /** For commands that are run as processes: the same Temporal and task queue. */
  env: Record<string, string>;
  /** Resolves when a call of the run waits for somebody; the call. */
  waiting(runId: string): Promise<{ callId: string; name: string }>;
  close(): Promise<void>;
}

export const sandboxWorker = async (
  options: { tools?: ToolRegistry; sandbox?: SandboxOptions } = {},
): Promise<SandboxWorker> => {
  const sandbox = await createSandbox(options.sandbox);
  const env = {
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    RUNS_BACKEND: 'assistants',
    RUNS_TASK_QUEUE: uniqueName('queue'),
    OPENAI_BASE_URL: sandbox.url,
  };
  const config = configFromEnv(env);
  const backend = await makeAssistants(config);
  const worker = await startWorker(config, {
    env,
    temporal: temporalTarget({ env, taskQueue: config.taskQueue }),
    backends: { assistants: backend.backend },
    workflows: workflowBundle(),
    log: makeLog('error'),
    ...(options.tools === undefined ? {} : { tools: options.tools }),
  });
  const client = await RunsClient.connect({ env });
  return {
    sandbox,
    client,
    worker,
    env,
    async waiting(runId) {
      for await (const run of client.watch(runId)) {
        const call = run.calls.find(({ state }) => state === 'waiting');
        if (call !== undefined) return call;
      }
      throw new Error(`The run ${runId} ended without waiting for anybody.`);
    },
    async close() {
      await client.close();
      await worker.stop();
      await backend.dispose();
      await sandbox.close();
    },
  };
};
