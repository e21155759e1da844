/**
 * The cost of a run: latency, CPU, history, memory and throughput of this project, of a bare workflow with the same
 * hops, and of the direct loop, measured alternately in one session.
 *
 * Rule: ratios are the result, absolute figures are context. Every figure names its source.
 */
import { Pool } from 'undici';
import { createAssistantsBackend } from '../backends/assistants/index.ts';
import { RunsClient } from '../client/index.ts';
import { lagOfOneRun, type Lag } from './lag.ts';
import { BARE_QUEUE, OUR_QUEUE, type Stage } from './processes.ts';
import type { Row, Scale } from './row.ts';
import { scenario } from './scenario.ts';
import { answerToSubmit, memory, stampsOf } from './waiting.ts';

const SCENARIOS = [
  [1, 1],
  [3, 1],
  [10, 1],
  [1, 3],
] as const;

/** 50 at a time. */
export const throughput = async (client: RunsClient, burst: number): Promise<Row[]> => {
  const assistantId = 'asst_k1_r1';
  const perSecond = async (one: (index: number) => Promise<unknown>): Promise<number> => {
    const began = performance.now();
    let next = 0;
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        while (next < burst) await one(next++);
      }),
    );
    return (burst / (performance.now() - began)) * 1000;
  };
  const bare = await perSecond((index) =>
    client.temporal.workflow.execute('bare', {
      workflowId: `bare-burst-${process.pid}-${index}`,
      taskQueue: BARE_QUEUE,
      args: [{ assistantId, threadId: `thread_bare_${index}` }],
    }),
  );
  const ours = await perSecond(async (index) => {
    const { runId } = await client.start({
      backend: 'assistants',
      assistantId,
      threadId: `thread_ours_${index}`,
    });
    await client.result(runId);
  });
  return [{ what: 'throughput, 50 at a time', bare, ours, unit: 'runs/s', target: null }];
};

/** How late the backend adapter sees a change of status, without Temporal. */
export const detectionLag = async (stage: Stage, pool: Pool, runs: number): Promise<Lag[]> => {
  const prefix = new URL(stage.backend).pathname;
  const lags: Lag[] = [];
  for (const stream of ['auto', 'never'] as const) {
    const backend = createAssistantsBackend({ baseUrl: stage.backend, stream });
    for (let index = 0; index < runs; index += 1)
      lags.push(await lagOfOneRun(backend, stream, pool, prefix, index, stampsOf));
    await backend.dispose();
  }
  return lags;
};

/** Everything about runs, in the order in which it disturbs itself least. */
export const benchRuns = async (
  stage: Stage,
  scale: Scale,
  told: (phase: string) => void,
): Promise<{ rows: Row[]; lags: Lag[] }> => {
  const pool = new Pool(new URL(stage.backend).origin, { connections: 64 });
  const client = await RunsClient.connect({
    address: stage.temporal.address,
    namespace: 'default',
    taskQueue: OUR_QUEUE,
    env: {},
  });
  try {
    const rows: Row[] = [];
    for (const [k, r] of SCENARIOS) {
      told(`k=${k} r=${r}`);
      rows.push(...(await scenario(stage, k, r, scale.runs, client, pool)));
    }
    told('answer to submit');
    rows.push(...(await answerToSubmit(stage, client, pool, Math.max(10, Math.floor(scale.runs / 4)))));
    told('throughput');
    rows.push(...(await throughput(client, scale.burst)));
    told('detection lag');
    const lags = await detectionLag(stage, pool, Math.max(10, Math.floor(scale.runs / 4)));
    told('memory');
    rows.push(...(await memory(stage, client, scale.waiting)));
    return { rows, lags };
  } finally {
    await client.close();
    await pool.close();
  }
};
