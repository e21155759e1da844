/** Tools that leave something behind or end their process: real `runs worker` processes, with their supervisor. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { defineTools } from '../../../activities/index.ts';
import { oneRound, openAssistants, type AssistantsStack } from '../../support/assistants-stack.ts';
import { spawnWorker, type WorkerProcess } from '../../support/worker-process.ts';

let dir: string;
let stack: AssistantsStack;
let worker: WorkerProcess | null = null;

const toolsFile = (): string => `
  import { appendFileSync } from 'node:fs';
  import { defineTools } from ${JSON.stringify(new URL('../../../activities/tools/define.ts', import.meta.url).href)};
  import { z } from ${JSON.stringify(import.meta.resolve('zod'))};
  const note = (name: string) => appendFileSync(${JSON.stringify(dir)} + '/' + name, process.pid + '\\n');
  const parameters = z.object({});
  const never = () => new Promise(() => undefined);
  const retry = { initialInterval: 100, maximumAttempts: 5 };
  export default defineTools({
    rejects: {
      description: 'Leaves a promise rejected.',
      parameters,
      execute: async () => {
        note('rejects');
        setTimeout(() => void Promise.reject(new Error('left behind')), 1);
        await new Promise((resolve) => setTimeout(resolve, 100));
        return 'well';
      },
    },
    throws: {
      description: 'Throws in a timer.',
      parameters,
      retry,
      execute: () => {
        note('throws');
        setTimeout(() => {
          throw new Error('in a timer');
        }, 50);
        return never();
      },
    },
    kills: {
      description: 'Ends its process without a word.',
      parameters,
      retry,
      heartbeat: '2s',
      execute: () => {
        note('kills');
        setTimeout(() => process.kill(process.pid, 'SIGKILL'), 50);
        return never();
      },
    },
  });
`;

const names = ['rejects', 'throws', 'kills'] as const;
type Name = (typeof names)[number];
const declared = defineTools(
  Object.fromEntries(
    names.map((name) => [name, { description: name, parameters: z.object({}), external: true }]),
  ),
);

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'bad-tools-'));
  await writeFile(join(dir, 'tools.ts'), toolsFile());
  stack = await openAssistants({
    address: inject('temporalAddress'),
    tools: declared,
    scripts: Object.fromEntries(names.map((name) => [name, oneRound({ id: 'call_1', name })])),
    worker: false,
  });
});
afterEach(async () => {
  worker?.signal('SIGTERM');
  const end = await worker?.exited;
  if (end?.code !== 0) throw new Error(`the worker ended with ${JSON.stringify(end)}`);
  worker = null;
});
afterAll(async () => {
  await stack.close();
  await rm(dir, { recursive: true, force: true });
});

const begin = async (): Promise<WorkerProcess> => {
  worker = spawnWorker({
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    RUNS_TASK_QUEUE: stack.taskQueue,
    RUNS_BACKEND: 'assistants',
    OPENAI_BASE_URL: stack.sandbox.url,
    RUNS_DATA_DIR: dir,
    RUNS_TOOLS: join(dir, 'tools.ts'),
  });
  await worker.ready;
  return worker;
};

const processesOf = (name: Name): string[] =>
  existsSync(join(dir, name)) ? readFileSync(join(dir, name), 'utf8').trim().split('\n') : [];

/** Lines of the log, by their message. */
const logged = (message: string): Record<string, unknown>[] =>
  (worker?.said() ?? '')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ msg }) => String(msg).startsWith(message));

test('a promise that a tool leaves rejected is logged with its call, and the worker lives', async () => {
  await begin();
  const runId = await stack.start('rejects');
  expect(await stack.client.result(runId)).toMatchObject({ status: 'completed' });
  expect(stack.submitted().at(-1)).toEqual({ call_1: 'well' });
  expect(logged('a promise was rejected')).toEqual([
    expect.objectContaining({ tool: 'rejects', runId, callId: 'call_1', attempt: 1 }),
  ]);
  expect(processesOf('rejects')).toHaveLength(1);
}, 90_000);

test('a tool that throws in a timer at each attempt ends two processes, not a third', async () => {
  await begin();
  const runId = await stack.start('throws');
  expect(await stack.client.result(runId)).toMatchObject({
    status: 'completed',
    calls: [{ ok: false, notes: ['tool_failed'] }],
  });
  expect(stack.submitted().at(-1)?.['call_1']).toContain('died 2 times while it ran');
  expect(new Set(processesOf('throws')).size).toBe(2);
  expect(processesOf('throws')).toHaveLength(2);
  expect(logged('an exception escaped')).toEqual([
    expect.objectContaining({ tool: 'throws', runId, callId: 'call_1', attempt: 1 }),
    expect.objectContaining({ tool: 'throws', runId, callId: 'call_1', attempt: 2 }),
  ]);
}, 120_000);

test('a tool that kills its process at each attempt is not run a third time', async () => {
  await begin();
  const runId = await stack.start('kills');
  expect(await stack.client.result(runId)).toMatchObject({ status: 'completed', calls: [{ ok: false }] });
  expect(stack.submitted().at(-1)?.['call_1']).toContain('died 2 times while it ran');
  expect(processesOf('kills')).toHaveLength(2);
}, 120_000);
