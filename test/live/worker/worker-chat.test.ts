/** `runs worker` on the chat backend: a process of its own, sharing a PostgreSQL with the server. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { freePort } from '../../../dev-server/ports.ts';
import { WEATHER_TOOL } from '../../../testing/scripts.ts';
import { openStore } from '../../../store/index.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { openNative } from '../../support/native-stack.ts';
import { freshDatabase } from '../../support/postgres.ts';
import { liveTemporal } from '../../support/temporal.ts';
import { spawnWorker } from '../../support/worker-process.ts';

guardAgainstLeaks();

const TOOLS = `
  import { defineTools } from ${JSON.stringify(new URL('../../../activities/tools/define.ts', import.meta.url).href)};
  import { z } from ${JSON.stringify(import.meta.resolve('zod'))};
  export default defineTools({
    get_current_weather: {
      description: 'Weather.',
      parameters: z.object({ location: z.string() }),
      execute: ({ location }) => 'sunny in ' + location,
    },
  });
`;

test(
  'runs of a server are carried out by a worker process, and counted there',
  { timeout: 90_000 },
  async () => {
    const dir = await mkdtemp(join(tmpdir(), 'durable-runs-chat-'));
    await writeFile(join(dir, 'tools.ts'), TOOLS);
    const temporal = await liveTemporal();
    const database = await freshDatabase();
    const store = await openStore({ databaseUrl: database.url });
    const stack = await openNative({ temporal, store, worker: false });
    const metricsPort = await freePort();
    const worker = spawnWorker({
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      RUNS_TASK_QUEUE: stack.taskQueue,
      RUNS_BACKEND: 'chat',
      OPENAI_BASE_URL: stack.sandbox.modelUrl,
      DATABASE_URL: database.url,
      RUNS_TOOLS: join(dir, 'tools.ts'),
      RUNS_DATA_DIR: join(dir, 'data'),
      RUNS_METRICS_PORT: String(metricsPort),
    });
    try {
      const { beta } = stack.openai;
      const assistant = await beta.assistants.create({ model: 'scripted:weather', tools: [WEATHER_TOOL] });
      const thread = await beta.threads.create({
        messages: [{ role: 'user', content: 'What is the weather in San Francisco?' }],
      });
      // No worker yet: the run is queued, and goes on when one comes.
      const created = await beta.threads.runs.create(thread.id, { assistant_id: assistant.id });
      expect(created.status).toBe('queued');
      await worker.ready;
      const run = await beta.threads.runs.poll(created.id, { thread_id: thread.id });
      expect(run.status).toBe('completed');
      const steps = await beta.threads.runs.steps.list(run.id, { thread_id: thread.id });
      expect(JSON.stringify(steps.data)).toContain('sunny in San Francisco');

      const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
      expect(metrics).toContain('runs_ended_total{backend="chat",status="completed"} 1');
      expect(metrics).toMatch(/runs_tool_attempts_total\{tool="get_current_weather",outcome="ok"\} [1-9]/);
      expect(metrics).toMatch(/runs_tokens_total\{backend="chat",kind="completion"\} [1-9]/);
    } finally {
      worker.signal('SIGTERM');
      expect(await worker.exited).toEqual({ code: 0, signal: null });
      await stack.close();
      await store.close();
      await database.drop();
      await temporal.close();
      await rm(dir, { recursive: true, force: true });
    }
  },
);
