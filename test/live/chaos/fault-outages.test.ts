/**
 * Nobody is there for a while: rows 8 and 10 of docs/contributing/faults.md.
 *
 * Proves: a run of the runs server expires though no worker lived at its expiry, and nothing is done for it afterwards; work
 * in hand while Temporal is away is reported when it is back, and not done again. Does not prove: hours.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { defineTools } from '../../../activities/index.ts';
import { WEATHER_TOOL } from '../../../testing/scripts.ts';
import { oneRound, openAssistants } from '../../support/assistants-stack.ts';
import { deferred } from '../../support/deferred.ts';
import { failureOf, officialClients, outputsOf, threadOf } from '../../support/official/clients.ts';
import { openOfficial } from '../../support/official/server.ts';
import { privateTemporal } from '../../support/temporal.ts';

const { clients } = await officialClients();
const [{ Api }] = clients as [(typeof clients)[number]];

test('no worker while a run expires: it is expired when one comes, and nothing more is asked', async () => {
  const server = await openOfficial();
  try {
    const { beta } = new Api({ baseURL: server.url, apiKey: 'not-needed', maxRetries: 0 });
    const { id } = await beta.assistants.create({ model: 'scripted:weather', tools: [WEATHER_TOOL] });
    const { id: thread } = await beta.threads.create({ messages: [{ role: 'user', content: 'Weather?' }] });
    const params = { assistant_id: id, expires_in: 15 };
    const run = await beta.threads.runs.createAndPoll(thread, params, { pollIntervalMs: 100 });
    expect(run.status).toBe('requires_action');
    const asked = server.sandbox.requests.length;
    for (const worker of server.workers) worker.signal('SIGKILL');
    await Promise.all(server.workers.map(({ exited }) => exited));
    await pause(Math.max(0, (run.expires_at ?? 0) * 1000 - Date.now()) + 1_000);
    await server.startWorker();
    const status = async (): Promise<string> =>
      (await beta.threads.runs.retrieve(run.id, threadOf(run))).status;
    await expect.poll(status, { timeout: 30_000 }).toBe('expired');
    const late = beta.threads.runs.submitToolOutputs(run.id, {
      ...threadOf(run),
      tool_outputs: outputsOf(run),
    });
    expect(await failureOf(late)).toMatchObject({ status: 400 });
    expect(server.sandbox.requests).toHaveLength(asked);
  } finally {
    await server.close();
  }
}, 180_000);

test('Temporal dies while a tool works: the output is reported when it is back, and nothing is done twice', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-away-'));
  const dbFilename = join(dir, 'temporal.db');
  let temporal = await privateTemporal({ dbFilename });
  const began = deferred();
  const away = deferred();
  let ran = 0;
  const stack = await openAssistants({
    address: temporal.address,
    tools: defineTools({
      slow: {
        description: 'Works while Temporal is away.',
        parameters: z.object({}),
        execute: async () => {
          ran += 1;
          began.resolve();
          await away.promise;
          return 'done meanwhile';
        },
      },
    }),
    scripts: { slow: oneRound({ id: 'call_1', name: 'slow' }) },
  });
  try {
    const runId = await stack.start('slow');
    await began.promise;
    temporal.kill();
    await temporal.exited;
    away.resolve();
    // The report fails at least once before there is anybody to hear it.
    await pause(2_000);
    temporal = await privateTemporal({ dbFilename, port: Number(temporal.address.split(':')[1]) });
    expect(await stack.client.result(runId)).toMatchObject({ status: 'completed', calls: [{ ok: true }] });
    expect(ran).toBe(1);
    expect(stack.submitted()).toEqual([{ call_1: 'done meanwhile' }]);
    const creates = stack.sandbox.requests.filter(
      ({ method, path }) => method === 'POST' && path.endsWith('/runs'),
    );
    expect(creates).toHaveLength(1);
  } finally {
    await stack.close();
    await temporal.stop();
    await rm(dir, { recursive: true, force: true });
  }
}, 180_000);
