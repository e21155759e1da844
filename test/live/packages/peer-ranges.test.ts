/** Both packages with the oldest and the newest peers that their manifests allow, each installed into an empty folder. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { defineTools } from '../../../activities/index.ts';
import { CLIENT, PEER_RANGES, SERVER } from '../../../scripts/packages.mjs';
import { oneRound, openAssistants } from '../../support/assistants-stack.ts';
import { buildPackages, installPackages, type BuiltPackages } from '../../support/packages.ts';
import { uniqueName } from '../../support/temporal.ts';

let built: BuiltPackages;
beforeAll(async () => {
  built = await buildPackages();
}, 180_000);
afterAll(() => built.remove());

/** `>=1.24.0 <2` names 1.24.0 as its oldest; its newest is what npm takes for the range. */
const peersAt = (end: 'oldest' | 'newest', ranges: Record<string, string>): string[] =>
  Object.entries(ranges).map(([name, range]) => {
    const [, oldest = ''] = /^>=(\S+) /.exec(range) ?? [];
    return end === 'oldest' ? `${name}@${oldest}` : `${name}@${range}`;
  });

const { '@temporalio/workflow': _optional, ...clientPeers } = PEER_RANGES[CLIENT];

test.each(['oldest', 'newest'] as const)(
  'the client drives a run with its %s peers',
  { timeout: 240_000 },
  async (end) => {
    const stack = await openAssistants({
      address: inject('temporalAddress'),
      tools: defineTools({
        ask: { description: 'Asks a person.', parameters: z.object({}), external: true },
      }),
      scripts: { ask: oneRound({ id: 'call_a', name: 'ask' }) },
    });
    const client = await installPackages([built.tarballs.client, ...peersAt(end, clientPeers)]);
    try {
      const script = `
      import { RunsClient } from 'durable-runs';
      const runs = await RunsClient.connect();
      const { runId } = await runs.start({ backend: 'assistants', assistantId: 'asst_ask' });
      const handle = runs.getHandle(runId);
      for await (const run of handle.watch())
        if (run.calls[0]?.state === 'waiting') await handle.answer({ call_id: 'call_a', output: 'yes' });
      console.log((await handle.result()).status);
      await runs.close();`;
      const env = { TEMPORAL_ADDRESS: inject('temporalAddress'), RUNS_TASK_QUEUE: stack.taskQueue };
      expect(await client.node(script, env)).toBe('completed');
    } finally {
      await client.remove();
      await stack.close();
    }
  },
);

test.each(['oldest', 'newest'] as const)(
  'the server runs a tool with its %s peers',
  { timeout: 300_000 },
  async (end) => {
    const { client, server } = built.tarballs;
    const program = await installPackages([client, server, ...peersAt(end, PEER_RANGES[SERVER])]);
    try {
      const script = `
      import { configFromEnv, createAssistantsBackend, defineTools, startWorker } from 'durable-runs/worker';
      import { createSandbox } from 'durable-runs/testing';
      import { runSnapshotQuery } from 'durable-runs/workflows';
      import { z } from 'zod';
      const tools = defineTools({
        double: {
          description: 'Doubles.',
          parameters: z.object({ n: z.number() }),
          execute: ({ n }) => String(n * 2),
        },
      });
      const script = ({ round, outputs }) =>
        round === 0
          ? { calls: [{ id: 'call_1', name: 'double', arguments: { n: 21 } }] }
          : { text: outputs[0].output };
      const sandbox = await createSandbox({
        scripts: { double: { script, about: 'A test.', tools: tools.definitions() } },
      });
      const backend = createAssistantsBackend({ baseUrl: sandbox.url });
      const config = configFromEnv(process.env);
      const worker = await startWorker(config, { backends: { assistants: backend }, tools });
      const runs = worker.client;
      const { runId } = await runs.start({ backend: 'assistants', assistantId: 'asst_double' });
      const { status, calls } = await runs.result(runId);
      console.log(JSON.stringify([status, calls.map(({ name, ok }) => [name, ok]), runSnapshotQuery.name]));
      await worker.stop();
      await backend.dispose();
      await sandbox.close();`;
      const env = {
        TEMPORAL_ADDRESS: inject('temporalAddress'),
        RUNS_TASK_QUEUE: uniqueName('queue'),
        RUNS_BACKEND: 'assistants',
        RUNS_DATA_DIR: program.folder,
      };
      expect(await program.node(script, env)).toBe('["completed",[["double",true]],"run"]');
    } finally {
      await program.remove();
    }
  },
);
