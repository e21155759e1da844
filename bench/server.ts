/**
 * The cost of the runs server: streams through it against the model server itself, starts and submits against a bare
 * workflow, requests against the bare HTTP stack, and the capacity of one process. One session, one machine.
 *
 * Rule: ratios are the result, absolute figures are context. `bench/README.md` lists what is not measured.
 */
import {
  cancelAll,
  getRun,
  latencyBeside,
  openWaiting,
  streams,
  throughput,
  waitingFigures,
} from './server-capacity.ts';
import { openServerBench } from './server-bench.ts';
import type { Figure } from './server-figures.ts';
import { openHttp } from './server-http.ts';
import { heldPolls, submitToSeen, wholeRunByPoll } from './server-polls.ts';
import { speech, startToModel, submitToModel } from './server-latency.ts';

export interface ServerScale {
  /** Measurements of each latency. */
  runs: number;
  /** Runs of the throughput measure. */
  burst: number;
  /** Turns and length of the GET measure. */
  get: { turns: number; ms: number };
  waiting: number;
  /** Open streams, and held polls. */
  streams: number;
}

const FEW = 10;
/** Runs that the streams are of. */
const STREAMED = 200;

/** `only`: parts whose name has one of these texts, separated by commas; empty = all. */
export const benchServer = async (
  scale: ServerScale,
  told: (phase: string) => void,
  only: string,
): Promise<Figure[]> => {
  told('starting PostgreSQL, Temporal, model server, runs server, workers');
  const { stage, bench, close } = await openServerBench();
  try {
    const beside = async (): Promise<Figure[]> => {
      const waiting = await openWaiting(bench, FEW);
      const before = await latencyBeside(bench, scale.runs);
      const upTo = async (count: number): Promise<void> => {
        waiting.push(...(await openWaiting(bench, Math.max(0, count - waiting.length))));
      };
      await upTo(Math.min(STREAMED, scale.waiting));
      told(`${scale.streams} streams on ${waiting.length} runs`);
      const held = await streams(stage, waiting, scale.streams);
      await upTo(scale.waiting);
      const many = await latencyBeside(bench, scale.runs);
      told('fewer waiting runs again');
      await cancelAll(bench, waiting.splice(FEW));
      const after = await latencyBeside(bench, scale.runs);
      return [...waitingFigures(scale.waiting, { before, many, after }), ...(held ?? [])];
    };

    const starts = async (): Promise<Figure[]> => {
      const one = await stage.together();
      const its = openHttp(one.url, stage.headers);
      try {
        return await startToModel(bench, { ...bench, api: its }, scale.runs);
      } finally {
        await its.close();
        await one.stop();
      }
    };

    const parts: [string, () => Promise<Figure[]>][] = [
      ['start to model request', starts],
      ['submit to model request', () => submitToModel(bench, Math.ceil(scale.runs / 2))],
      ['speech, one word', () => speech(bench, [1, 0], scale.runs)],
      ['speech, half a second', () => speech(bench, [50, 10], Math.ceil(scale.runs / 4))],
      ['poll helpers, whole run', () => wholeRunByPoll(stage, bench, scale.runs)],
      ['poll helpers, submit', () => submitToSeen(stage, bench, Math.ceil(scale.runs / 2))],
      [`${scale.streams} held polls`, async () => (await heldPolls(stage, bench, scale.streams)) ?? []],
      ['GET run', () => getRun(stage, bench, scale.get)],
      ['runs a second', () => throughput(stage, bench, scale.burst)],
      [`${FEW} and ${scale.waiting} waiting runs, open streams`, beside],
    ];
    const figures: Figure[] = [];
    for (const [name, measure] of parts)
      if (only.split(',').some((text) => name.includes(text))) {
        told(name);
        figures.push(...(await measure()));
      }
    return figures;
  } finally {
    await close();
  }
};
