/** `npm install durable-runs` alone, in an empty folder: what it costs, what it prints, and that it drives a run. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { defineTools } from '../../../activities/index.ts';
import { EXIT } from '../../../app/exit.ts';
import { oneRound, openAssistants, type AssistantsStack } from '../../support/assistants-stack.ts';
import {
  buildPackages,
  installPackages,
  type BuiltPackages,
  type Installation,
} from '../../support/packages.ts';
import { textOf } from '../../support/sources.ts';

/** What the README promises. */
const MAX_BYTES = 60_000_000;
const MAX_PACKAGES = 60;

const { version } = JSON.parse(textOf('package.json')) as { version: string };
let built: BuiltPackages;
let client: Installation;
beforeAll(async () => {
  built = await buildPackages();
  client = await installPackages([built.tarballs.client]);
}, 300_000);
afterAll(async () => {
  await client.remove();
  await built.remove();
});

test('the client installs below 60 MB and without native modules, servers or a database', async ({
  annotate,
}) => {
  const { bytes, packages } = client;
  await annotate(`client: ${(bytes / 1e6).toFixed(1)} MB, ${packages.length} packages`);
  expect(bytes).toBeLessThan(MAX_BYTES);
  expect(packages.length).toBeLessThan(MAX_PACKAGES);
  const heavy = ['@temporalio/core-bridge', '@temporalio/worker', 'hono', 'pg', 'drizzle-orm', 'webpack'];
  expect(packages.filter((name) => heavy.includes(name))).toEqual([]);
  expect(textOf('README.md')).toContain('below 60 MB');
});

test('the install warns of nothing but a script that npm leaves alone', () => {
  // Newer npm names packages whose install script it does not run; grpc brings one, and it only prints advice.
  const lines = client.warnings.split('\n').filter((line) => !line.startsWith('npm warn install-scripts'));
  expect(lines.join('\n').trim()).toBe('');
  const named = [...client.warnings.matchAll(/install-scripts +(\S+@\S+) \(/g)].map(([, name = '']) => name);
  expect(named.filter((name) => !name.startsWith('protobufjs@'))).toEqual([]);
});

test('the installed client starts a run, answers its call and reads the result', async () => {
  const stack: AssistantsStack = await openAssistants({
    address: inject('temporalAddress'),
    tools: defineTools({
      ask: { description: 'Asks a person.', parameters: z.object({}), external: true },
    }),
    scripts: { ask: oneRound({ id: 'call_a', name: 'ask' }) },
  });
  try {
    const script = `
      import { RunsClient } from 'durable-runs';
      const runs = await RunsClient.connect();
      const { runId } = await runs.start({ backend: 'assistants', assistantId: 'asst_ask' });
      const handle = runs.getHandle(runId);
      for await (const run of handle.watch()) {
        const call = run.calls.find(({ state }) => state === 'waiting');
        if (call !== undefined) await handle.answer({ call_id: call.callId, output: 'forty-two' });
      }
      const seen = [(await handle.result()).status, (await handle.describe()).status, (await handle.history()).length];
      console.log(JSON.stringify(seen));
      await runs.close();`;
    const env = { TEMPORAL_ADDRESS: inject('temporalAddress'), RUNS_TASK_QUEUE: stack.taskQueue };
    expect(await client.node(script, env)).toBe('["completed","completed",1]');
    expect(stack.submitted()).toEqual([{ call_a: 'forty-two' }]);
  } finally {
    await stack.close();
  }
});

test('the runs command without the server ends with 2 and the command that installs it', async () => {
  const bin = join(client.folder, 'node_modules', '.bin', 'runs');
  const child = spawn(bin, ['dev'], { cwd: client.folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  child.stderr.on('data', (text: Buffer) => (output += text.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  expect(code).toBe(EXIT.usage);
  expect(output).toContain('the package durable-runs-server, which is not installed');
  expect(output).toContain(`\n  npm install durable-runs-server@${version}\n`);
});
