/**
 * The project's worker in the benchmark: the production composition (`startWorker`) on the zero backend, with a tool
 * that does nothing and one that needs an answer. A separate process, so that its CPU and memory are measured alone.
 */
import { z } from 'zod';
import { createAssistantsBackend } from '../backends/assistants/index.ts';
import { configFromEnv } from '../worker/config.ts';
import { startWorker } from '../worker/start-worker.ts';
import { makeLog } from '../worker/log.ts';
import { defineTools } from '../activities/index.ts';
import { reportUsage } from './usage.ts';

const tools = defineTools({
  echo: {
    description: 'Gives back its text.',
    parameters: z.object({ text: z.string() }),
    execute: ({ text }) => text,
  },
  ask: { description: 'Somebody answers.', parameters: z.object({ text: z.string() }), external: true },
});

const config = configFromEnv(process.env);
const backend = createAssistantsBackend({ baseUrl: process.env['OPENAI_BASE_URL'] ?? '' });
const worker = await startWorker(config, { backends: { assistants: backend }, tools, log: makeLog('error') });
reportUsage();
process.on('disconnect', () => void worker.stop());
process.send?.({ ready: true });
await worker.done;
await backend.dispose();
