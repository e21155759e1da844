/**
 * Latency, CPU and history of one (k, r): k calls in each of r rounds.
 *
 * Rule: contestants run in turns in one session, on code that is warm on both sides. Imported by runs.ts and by hand.
 */
import type { Pool } from 'undici';
import type { RunsClient } from '../client/index.ts';
import { directRun } from './direct.ts';
import { HISTORIES, atEqualWakes, historiesOf } from './histories.ts';
import { BARE_QUEUE, type Stage } from './processes.ts';
import type { Row } from './row.ts';
import { cpuOf, quantile, usageOf } from './usage.ts';

/** Until the code of both is compiled: with 15, a third of what is measured is V8 at work on cold functions. */
const WARM_UP = 100;

interface Contestant {
  run(assistantId: string): Promise<{ ms: number; workflowId: string }>;
}

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
  const ids = { bare: [] as string[], ours: [] as string[] };
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
        ids[name].push(workflowId);
      }
      cpu[name] += (await usageOf(child)).cpuMs - before.cpuMs;
      cpu[name === 'bare' ? 'serverBare' : 'serverOurs'] += (cpuOf(stage.temporal.pid) ?? 0) - server;
    }
  }
  const floor = quantile(times.direct, 0.5);
  const counted = times.ours.length;
  const histories = atEqualWakes(
    await historiesOf(client.temporal, ids.bare.slice(-HISTORIES)),
    await historiesOf(client.temporal, ids.ours.slice(-HISTORIES)),
  );
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
      what: `${label} history events, ${histories.wakes}`,
      bare: histories.bare.events,
      ours: histories.ours.events,
      unit: '',
      target: null,
    },
    {
      what: `${label} history bytes, ${histories.wakes}`,
      bare: histories.bare.bytes,
      ours: histories.ours.bytes,
      unit: 'B',
      target: 2,
    },
  ];
};
