/**
 * Capacity of one server: GET requests a second, open streams, runs a second, and the effect of many waiting runs on
 * the latency of others.
 */
import type { Client } from '@temporalio/client';
import { BARE_QUEUE } from './processes.ts';
import type { Figure } from './server-figures.ts';
import { loadOf, openHttp } from './server-http.ts';
import { bareOnce, startOnce, waitingRun, type Bench } from './server-latency.ts';
import type { ServerStage } from './server-stage.ts';
import { cpuOf, cpuOfTree, quantile, residentOf } from './usage.ts';

export interface Waiting {
  thread: string;
  run: string;
}

const path = ({ thread, run }: Waiting): string => `/threads/${thread}/runs/${run}`;
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Does `one` `count` times, `width` at a time. */
export const manyAtATime = async <T>(
  count: number,
  width: number,
  one: (index: number) => Promise<T>,
): Promise<T[]> => {
  const results: T[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(width, count) }, async () => {
      while (next < count) results.push(await one(next++));
    }),
  );
  return results;
};

const CONNECTIONS = 32;
/** Until V8 has compiled the path: before, a request costs twice as much. */
const WARM_UP_MS = 8000;

/** GET of runs, each connection its own, against the same stack with one of their bodies as a constant, in turns. */
export const getRun = async (
  stage: ServerStage,
  bench: Bench,
  { turns, ms }: { turns: number; ms: number },
): Promise<Figure[]> => {
  const waiting = await openWaiting(bench, CONNECTIONS);
  const paths = waiting.map(path);
  const body = await bench.api.get(paths[0] ?? '');
  const face = await stage.constant('face', body);
  const adapter = await stage.constant('adapter', body);
  const load = loadOf(stage.load);
  const sides = [
    { url: face.url, pid: face.pid },
    { url: adapter.url, pid: adapter.pid },
    { url: stage.api.url, pid: stage.api.process.pid },
  ].map((side) => ({ ...side, perSecond: [] as number[], alone: [] as number[], cpu: 0 }));
  type Side = (typeof sides)[number];
  const get = ({ url }: Side, connections: number, forMs: number) =>
    load.ask({
      kind: 'get',
      load: { urls: paths.map((each) => url + each), headers: stage.headers, connections, ms: forMs },
    });
  try {
    for (const side of sides) await get(side, CONNECTIONS, WARM_UP_MS);
    for (let turn = 0; turn < turns; turn += 1)
      for (const side of sides) {
        const before = cpuOf(side.pid) ?? Number.NaN;
        const { perSecond } = await get(side, CONNECTIONS, ms);
        const spent = (cpuOf(side.pid) ?? Number.NaN) - before;
        side.cpu += spent / (perSecond * (ms / 1000)) / turns;
        side.perSecond.push(perSecond);
      }
    for (let turn = 0; turn < turns; turn += 1)
      for (const side of sides) side.alone.push((await get(side, 1, ms / 2)).p50);
  } finally {
    await Promise.all([face.stop(), adapter.stop()]);
    await cancelAll(bench, waiting);
  }
  const rows = (
    what: string,
    unit: string,
    of: (side: Side) => number,
    target?: Figure['target'],
  ): Figure[] => {
    const [ofFace = Number.NaN, ofAdapter = Number.NaN, ours = Number.NaN] = sides.map(of);
    return [
      {
        what,
        against: 'same stack, constant run',
        reference: ofFace,
        ours,
        unit,
        ...(target === undefined ? {} : { target }),
      },
      { what, against: 'adapter alone, constant body', reference: ofAdapter, ours, unit },
    ];
  };
  return [
    ...rows(`GET run, ${CONNECTIONS} connections`, 'requests/s', ({ perSecond }) => mean(perSecond), {
      of: 'value',
      atLeast: 5_000,
    }),
    ...rows('the same, server CPU a request', 'ms', ({ cpu }) => cpu),
    ...rows('GET run, 1 connection, p50', 'ms', ({ alone }) => quantile(alone, 0.5)),
  ];
};

/** Runs of one model turn, 50 at a time, from the create to the end of its stream. */
const runsPerSecond = async (bench: Bench, count: number): Promise<number> => {
  const began = performance.now();
  await manyAtATime(count, 50, async () => {
    const run = await bench.api.stream('/threads/runs', {
      assistant_id: bench.assistantId,
      model: 'zero_t1_g0',
      thread: { messages: [{ role: 'user', content: 'hello' }] },
      stream: true,
    });
    if (run.status !== 'completed') throw new Error(`A run of the benchmark came to ${run.status}.`);
  });
  return (count / (performance.now() - began)) * 1000;
};

const barePerSecond = async (temporal: Client, count: number): Promise<number> => {
  const began = performance.now();
  await manyAtATime(count, 50, (index) =>
    temporal.workflow.execute('bareStart', {
      workflowId: `bare-rate-${process.pid}-${Math.trunc(began)}-${index}`,
      taskQueue: BARE_QUEUE,
    }),
  );
  return (count / (performance.now() - began)) * 1000;
};

