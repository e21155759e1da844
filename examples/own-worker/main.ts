import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { ensureSearchAttributes } from 'durable-runs';
import { createSandbox } from 'durable-runs/testing';
import { createAssistantsBackend, defineTools, DurableRunsPlugin } from 'durable-runs/worker';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const tools = defineTools({
  add: {
    description: 'Adds two numbers.',
    parameters: z.object({ a: z.number(), b: z.number() }),
    execute: ({ a, b }) => String(a + b),
  },
});

// A scripted runs server stands in for yours: pass the base URL and key of your own to the backend instead.
const upstream = await createSandbox({
  scripts: {
    add: {
      about: 'Adds two numbers, and says the sum.',
      tools: tools.definitions(),
      script: ({ round, outputs }) =>
        round === 0
          ? { calls: [{ name: 'add', arguments: { a: 20, b: 22 } }] }
          : { text: `The sum is ${outputs[0]}.` },
    },
  },
});
const backend = createAssistantsBackend({ baseUrl: upstream.url });
const plugin = new DurableRunsPlugin({ backends: { assistants: backend }, tools });

const address = process.env['TEMPORAL_ADDRESS'] ?? 'localhost:7233';
const taskQueue = process.env['TASK_QUEUE'] ?? 'own-worker';
const nativeConnection = await NativeConnection.connect({ address });
const worker = await Worker.create({
  connection: nativeConnection,
  taskQueue,
  workflowsPath: fileURLToPath(new URL('./workflows.ts', import.meta.url)),
  activities: { greet: async (name: string): Promise<string> => `Hello, ${name}` },
  plugins: [plugin],
});

const connection = await Connection.connect({ address });
await ensureSearchAttributes(connection, 'default'); // once for a namespace
const client = new Client({ connection, plugins: [plugin] });
const runs = plugin.runsClient(client, taskQueue);

await worker.runUntil(async () => {
  const greeting = await client.workflow.execute('welcome', {
    taskQueue,
    workflowId: `welcome-${Date.now()}`,
    args: ['Ada'],
  });
  const { runId } = await runs.start({ backend: 'assistants', assistantId: 'asst_add' });
  const { status, calls } = await runs.getHandle(runId).result();
  console.log(
    greeting,
    status,
    calls.map(({ name, ok }) => `${name} ${ok === true ? 'ok' : 'failed'}`).join(),
  );
});
await connection.close();
await nativeConnection.close();
await upstream.close();
