/**
 * The server under test: `runs dev` with its own Temporal, API and worker, before a model server.
 *
 * Rule: started as a user starts it, in a directory that goes with it. The script `npm run test:models` imports it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { freePort } from '../../../dev-server/ports.ts';
import { spawnWorker } from '../../support/worker-process.ts';
import type { ModelServerProcess } from './servers.ts';
import type { StepContext } from './steps.ts';

const KEY = 'key-of-the-model-lanes-0123456789';
const REQUEST_MS = 300_000;

export interface Stack {
  context: StepContext;
  /** What the process has logged. */
  log(): string;
  close(): Promise<void>;
}

/** `env`: settings beside the model server's address. */
export const openStack = async (
  model: Pick<ModelServerProcess, 'baseUrl' | 'model'>,
  env: Record<string, string> = {},
): Promise<Stack> => {
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-models-'));
  const port = await freePort();
  const server = spawnWorker(
    {
      PORT: String(port),
      RUNS_BACKEND: 'chat',
      RUNS_DATA_DIR: join(dir, 'data'),
      RUNS_API_KEYS: `models:${KEY}:*`,
      OPENAI_BASE_URL: model.baseUrl,
      RUNS_MODEL: model.model,
      ...env,
    },
    ['dev'],
  );
  const close = async (): Promise<void> => {
    server.signal('SIGTERM');
    await server.exited;
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await server.ready;
    const openai = new OpenAI({
      baseURL: `http://127.0.0.1:${port}/v1`,
      apiKey: KEY,
      timeout: REQUEST_MS,
      maxRetries: 0,
    });
    const { id } = await openai.beta.assistants.create({ model: model.model });
    return { context: { openai, assistant: id }, log: () => server.said(), close };
  } catch (error) {
    await close();
    throw error;
  }
};
