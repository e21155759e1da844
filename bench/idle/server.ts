/**
 * What real processes spend while many runs wait: CPU of an idle minute, the worker's memory, the start of one more run,
 * and the list of what waits. Everything is also measured with no run waiting.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { waitingCallsIn } from '../../cli/waiting-calls.ts';
import type { RunListItem, RunsClient } from '../../client/index.ts';
import { ROOT } from '../../test/support/sources.ts';
import { latencyBeside, MB, manyAtATime, settle } from '../server-capacity.ts';
import { openServerBench } from '../server-bench.ts';
import { alone, type Figure } from '../server-figures.ts';
import { RefusedRequest } from '../server-http.ts';
import { waitingRun, type Bench } from '../server-latency.ts';
import type { ServerStage } from '../server-stage.ts';
import { cpuOfTree, quantile, residentOfTree } from '../usage.ts';

export interface IdleScale {
  waiting: number;
  /** Starts that are measured before and beside the waiting runs. */
  starts: number;
  /** Length of the idle time in ms; maintenance makes a pass each 30 s. */
  idleMs: number;
}

const PARTS = ['serve', 'worker', 'Temporal', 'PostgreSQL'] as const;
type Share = Record<(typeof PARTS)[number], number>;

/** Per cent of a core that each part takes while nothing happens. */
const idleShare = async (stage: ServerStage, ms: number): Promise<Share> => {
  const pids = {
    serve: stage.api.process.pid,
    worker: stage.worker.pid,
    Temporal: stage.temporal.pid,
    PostgreSQL: stage.postgres.pid(),
  };
  const spent = (part: keyof Share): number => cpuOfTree(pids[part]) ?? Number.NaN;
  const before = PARTS.map(spent);
  const began = performance.now();
  await settle(ms);
  const elapsed = performance.now() - began;
  return Object.fromEntries(
    PARTS.map((part, index) => [part, ((spent(part) - (before[index] ?? 0)) / elapsed) * 100]),
  ) as Share;
};

/** A busy machine makes Temporal late, and the server then answers 503: nothing was started. */
const waitingAtLast = async (bench: Bench): Promise<void> => {
  for (let tries = 1; ; tries += 1) {
    try {
      await waitingRun(bench);
      return;
    } catch (error) {
      if (!(error instanceof RefusedRequest) || error.status !== 503 || tries === 5) throw error;
      await settle(tries * 1_000);
    }
  }
};

const opened = async (bench: Bench, count: number, told: (phase: string) => void): Promise<void> => {
  const batch = 500;
  const began = performance.now();
  for (let done = 0; done < count; done += batch) {
    told(`${done} of ${count} runs wait, after ${((performance.now() - began) / 1_000).toFixed(0)} s`);
    await manyAtATime(Math.min(batch, count - done), 50, () => waitingAtLast(bench));
  }
};

/** What `runs list --waiting` does between its connection and its output. */
const listing = async (client: RunsClient): Promise<number> => {
  const times: number[] = [];
  for (let turn = 0; turn < 10; turn += 1) {
    const began = performance.now();
    const items: RunListItem[] = [];
    for await (const item of client.list({ waiting: true, limit: 100 })) items.push(item);
    const calls = await waitingCallsIn(client, items);
    times.push(performance.now() - began);
    if (calls.length !== items.length || calls.some(({ arguments: text }) => text === null))
      throw new Error(
        `${calls.length} calls of ${items.length} runs were listed, or some without arguments.`,
      );
  }
  return quantile(times, 0.5);
};

/** The command as a person types it, its start included. */
const listed = async (stage: ServerStage, args: readonly string[]): Promise<number> => {
  const times: number[] = [];
  for (let turn = 0; turn < 5; turn += 1) {
    const began = performance.now();
    await promisify(execFile)(
      process.execPath,
      [join(ROOT, '.cache', 'bench-build', 'cli', 'main.js'), ...args],
      {
        env: { ...process.env, TEMPORAL_ADDRESS: stage.temporal.address, TEMPORAL_NAMESPACE: 'default' },
        maxBuffer: 64 * MB,
      },
    );
    times.push(performance.now() - began);
  }
  return quantile(times, 0.5);
};

const shareFigures = (many: string, empty: Share, full: Share): Figure[] => {
  const together = (share: Share): number => share.serve + share.worker + share.Temporal;
  return [
    ...PARTS.map((part): Figure => ({
      what: `idle ${part} beside ${many}, of a core`,
      against: 'no run waits',
      reference: empty[part],
      ours: full[part],
      unit: '%',
    })),
    {
      what: `idle serve, worker and Temporal beside ${many}, of a core`,
      against: 'no run waits',
      reference: together(empty),
      ours: together(full),
      unit: '%',
      target: { of: 'value', atMost: 3 },
    },
  ];
};

export const idleServer = async (scale: IdleScale, told: (phase: string) => void): Promise<Figure[]> => {
  const { stage, bench, client, close } = await openServerBench();
  try {
    const many = `${scale.waiting.toLocaleString('en')} waiting runs`;
    told('starts without waiting runs');
    await latencyBeside(bench, 20);
    const before = await latencyBeside(bench, scale.starts);
    told('idle without waiting runs');
    await settle(10_000);
    const empty = await idleShare(stage, scale.idleMs);
    await opened(bench, scale.waiting, told);
    told('starts beside them');
    const beside = await latencyBeside(bench, scale.starts);
    told('idle beside them');
    // Pages and garbage of the openings.
    await settle(30_000);
    const full = await idleShare(stage, scale.idleMs);
    const worker = (residentOfTree(stage.worker.pid) ?? Number.NaN) / MB;
    const serve = (residentOfTree(stage.api.process.pid) ?? Number.NaN) / MB;
    told('lists');
    const start = (what: string, side: 'ours' | 'bare', target?: Figure['target']): Figure => ({
      what: `${what} p50 beside ${many}`,
      against: 'no run waits',
      reference: quantile(before[side], 0.5),
      ours: quantile(beside[side], 0.5),
      unit: 'ms',
      ...(target === undefined ? {} : { target }),
    });
    return [
      ...shareFigures(many, empty, full),
      alone(`resident memory of a worker beside ${many}`, worker, 'MB', { of: 'value', atMost: 400 }),
      alone(`resident memory of serve beside ${many}`, serve, 'MB'),
      start('run start → model request', 'ours', { of: 'ratio', atMost: 1.1 }),
      start('bare start → activity', 'bare'),
      alone(`100 of ${many} with their calls, from Temporal's list`, await listing(client), 'ms', {
        of: 'value',
        atMost: 300,
      }),
      alone(
        `runs list --waiting beside ${many}, a new process with 100 calls`,
        await listed(stage, ['list', '--waiting']),
        'ms',
      ),
      alone('runs --version, a new process', await listed(stage, ['--version']), 'ms'),
    ];
  } finally {
    await close();
  }
};
