/**
 * What a run costs: latency, CPU, history, memory and throughput of this project, of a bare workflow with the same
 * hops, and of the direct loop, measured in turns in one session.
 *
 * Rule: ratios are the result, absolute figures are context. Every figure names what it was taken from.
 */
import type { Client } from '@temporalio/client';
import { Pool } from 'undici';
import { createAssistantsBackend } from '../backends/assistants/index.ts';
import { RunsClient } from '../client/index.ts';
import { lagOfOneRun, type Lag } from './lag.ts';
import { directRun } from './direct.ts';
import { BARE_QUEUE, OUR_QUEUE, type Stage } from './processes.ts';
import { cpuOf, quantile, usageOf, type Usage } from './usage.ts';

const SCENARIOS = [
  [1, 1],
  [3, 1],
  [10, 1],
  [1, 3],
] as const;
/** Until the code of both is compiled: with 15, a third of what is measured is V8 at work on cold functions. */
const WARM_UP = 100;

export interface Scale {
  /** Runs per scenario and contestant. */
  runs: number;
  /** Runs of the throughput measure. */
  burst: number;
  /** Waiting runs of the memory measure. */
  waiting: number;
}

export interface Row {
  what: string;
  direct?: number | null;
  bare: number | null;
  ours: number | null;
  unit: string;
  /** Highest ratio of ours to bare that is acceptable; null = no target. */
  target: number | null;
}

interface Contestant {
  run(assistantId: string): Promise<{ ms: number; workflowId: string }>;
}

const historyOf = async (
  client: Client,
  workflowId: string,
): Promise<{ events: number; bytes: number; wakes: number }> => {
  const description = await client.workflow.getHandle(workflowId).describe();
  const history = await client.workflow.getHandle(workflowId).fetchHistory();
  const types = (history.events ?? []).map((event) => event.workflowTaskCompletedEventAttributes != null);
  return {
    events: description.historyLength,
    bytes: description.historySize ?? 0,
    wakes: types.filter(Boolean).length,
  };
};

/** Latency, CPU and history of one (k, r), contestants in turns. */
export const scenario = async (
  stage: Stage,
  k: number,
  r: number,
  runs: number,
  client: RunsClient,
  pool: Pool,
): Promise<Row[]> => {
  const assistantId = `asst_k${k}_r${r}`;
  const prefix = new URL(stage.backend).pathname;
  const thread = async (): Promise<string> => {
    const answer = await pool.request({ method: 'POST', path: `${prefix}/threads`, body: '{}' });
    return ((await answer.body.json()) as { id: string }).id;
  };
  let serial = 0;
  const bare: Contestant = {
    run: async () => {
      const threadId = await thread();
      const workflowId = `bare-${k}-${r}-${process.pid}-${++serial}`;
      const began = performance.now();
      await client.temporal.workflow.execute('bare', {
        workflowId,
        taskQueue: BARE_QUEUE,
        args: [{ assistantId, threadId }],
      });
      return { ms: performance.now() - began, workflowId };
    },
  };
  const ours: Contestant = {
    run: async () => {
      const threadId = await thread();
      const began = performance.now();
      const { runId } = await client.start({ backend: 'assistants', assistantId, threadId });
      const result = await client.result(runId);
      const ms = performance.now() - began;
      if (result.status !== 'completed' || result.rounds !== r)
        throw new Error(
          `Run ${runId} ended ${result.status} after ${result.rounds} rounds: ${JSON.stringify(result.lastError)}`,
        );
      return { ms, workflowId: runId };
    },
  };
  for (let index = 0; index < WARM_UP; index += 1) {
    await directRun(pool, prefix, assistantId);
    await bare.run(assistantId);
    await ours.run(assistantId);
  }
  const times = { direct: [] as number[], bare: [] as number[], ours: [] as number[] };
  const cpu = { bare: 0, ours: 0, serverBare: 0, serverOurs: 0 };
  let last = { bare: '', ours: '' };
  // Blocks of ten: short enough that both contestants see the same machine, long enough for CPU counters.
  for (let done = 0; done < runs; done += 10) {
    for (let index = 0; index < 10; index += 1) times.direct.push(await directRun(pool, prefix, assistantId));
    for (const [name, contestant, child] of [
      ['bare', bare, stage.bare],
      ['ours', ours, stage.ours],
    ] as const) {
      const before = await usageOf(child);
      const server = cpuOf(stage.temporal.pid) ?? 0;
      for (let index = 0; index < 10; index += 1) {
        const { ms, workflowId } = await contestant.run(assistantId);
        times[name].push(ms);
        last = { ...last, [name]: workflowId };
      }
      cpu[name] += (await usageOf(child)).cpuMs - before.cpuMs;
      cpu[name === 'bare' ? 'serverBare' : 'serverOurs'] += (cpuOf(stage.temporal.pid) ?? 0) - server;
    }
  }
  const floor = quantile(times.direct, 0.5);
  const counted = times.ours.length;
  const histories = {
    bare: await historyOf(client.temporal, last.bare),
    ours: await historyOf(client.temporal, last.ours),
  };
  const label = `k=${k} r=${r}`;
  return [
    {
      what: `${label} added latency p50`,
      direct: floor,
      bare: quantile(times.bare, 0.5) - floor,
      ours: quantile(times.ours, 0.5) - floor,
      unit: 'ms',
      target: 1.2,
    },
    {
      what: `${label} added latency p99`,
      bare: quantile(times.bare, 0.99) - floor,
      ours: quantile(times.ours, 0.99) - floor,
      unit: 'ms',
      target: null,
    },
    {
      what: `${label} worker CPU a run`,
      bare: cpu.bare / counted,
      ours: cpu.ours / counted,
      unit: 'ms',
      target: 1.4,
    },
    {
      what: `${label} server CPU a run`,
      bare: cpu.serverBare / counted,
      ours: cpu.serverOurs / counted,
      unit: 'ms',
      target: null,
    },
    {
      what: `${label} history events (last run)`,
      bare: histories.bare.events,
      ours: histories.ours.events,
      unit: '',
      target: null,
    },
    {
      what: `${label} history bytes (last run)`,
      bare: histories.bare.bytes,
      ours: histories.ours.bytes,
      unit: 'B',
      target: 1.4,
    },
  ];
};

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

const stampsOf = async (
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
  for (let index = 0; index < runs; index += 1) {
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
      times[how].push((await stampsOf(pool, prefix, threadId, backendRun)).submittedAt - sent);
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
      times[how].push((await stampsOf(pool, prefix, threadId, result.backendRunId ?? '')).submittedAt - sent);
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
