/** Real worker processes: start, refusal, orderly end, kill -9 in the middle of a tool. */
import { existsSync, readFileSync, watch } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { defineTools } from '../../../activities/index.ts';
import { oneRound, openAssistants, type AssistantsStack } from '../../support/assistants-stack.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { spawnWorker, type WorkerProcess } from '../../support/worker-process.ts';

guardAgainstLeaks();

let dir: string;
let stack: AssistantsStack;
const workers: WorkerProcess[] = [];

/** The processes' tools; what they did is in files, since processes that are killed tell nothing. */
const toolsFile = (): string => `
  import { appendFileSync } from 'node:fs';
  import { defineTools } from ${JSON.stringify(new URL('../../../activities/tools/define.ts', import.meta.url).href)};
  import { z } from ${JSON.stringify(import.meta.resolve('zod'))};
  const note = (name: string, text: string) => appendFileSync(${JSON.stringify(dir)} + '/' + name, text + '\\n');
  const parameters = z.object({});
  export default defineTools({
    once: {
      description: 'Takes effect, then hangs.',
      parameters,
      atMostOnce: true,
      timeout: '4s',
      execute: () => {
        note('once', process.pid.toString());
        return new Promise(() => undefined);
      },
    },
    again: {
      description: 'Hangs the first time.',
      parameters,
      heartbeat: '3s',
      execute: (_args, { attempt, idempotencyKey, heartbeat }) => {
        note('again', attempt + ' ' + idempotencyKey);
        heartbeat();
        return attempt === 1 ? new Promise(() => undefined) : 'done at last';
      },
    },
    slow: {
      description: 'Takes a second.',
      parameters,
      execute: async () => {
        note('slow', 'began');
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        return 'done in time';
      },
    },
  });
`;

const names = ['once', 'again', 'slow'] as const;
const declared = defineTools(
  Object.fromEntries(
    names.map((name) => [name, { description: name, parameters: z.object({}), external: true }]),
  ),
);

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durable-runs-worker-'));
  await writeFile(join(dir, 'tools.ts'), toolsFile());
  stack = await openAssistants({
    address: inject('temporalAddress'),
    tools: declared,
    scripts: Object.fromEntries(names.map((name) => [name, oneRound({ id: 'call_1', name })])),
    worker: false,
  });
});
afterAll(async () => {
  for (const worker of workers) worker.signal('SIGKILL');
  await Promise.all(workers.map(({ exited }) => exited));
  await stack.close();
  await rm(dir, { recursive: true, force: true });
});

const worker = (more: Record<string, string> = {}): WorkerProcess => {
  const made = spawnWorker({
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    RUNS_TASK_QUEUE: stack.taskQueue,
    RUNS_BACKEND: 'assistants',
    OPENAI_BASE_URL: stack.sandbox.url,
    RUNS_DATA_DIR: join(dir, 'data'),
    RUNS_TOOLS: join(dir, 'tools.ts'),
    ...more,
  });
  workers.push(made);
  return made;
};

/** Resolves when a tool has noted a whole line: a file is there before what is written into it. */
const noted = (name: string): Promise<string[]> =>
  new Promise((resolve, reject) => {
    const file = join(dir, name);
    const look = (): void => {
      const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
      if (!text.endsWith('\n')) return;
      watcher.close();
      resolve(text.trim().split('\n'));
    };
    const watcher = watch(dir, look);
    watcher.once('error', reject);
    look();
  });

describe('a worker process', { timeout: 90_000 }, () => {
  test('reports when it is ready, finishes running work at SIGTERM, and exits with 0', async () => {
    const process = worker();
    expect(await process.ready).toMatch(/^ready .*tools once, again, slow/);
    const runId = await stack.start('slow');
    await noted('slow');
    process.signal('SIGTERM');
    expect(await process.exited).toEqual({ code: 0, signal: null });
    const next = worker();
    await next.ready;
    expect((await stack.client.result(runId)).status).toBe('completed');
    expect(stack.submitted().at(-1)).toEqual({ call_1: 'done in time' });
    expect(await noted('slow')).toEqual(['began']);
    next.signal('SIGTERM');
    await next.exited;
  });

  test('killed -9 in an at-most-once tool: it never runs again, and the model is told that the outcome is unknown', async () => {
    const first = worker();
    await first.ready;
    const runId = await stack.start('once');
    await noted('once');
    first.signal('SIGKILL');
    await first.exited;
    const second = worker();
    await second.ready;
    const result = await stack.client.result(runId);
    expect(result).toMatchObject({ status: 'completed', calls: [{ ok: false, notes: ['outcome_unknown'] }] });
    expect(await noted('once')).toHaveLength(1);
    expect(stack.submitted().at(-1)?.['call_1']).toMatch(/unknown/);
    second.signal('SIGTERM');
    await second.exited;
  });

  test('killed -9 in any other tool: it runs again under the same key', async () => {
    const first = worker();
    await first.ready;
    const runId = await stack.start('again');
    await noted('again');
    first.signal('SIGKILL');
    await first.exited;
    const second = worker();
    await second.ready;
    expect((await stack.client.result(runId)).status).toBe('completed');
    expect(await noted('again')).toEqual([`1 ${runId}:call_1`, `2 ${runId}:call_1`]);
    expect(stack.submitted().at(-1)).toEqual({ call_1: 'done at last' });
    second.signal('SIGTERM');
    await second.exited;
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ['a bad setting', { RUNS_MAX_ACTIVITIES: 'many' }, /RUNS_MAX_ACTIVITIES must be a whole number.*"many"/],
    [
      'a tools file that is not there',
      { RUNS_TOOLS: '/nowhere/tools.ts' },
      /no readable file "\/nowhere\/tools\.ts"/,
    ],
    ['no Temporal', { TEMPORAL_ADDRESS: '127.0.0.1:1' }, /Temporal at "127\.0\.0\.1:1" can't be reached/],
    ['no such namespace', { TEMPORAL_NAMESPACE: 'nowhere' }, /no namespace "nowhere"/],
  ])('%s is refused at start, with the value, and the exit code is not 0', async (_what, env, expected) => {
    const process = worker(env);
    const { code } = await process.exited;
    expect(process.said()).toMatch(expected);
    expect(process.said()).not.toMatch(/^ready/m);
    expect(code).not.toBe(0);
  });
});
