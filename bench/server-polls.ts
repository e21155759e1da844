/**
 * The polling helpers of the official Node client against its stream helpers: the duration of the same run, the delay
 * after a submit, the number of requests for a run; and the cost of held polls for a server process.
 *
 * Rule: both sides use the official client, unchanged, and are measured alternately; the client's own time is part of
 * both.
 */
import OpenAI from 'openai';
import { cancelAll, MB, manyAtATime, settle, type Waiting } from './server-capacity.ts';
import type { Figure } from './server-figures.ts';
import { loadOf } from './server-http.ts';
import { callIdOf, closed, inTurns, waitingRun, WARM_UP, type Bench } from './server-latency.ts';
import { WORKER_TOOL, type ServerStage } from './server-stage.ts';
import { cpuOf, quantile, residentOf } from './usage.ts';

/** A client, and how many requests it has sent. */
const countingClient = (stage: ServerStage): { client: OpenAI; sent: () => number } => {
  let requests = 0;
  const client = new OpenAI({
    baseURL: stage.api.url,
    apiKey: stage.key,
    maxRetries: 0,
    fetch: (url, init) => {
      requests += 1;
      return fetch(url, init);
    },
  });
  return { client, sent: () => requests };
};

interface Sides {
  stream: number[];
  poll: number[];
}
const timeOf = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
  const began = performance.now();
  const result = await work();
  return [result, performance.now() - began];
};

const expectCompleted = ({ id, status }: OpenAI.Beta.Threads.Run): void => {
  if (status !== 'completed')
    throw new Error(`Run ${id} of the benchmark came to ${status} instead of completed.`);
};

/** Measures `stream` and `poll` in turns, warm; each gives the milliseconds of one run. */
const bothInTurns = async (count: number, one: (side: keyof Sides) => Promise<number>): Promise<Sides> => {
  const times: Sides = { stream: [], poll: [] };
  const sides = (['stream', 'poll'] as const).map(
    (side) => async () => void times[side].push(await one(side)),
  );
  await inTurns(WARM_UP, sides);
  for (const list of Object.values(times) as number[][]) list.length = 0;
  await inTurns(count, sides);
  return times;
};

const against = (what: string, { stream, poll }: Sides, q: number, atMost?: number): Figure => ({
  what,
  against: 'the same through the stream helper',
  reference: quantile(stream, q),
  ours: quantile(poll, q),
  unit: 'ms',
  ...(atMost === undefined ? {} : { target: { of: 'ratio', atMost } }),
});

/** A run whose only call the worker answers. */
export const wholeRunByPoll = async (stage: ServerStage, bench: Bench, count: number): Promise<Figure[]> => {
  const { client, sent } = countingClient(stage);
  const { threads } = client.beta;
  const body = {
    assistant_id: bench.assistantId,
    model: 'zero_k1_t1_g0',
    tools: [WORKER_TOOL],
    thread: { messages: [{ role: 'user' as const, content: 'hello' }] },
  };
  const requests: number[] = [];
  const times = await bothInTurns(count, async (side) => {
    const before = sent();
    const [run, ms] = await timeOf(() =>
      side === 'poll' ? threads.createAndRunPoll(body) : threads.createAndRunStream(body).finalRun(),
    );
    expectCompleted(run);
    if (side === 'poll') requests.push(sent() - before);
    await closed(bench, run.id);
    return ms;
  });
  return [
    against('whole run of one worker tool, `createAndRunPoll` p50', times, 0.5, 1.1),
    against('the same p99', times, 0.99),
    mostRequests('requests of such a run, at most', requests),
  ];
};

const mostRequests = (what: string, requests: readonly number[]): Figure => ({
  what,
  against: null,
  reference: null,
  ours: Math.max(...requests),
  unit: '',
  target: { of: 'value', atMost: 3 },
});

/** From sending the output of a client's tool to knowing that the run has ended. */
export const submitToSeen = async (stage: ServerStage, bench: Bench, count: number): Promise<Figure[]> => {
  const { client, sent } = countingClient(stage);
  const { runs } = client.beta.threads;
  const requests: number[] = [];
  const times = await bothInTurns(count, async (side) => {
    const { thread, run } = await waitingRun(bench);
    const outputs = {
      thread_id: thread,
      tool_outputs: [{ tool_call_id: await callIdOf(bench, thread, run), output: 'yes' }],
    };
    const before = sent();
    const [seen, ms] = await timeOf(() =>
      side === 'poll'
        ? runs.submitToolOutputsAndPoll(run, outputs)
        : runs.submitToolOutputsStream(run, outputs).finalRun(),
    );
    expectCompleted(seen);
    if (side === 'poll') requests.push(sent() - before);
    await closed(bench, run);
    return ms;
  });
  return [
    against('submit → end seen, `submitToolOutputsAndPoll` p50', times, 0.5, 1.2),
    against('the same p99', times, 0.99),
    mostRequests('requests of a submit and its polls, at most', requests),
  ];
};

/** Runs whose model is silent: they stay in progress, so a poll of them is held. */
const LASTING = { model: 'zero_t2_g3600000', runs: 100 };

const openLasting = (bench: Bench): Promise<Waiting[]> =>
  manyAtATime(LASTING.runs, 20, async () => {
    const run = await bench.api.post<{ id: string; thread_id: string }>('/threads/runs', {
      assistant_id: bench.assistantId,
      model: LASTING.model,
      expires_in: 3600,
      thread: { messages: [{ role: 'user', content: 'hello' }] },
    });
    return { thread: run.thread_id, run: run.id };
  });

/** Held polls in a server process that did nothing before. Null where /proc does not tell. */
export const heldPolls = async (
  stage: ServerStage,
  bench: Bench,
  count: number,
): Promise<Figure[] | null> => {
  const lasting = await openLasting(bench);
  const fresh = await stage.anotherApi();
  const load = loadOf(stage.load);
  const headers = { ...stage.headers, 'x-stainless-poll-helper': 'true' };
  const poll = (many: number): Promise<undefined> => {
    const urls = Array.from({ length: many }, (_, index) => lasting[index % lasting.length])
      .filter((run) => run !== undefined)
      .map(({ thread, run }) => `${fresh.url}/threads/${thread}/runs/${run}`);
    return load.ask({ kind: 'poll', urls, headers });
  };
  try {
    await poll(20);
    await load.ask({ kind: 'release' });
    await settle(2000);
    const { pid } = fresh.process;
    const before = { memory: residentOf(pid), cpu: cpuOf(pid) };
    await poll(count);
    await settle(5000);
    const after = { memory: residentOf(pid), cpu: cpuOf(pid) };
    const { held, done } = await load.ask({ kind: 'release' });
    if (held !== count || done > 0)
      throw new Error(`${held - done} of ${count} polls were held when the memory was read.`);
    if (before.memory === null || after.memory === null) return null;
    return [
      {
        what: `growth of a server's memory by ${count} held polls`,
        against: 'the same process without',
        reference: before.memory / MB,
        ours: (after.memory - before.memory) / MB,
        unit: 'MB',
      },
      {
        what: 'the same, in total',
        against: null,
        reference: null,
        ours: after.memory / MB,
        unit: 'MB',
        target: { of: 'value', atMost: 150 },
      },
      {
        what: 'CPU to take one poll',
        against: null,
        reference: null,
        ours: ((after.cpu ?? Number.NaN) - (before.cpu ?? Number.NaN)) / count,
        unit: 'ms',
      },
    ];
  } finally {
    await fresh.stop();
    await cancelAll(bench, lasting);
  }
};
