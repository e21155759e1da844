/** `DurableRunsPlugin` on a worker, client and bundle that a program has: its workflows and activities run beside the runs. */
import { Client, Connection } from '@temporalio/client';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Worker,
  type WorkerOptions,
} from '@temporalio/worker';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { type RunsClient, RunsError, ensureSearchAttributes } from '../../../client/public.ts';
import { createSandbox, type Sandbox } from '../../../testing/public.ts';
import { createAssistantsBackend, defineTools, DurableRunsPlugin } from '../../../worker/public.ts';
import { runSnapshotQuery } from '../../../workflows/public.ts';
import { oneRound, waitingCall } from '../../support/assistants-stack.ts';
import { quietRuntime, uniqueName } from '../../support/temporal.ts';

const pathOf = (name: string): string => fileURLToPath(new URL(`../../support/${name}`, import.meta.url));
const OWN = pathOf('own-workflows.ts');
const tools = defineTools({
  double: {
    description: 'Doubles a number.',
    parameters: z.object({ n: z.number() }),
    execute: ({ n }) => String(n * 2),
  },
  ask: { description: 'Asks a person.', parameters: z.object({}), external: true },
});
const ownActivities = { greet: async (name: string): Promise<string> => `Hello, ${name}` };

let sandbox: Sandbox;
let connection: Connection;
let nativeConnection: NativeConnection;
let plugin: DurableRunsPlugin;
let client: Client;

beforeAll(async () => {
  quietRuntime();
  sandbox = await createSandbox({
    scripts: {
      both: {
        script: oneRound(
          { id: 'call_double', name: 'double', arguments: { n: 21 } },
          { id: 'call_ask', name: 'ask' },
        ),
        about: 'A test.',
        tools: tools.definitions(),
      },
    },
  });
  const backend = createAssistantsBackend({ baseUrl: sandbox.url });
  plugin = new DurableRunsPlugin({ backends: { assistants: backend }, tools });
  const address = inject('temporalAddress');
  connection = await Connection.connect({ address });
  nativeConnection = await NativeConnection.connect({ address });
  client = new Client({ connection, plugins: [plugin] });
  await ensureSearchAttributes(connection, 'default');
});
afterAll(async () => {
  await nativeConnection.close();
  await connection.close();
  await sandbox.close();
});

const workerWith = async (options: Partial<WorkerOptions>): Promise<Worker> =>
  await Worker.create({
    connection: nativeConnection,
    taskQueue: uniqueName('queue'),
    activities: ownActivities,
    plugins: [plugin],
    ...options,
  });

/** One run to its end, whose call the program's own workflow answers. */
const runAndAnswer = async (worker: Worker): Promise<unknown[]> => {
  const { taskQueue } = worker.options;
  const runs = plugin.runsClient(client, taskQueue);
  return await worker.runUntil(async () => {
    const { runId } = await runs.start({ backend: 'assistants', assistantId: 'asst_both' });
    const handle = runs.getHandle(runId);
    for await (const run of handle.watch()) if (waitingCall('call_ask')(run)) break;
    const seen = await client.workflow.getHandle(runId).query(runSnapshotQuery);
    const greeting = await client.workflow.execute('answerRun', {
      taskQueue,
      workflowId: uniqueName('answer'),
      args: [runId, 'call_ask'],
    });
    const { status, calls } = await handle.result();
    return [seen.status, greeting, status, calls.map(({ callId, ok, by }) => [callId, ok, by])];
  });
};

const EXPECTED = [
  'requires_action',
  'Hello, Ada',
  'completed',
  [
    ['call_double', true, undefined],
    ['call_ask', true, 'answerRun'],
  ],
];

describe('a worker with a workflow, an activity and a client of its own', () => {
  test('serves runs beside them, bundled at its start', async () => {
    expect(await runAndAnswer(await workerWith({ workflowsPath: OWN }))).toEqual(EXPECTED);
    const outputs = sandbox.requests.filter(({ path }) => path.endsWith('/submit_tool_outputs'));
    expect(JSON.stringify(outputs[0]?.body)).toMatch(/"42".*"Hello, Ada"/);
  });

  test('serves runs beside them, from a bundle made before', async () => {
    const workflowBundle = await bundleWorkflowCode({
      workflowsPath: OWN,
      plugins: [plugin],
      logger: new DefaultLogger('ERROR'),
    });
    // Loaded once for all runs: each cached run costs a part of the memory that it costs otherwise.
    expect(workflowBundle.code).toMatch(/preloadModules\(\) \{[^}]*workflows\/run\/machine\.ts/);
    expect(await runAndAnswer(await workerWith({ workflowBundle }))).toEqual(EXPECTED);
  });

  test('keeps its activity of every name that is no tool', async () => {
    const taskQueue = uniqueName('queue');
    const asked: string[] = [];
    const activities = {
      default: async (name: string): Promise<string> => {
        asked.push(name);
        return `By default, ${name}`;
      },
    };
    const worker = await workerWith({ taskQueue, workflowsPath: OWN, activities });
    const [, greeting, status] = await runAndAnswer(worker);
    expect([greeting, status, asked]).toEqual(['By default, Ada', 'completed', ['Ada']]);
  });
});

test('a worker without workflows of its own serves runs', async () => {
  const worker = await workerWith({ activities: {} });
  const runs: RunsClient = plugin.runsClient(client, worker.options.taskQueue);
  const status = await worker.runUntil(async () => {
    const { runId } = await runs.start({ backend: 'assistants', assistantId: 'asst_both' });
    const handle = runs.getHandle(runId);
    for await (const run of handle.watch())
      if (waitingCall('call_ask')(run)) await handle.answer({ call_id: 'call_ask', output: 'yes' });
    return (await handle.result()).status;
  });
  expect(status).toBe('completed');
});

test('an activity under a name of runs is refused with the name', async () => {
  const activities = { followRun: async (): Promise<null> => null };
  await expect(workerWith({ workflowsPath: OWN, activities })).rejects.toThrow(/\["followRun"\]/);
});

test('a workflow under a name of runs fails its first task with the name', async () => {
  const worker = await workerWith({ workflowsPath: pathOf('clashing-workflows.ts') });
  const { taskQueue } = worker.options;
  await worker.runUntil(async () => {
    const handle = await client.workflow.start('run', { taskQueue, workflowId: uniqueName('clash') });
    const failures = async (): Promise<string> =>
      JSON.stringify(
        (await handle.fetchHistory()).events?.map((event) => event.workflowTaskFailedEventAttributes),
      );
    await expect.poll(failures, { timeout: 10_000 }).toContain("is durable-runs' own");
    await handle.terminate();
  });
});

test('a plugin for chat without a way to start follow-up runs is refused', () => {
  const backend = createAssistantsBackend({ baseUrl: sandbox.url });
  expect(() => new DurableRunsPlugin({ backends: { chat: backend } })).toThrow(RunsError);
});