export const throughput = async (stage: ServerStage, bench: Bench, count: number): Promise<Figure[]> => {
  const bare = await barePerSecond(bench.temporal, count);
  const pids = [stage.api.process.pid, stage.worker.pid];
  const cpu = (): number => pids.reduce((sum, pid) => sum + (cpuOfTree(pid) ?? Number.NaN), 0);
  // Until V8 has compiled the path.
  await runsPerSecond(bench, Math.min(count, 200));
  const before = cpu();
  const one = await runsPerSecond(bench, count);
  const cpuOfRun = (cpu() - before) / count;
  const second = await stage.anotherWorker();
  let two: number;
  try {
    await runsPerSecond(bench, Math.min(count, 50));
    two = await runsPerSecond(bench, count);
  } finally {
    await second.stop();
  }
  return [
    {
      what: 'runs/s, one worker, 50 at a time',
      against: 'bare workflows of one activity',
      reference: bare,
      ours: one,
      unit: 'runs/s',
    },
    {
      what: 'the same, CPU of API and worker a run',
      against: null,
      reference: null,
      ours: cpuOfRun,
      unit: 'ms',
    },
    {
      what: 'runs/s, two workers, 50 at a time',
      against: 'one worker',
      reference: one,
      ours: two,
      unit: 'runs/s',
    },
  ];
};

export const openWaiting = (bench: Bench, count: number): Promise<Waiting[]> =>
  manyAtATime(count, 20, () => waitingRun(bench));

export const cancelAll = async (bench: Bench, runs: readonly Waiting[]): Promise<void> => {
  await manyAtATime(runs.length, 20, async (index) => {
    const run = runs[index];
    if (run !== undefined) await bench.api.post(`${path(run)}/cancel`, {});
  });
};

interface Beside {
  ours: number[];
  bare: number[];
}

/** Start → model request beside a number of waiting runs; and a bare workflow's start beside them, in turns. */
export const latencyBeside = async (bench: Bench, count: number): Promise<Beside> => {
  const times: Beside = { ours: [], bare: [] };
  for (let index = 0; index < count; index += 1) {
    times.ours.push(await startOnce(bench));
    times.bare.push(await bareOnce(bench));
  }
  return times;
};

/** `few` was measured twice, before and after `many`: how far it is from itself is the noise. */
export const waitingFigures = (
  many: number,
  times: { before: Beside; many: Beside; after: Beside },
): Figure[] => {
  const row = (what: string, side: keyof Beside): Figure & { noise: number } => {
    const before = quantile(times.before[side], 0.5);
    const after = quantile(times.after[side], 0.5);
    return {
      what: `${what} p50 beside ${many} waiting runs (10 runs twice: ${before.toFixed(1)} and ${after.toFixed(1)} ms)`,
      against: 'beside 10 waiting runs',
      reference: (before + after) / 2,
      ours: quantile(times.many[side], 0.5),
      unit: 'ms',
      noise: Math.max(before, after) / Math.min(before, after),
    };
  };
  const { noise, ...ours } = row('run start → model request', 'ours');
  const { noise: _, ...bare } = row('bare start → activity', 'bare');
  return [
    // A tenth, or what the machine's own mood makes of it.
    { ...ours, target: { of: 'ratio', atMost: Math.round(Math.max(1.1, noise) * 100) / 100 } },
    bare,
  ];
};

export const MB = 1024 * 1024;
export const settle = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** Streams on waiting runs, in a server process that did nothing before. Null where /proc does not tell. */
export const streams = async (
  stage: ServerStage,
  runs: readonly Waiting[],
  count: number,
): Promise<Figure[] | null> => {
  const fresh = await stage.anotherApi();
  const load = loadOf(stage.load);
  const http = openHttp(fresh.url, stage.headers);
  const urls = (many: number): string[] =>
    Array.from({ length: many }, (_, index) => runs[index % runs.length])
      .filter((run) => run !== undefined)
      .map((run) => `${fresh.url}${path(run)}/events`);
  const hold = (many: number): Promise<undefined> =>
    load.ask({ kind: 'hold', urls: urls(many), headers: stage.headers });
  try {
    await hold(20);
    await load.ask({ kind: 'release' });
    await settle(2000);
    const before = residentOf(fresh.process.pid);
    const cpuBefore = cpuOf(fresh.process.pid);
    await hold(count);
    await settle(5000);
    const after = residentOf(fresh.process.pid);
    const cpuAfter = cpuOf(fresh.process.pid);
    const { held } = await load.ask({ kind: 'release' });
    if (held !== count) throw new Error(`${held} of ${count} streams were open.`);
    if (before === null || after === null) return null;
    return [
      {
        what: `growth of a server's memory by ${count} open streams`,
        against: 'the same process without',
        reference: before / MB,
        ours: (after - before) / MB,
        unit: 'MB',
      },
      {
        what: 'the same, in total',
        against: null,
        reference: null,
        ours: after / MB,
        unit: 'MB',
        target: { of: 'value', atMost: 150 },
      },
      {
        what: 'CPU to open one stream',
        against: null,
        reference: null,
        ours: ((cpuAfter ?? Number.NaN) - (cpuBefore ?? Number.NaN)) / count,
        unit: 'ms',
      },
    ];
  } finally {
    await http.close();
    await fresh.stop();
  }
};
