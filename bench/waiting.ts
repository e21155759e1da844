/**
 * Runs that wait for a person: the time from an answer to the submit at the backend, and the memory of a cached waiting
 * run. Imported by runs.ts; also runs by hand.
 */
import type { Pool } from 'undici';
import type { RunsClient } from '../client/index.ts';
import { BARE_QUEUE, type Stage } from './processes.ts';
import type { Row } from './row.ts';
import { quantile, usageOf, type Usage } from './usage.ts';

export const stampsOf = async (
  pool: Pool,
  prefix: string,
  thread: string,
  run: string,
): Promise<{ changedAt: number; submittedAt: number }> => {
  const answer = await pool.request({
    method: 'GET',
    path: `${prefix}/threads/${thread}/runs/${run}/stamps`,
  });
  return (await answer.body.json()) as { changedAt: number; submittedAt: number };
};

/** Answers that warm both sides up: without them, a third of what is seen is V8 compiling. */
const WARM_UP = 25;

/** From the answer's sending to the submit's arrival at the backend. */
export const answerToSubmit = async (
  stage: Stage,
  client: RunsClient,
  pool: Pool,
  runs: number,
): Promise<Row[]> => {
  const prefix = new URL(stage.backend).pathname;
  const times: Record<'bareSignal' | 'bareUpdate' | 'ourSignal' | 'ourUpdate', number[]> = {
    bareSignal: [],
    bareUpdate: [],
    ourSignal: [],
    ourUpdate: [],
  };
  for (let index = -WARM_UP; index < runs; index += 1) {
    const keep = (how: keyof typeof times, ms: number): void => {
      if (index >= 0) times[how].push(ms);
    };
    for (const how of ['bareSignal', 'bareUpdate'] as const) {
      const threadId = `thread_${how}_${index}`;
      const handle = await client.temporal.workflow.start('bareWait', {
        workflowId: `bare-wait-${how}-${process.pid}-${index}`,
        taskQueue: BARE_QUEUE,
        args: [{ assistantId: 'asst_k1_r1', threadId }],
      });
      await until(async () => (await handle.describe()).historyLength >= 11);
      const sent = Date.now();
      if (how === 'bareSignal') await handle.signal('bareAnswer', 'yes');
      else await handle.executeUpdate('bareAnswerUpdate', { args: ['yes'] });
      const backendRun = (await handle.result()) as string;
      keep(how, (await stampsOf(pool, prefix, threadId, backendRun)).submittedAt - sent);
    }
    for (const how of ['ourSignal', 'ourUpdate'] as const) {
      const threadId = `thread_${how}_${index}`;
      const { runId } = await client.start({
        backend: 'assistants',
        assistantId: 'asst_wait_k1_r1',
        threadId,
      });
      await until(async () => (await client.get(runId)).calls.some((call) => call.state === 'waiting'));
      const payload = { call_id: 'call_1_0', output: 'yes', by: 'bench' };
      const sent = Date.now();
      if (how === 'ourSignal') await client.signalAnswer(runId, payload);
      else await client.answer(runId, payload);
      const result = await client.result(runId);
      keep(how, (await stampsOf(pool, prefix, threadId, result.backendRunId ?? '')).submittedAt - sent);
    }
  }
  return [
    {
      what: 'answer by signal → submit at the backend, p50',
      bare: quantile(times.bareSignal, 0.5),
      ours: quantile(times.ourSignal, 0.5),
      unit: 'ms',
      target: 1.3,
    },
    {
      what: 'answer by update → submit at the backend, p50',
      bare: quantile(times.bareUpdate, 0.5),
      ours: quantile(times.ourUpdate, 0.5),
      unit: 'ms',
      target: 1.3,
    },
  ];
};

/** After two collections, so that what is left is held. */
const settled = async (child: Stage['ours']): Promise<Usage> => {
  await usageOf(child, true);
  return usageOf(child, true);
};

/** Heap and resident memory of a worker per cached run that waits for somebody. */
export const memory = async (stage: Stage, client: RunsClient, waiting: number): Promise<Row[]> => {
  const bareBefore = await settled(stage.bare);
  for (let index = 0; index < waiting; index += 20)
    await Promise.all(
      Array.from({ length: 20 }, (_, offset) =>
        client.temporal.workflow.start('bareWait', {
          workflowId: `bare-memory-${process.pid}-${index + offset}`,
          taskQueue: BARE_QUEUE,
          args: [{ assistantId: 'asst_k1_r1', threadId: `thread_bm_${index + offset}` }],
        }),
      ),
    );
  await until(
    async () =>
      (await client.temporal.workflow.getHandle(`bare-memory-${process.pid}-${waiting - 1}`).describe())
        .historyLength >= 11,
  );
  const bareAfter = await settled(stage.bare);
  const oursBefore = await settled(stage.ours);
  const ids: string[] = [];
  for (let index = 0; index < waiting; index += 20)
    ids.push(
      ...(await Promise.all(
        Array.from({ length: 20 }, async (_, offset) => {
          const started = await client.start({
            backend: 'assistants',
            assistantId: 'asst_wait_k1_r1',
            threadId: `thread_om_${index + offset}`,
          });
          return started.runId;
        }),
      )),
    );
  for (const runId of ids)
    await until(async () => (await client.temporal.workflow.getHandle(runId).describe()).historyLength >= 12);
  const oursAfter = await settled(stage.ours);
  return [
    {
      what: `heap per cached waiting run (of ${waiting})`,
      bare: (bareAfter.heapBytes - bareBefore.heapBytes) / waiting / 1024,
      ours: (oursAfter.heapBytes - oursBefore.heapBytes) / waiting / 1024,
      unit: 'KB',
      target: null,
    },
    {
      what: `resident memory per cached waiting run (of ${waiting})`,
      bare: (bareAfter.rssBytes - bareBefore.rssBytes) / waiting / 1024,
      ours: (oursAfter.rssBytes - oursBefore.rssBytes) / waiting / 1024,
      unit: 'KB',
      target: null,
    },
  ];
};

const until = async (holds: () => Promise<boolean>): Promise<void> => {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await holds()) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  throw new Error('A state that the benchmark waits for did not come within 12 s.');
};
