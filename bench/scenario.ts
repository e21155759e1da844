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

/** The runs server that both contestants use, and the client of both. */
interface Arena {
  client: RunsClient;
  pool: Pool;
  prefix: string;
}

const newThread = async ({ pool, prefix }: Arena): Promise<string> => {
  const answer = await pool.request({ method: 'POST', path: `${prefix}/threads`, body: '{}' });
  return ((await answer.body.json()) as { id: string }).id;
};

const bareContestant = (arena: Arena, label: string): Contestant => {
  let serial = 0;
  return {
    run: async (assistantId) => {
      const threadId = await newThread(arena);
      const workflowId = `bare-${label}-${process.pid}-${++serial}`;
      const began = performance.now();
      await arena.client.temporal.workflow.execute('bare', {
        workflowId,
        taskQueue: BARE_QUEUE,
        args: [{ assistantId, threadId }],
      });
      return { ms: performance.now() - began, workflowId };
    },
  };
};

const ourContestant = (arena: Arena, rounds: number): Contestant => ({
  run: async (assistantId) => {
    const threadId = await newThread(arena);
    const began = performance.now();
    const { runId } = await arena.client.start({ backend: 'assistants', assistantId, threadId });
    const result = await arena.client.result(runId);
    const ms = performance.now() - began;
    if (result.status !== 'completed' || result.rounds !== rounds)
      throw new Error(
        `Run ${runId} ended ${result.status} after ${result.rounds} rounds: ${JSON.stringify(result.lastError)}`,
      );
    return { ms, workflowId: runId };
  },
});

interface Measured {
  times: { direct: number[]; bare: number[]; ours: number[] };
  cpu: { bare: number; ours: number; serverBare: number; serverOurs: number };
  ids: { bare: string[]; ours: string[] };
}

/** Runs both in blocks of ten: both contestants see the same machine, and CPU counters have something to count. */
const measure = async (
  stage: Stage,
  { pool, prefix }: Arena,
  contestants: { bare: Contestant; ours: Contestant },
  assistantId: string,
  runs: number,
): Promise<Measured> => {
  const measured: Measured = {
    times: { direct: [], bare: [], ours: [] },
    cpu: { bare: 0, ours: 0, serverBare: 0, serverOurs: 0 },
    ids: { bare: [], ours: [] },
  };
  const { times, cpu, ids } = measured;
  for (let done = 0; done < runs; done += 10) {
    for (let index = 0; index < 10; index += 1) times.direct.push(await directRun(pool, prefix, assistantId));
    for (const name of ['bare', 'ours'] as const) {
      const before = await usageOf(stage[name]);
      const server = cpuOf(stage.temporal.pid) ?? 0;
      for (let index = 0; index < 10; index += 1) {
        const { ms, workflowId } = await contestants[name].run(assistantId);
        times[name].push(ms);
        ids[name].push(workflowId);
      }
      cpu[name] += (await usageOf(stage[name])).cpuMs - before.cpuMs;
      cpu[name === 'bare' ? 'serverBare' : 'serverOurs'] += (cpuOf(stage.temporal.pid) ?? 0) - server;
    }
  }
  return measured;
};

const latencyRow = (what: string, { times }: Measured, at: number, target: number | null): Row => {
  const floor = quantile(times.direct, 0.5);
  return {
    what,
    bare: quantile(times.bare, at) - floor,
    ours: quantile(times.ours, at) - floor,
    unit: 'ms',
    target,
  };
};

const rowsOf = (label: string, measured: Measured, histories: ReturnType<typeof atEqualWakes>): Row[] => {
  const { times, cpu } = measured;
  const counted = times.ours.length;
  return [
    {
      ...latencyRow(`${label} added latency p50`, measured, 0.5, 1.2),
      direct: quantile(times.direct, 0.5),
    },
    latencyRow(`${label} added latency p99`, measured, 0.99, null),
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
  const arena: Arena = { client, pool, prefix: new URL(stage.backend).pathname };
  const contestants = { bare: bareContestant(arena, `${k}-${r}`), ours: ourContestant(arena, r) };
  for (let index = 0; index < WARM_UP; index += 1) {
    await directRun(pool, arena.prefix, assistantId);
    await contestants.bare.run(assistantId);
    await contestants.ours.run(assistantId);
  }
  const measured = await measure(stage, arena, contestants, assistantId, runs);
  const histories = atEqualWakes(
    await historiesOf(client.temporal, measured.ids.bare.slice(-HISTORIES)),
    await historiesOf(client.temporal, measured.ids.ours.slice(-HISTORIES)),
  );
  return rowsOf(`k=${k} r=${r}`, measured, histories);
};
