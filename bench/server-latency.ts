/**
 * How long things take through the server, one at a time: to the first token and the whole run against the model server
 * itself, from a start or a submit to the model's request against a bare workflow, and from the model's piece to the reader.
 *
 * Rule: both sides of a ratio are measured in turns, in blocks short enough to see the same machine.
 */
import type { Client } from '@temporalio/client';
import { BARE_QUEUE } from './processes.ts';
import type { Figure } from './server-figures.ts';
import type { Http } from './server-http.ts';
import { quantile, wallClock } from './usage.ts';

export interface Bench {
  api: Http;
  model: Http;
  temporal: Client;
  assistantId: string;
}

const BLOCK = 5;
/** Runs of each side that are not counted. */
export const WARM_UP = 10;
const ASK = {
  type: 'function',
  function: { name: 'ask', parameters: { type: 'object', properties: { text: { type: 'string' } } } },
};

let serial = 0;
export const freshKey = (): string => `${process.pid}-${++serial}`;

/** A thread with one message, which carries the key that the model server files its stamps under. */
export const threadWith = async ({ api }: Bench, key: string): Promise<string> => {
  const { id } = await api.post<{ id: string }>('/threads', {
    messages: [{ role: 'user', content: `key:${key} hello` }],
  });
  return id;
};

export const stampsOf = async ({ model }: Bench, key: string): Promise<number[]> =>
  JSON.parse(await model.get(`/stamps/${key}`)) as number[];

export const inTurns = async (count: number, sides: readonly (() => Promise<void>)[]): Promise<void> => {
  for (let done = 0; done < count; done += BLOCK)
    for (const side of sides) for (let index = 0; index < BLOCK; index += 1) await side();
};

const expectStatus = (what: string, got: string, wanted: string): void => {
  if (got !== wanted) throw new Error(`${what} came to ${JSON.stringify(got)} instead of ${wanted}.`);
};

/** Time to the first token, the whole run, and the lag of every piece, for a model of `pieces` with `gap` ms between. */
export const speech = async (
  bench: Bench,
  [pieces, gap]: [number, number],
  count: number,
): Promise<Figure[]> => {
  const model = `zero_t${pieces}_g${gap}`;
  const times = {
    direct: { first: [] as number[], whole: [] as number[], lags: [] as number[] },
    ours: { first: [] as number[], whole: [] as number[], lags: [] as number[] },
  };
  const direct = async (): Promise<void> => {
    const body = { model, stream: true, messages: [{ role: 'user', content: 'hello' }] };
    const { firstTokenMs, wholeMs, lagsMs } = await bench.model.stream('/chat/completions', body);
    times.direct.first.push(firstTokenMs);
    times.direct.whole.push(wholeMs);
    times.direct.lags.push(...lagsMs);
  };
  const ours = async (): Promise<void> => {
    const thread = await threadWith(bench, freshKey());
    const run = await bench.api.stream(`/threads/${thread}/runs`, {
      assistant_id: bench.assistantId,
      model,
      stream: true,
    });
    expectStatus('A run of the benchmark', run.status, 'completed');
    await closed(bench, run.runId);
    if (run.lagsMs.length !== pieces)
      throw new Error(`A stream brought ${run.lagsMs.length} of ${pieces} pieces.`);
    times.ours.first.push(run.firstTokenMs);
    times.ours.whole.push(run.wholeMs);
    times.ours.lags.push(...run.lagsMs);
  };
  for (let index = 0; index < WARM_UP; index += 1) await ours();
  times.ours = { first: [], whole: [], lags: [] };
  await inTurns(count, [direct, ours]);
  const label = `${pieces} piece${pieces === 1 ? '' : 's'}${gap === 0 ? '' : `, ${gap} ms apart`}`;
  const row = (what: string, kind: 'first' | 'whole', q: number): Figure => ({
    what: `${what}, ${label}`,
    against: 'model server directly',
    reference: quantile(times.direct[kind], q),
    ours: quantile(times.ours[kind], q),
    unit: 'ms',
  });
  const figures = [
    row('time to first token p50', 'first', 0.5),
    row('time to first token p99', 'first', 0.99),
    row('whole run p50', 'whole', 0.5),
  ];
  if (gap === 0) return figures;
  const lag = (name: string, q: number): Figure => ({
    what: `model's piece → client's socket ${name}, ${label}`,
    against: 'model server directly',
    reference: quantile(times.direct.lags, q),
    ours: quantile(times.ours.lags, q),
    unit: 'ms',
  });
  return [...figures, { ...lag('p50', 0.5), target: { of: 'value', atMost: 40 } }, lag('p99', 0.99)];
};

/** A run tells its end before its workflow has closed: until then, what comes next would be measured beside that. */
export const closed = async ({ temporal }: Bench, runId: string): Promise<void> => {
  await temporal.workflow.getHandle(runId).result();
};

/** From sending the create to the model server's hearing of it. */
export const startOnce = async (bench: Bench): Promise<number> => {
  const key = freshKey();
  const thread = await threadWith(bench, key);
  const began = wallClock();
  const run = await bench.api.stream(`/threads/${thread}/runs`, {
    assistant_id: bench.assistantId,
    model: 'zero_t1_g0',
    stream: true,
  });
  expectStatus('A run of the benchmark', run.status, 'completed');
  await closed(bench, run.runId);
  return ((await stampsOf(bench, key))[0] ?? Number.NaN) - began;
};

export const bareOnce = async ({ temporal }: Bench): Promise<number> => {
  const began = wallClock();
  const at = (await temporal.workflow.execute('bareStart', {
    workflowId: `bare-start-${freshKey()}`,
    taskQueue: BARE_QUEUE,
  })) as number;
  return at - began;
};

/** `together`: the same with API and worker in one process. */
export const startToModel = async (bench: Bench, together: Bench, count: number): Promise<Figure[]> => {
  const times = { bare: [] as number[], apart: [] as number[], together: [] as number[] };
  const sides = [
    async () => void times.bare.push(await bareOnce(bench)),
    async () => void times.apart.push(await startOnce(bench)),
    async () => void times.together.push(await startOnce(together)),
  ];
  await inTurns(WARM_UP, sides);
  for (const list of Object.values(times)) list.length = 0;
  await inTurns(count, sides);
  const row = (where: 'apart' | 'together', name: string, q: number): Figure => ({
    what: `run start → model request ${name}, API and worker ${where === 'apart' ? 'apart' : 'in one process'}`,
    against: 'bare start → activity',
    reference: quantile(times.bare, q),
    ours: quantile(times[where], q),
    unit: 'ms',
  });
  const target = { of: 'ratio', atMost: 1.3 } as const;
  return [
    { ...row('together', 'p50', 0.5), target },
    row('together', 'p99', 0.99),
    { ...row('apart', 'p50', 0.5), target },
    row('apart', 'p99', 0.99),
  ];
};

/** A run that waits for its caller. Returns where it is. */
export const waitingRun = async (bench: Bench): Promise<{ thread: string; run: string; key: string }> => {
  const key = freshKey();
  const thread = await threadWith(bench, key);
  const { status, runId } = await bench.api.stream(`/threads/${thread}/runs`, {
    assistant_id: bench.assistantId,
    model: 'zero_k1_t1_g0',
    tools: [ASK],
    expires_in: 86_400,
    stream: true,
  });
  expectStatus('A run that should wait', status, 'requires_action');
  return { thread, run: runId, key };
};

export const callIdOf = async ({ api }: Bench, thread: string, run: string): Promise<string> => {
  const view = JSON.parse(await api.get(`/threads/${thread}/runs/${run}`)) as {
    required_action: { submit_tool_outputs: { tool_calls: { id: string }[] } } | null;
  };
  return view.required_action?.submit_tool_outputs.tool_calls[0]?.id ?? '';
};

const submitOnce = async (bench: Bench): Promise<number> => {
  const { thread, run, key } = await waitingRun(bench);
  const id = await callIdOf(bench, thread, run);
  const began = wallClock();
  const { status } = await bench.api.stream(`/threads/${thread}/runs/${run}/submit_tool_outputs`, {
    tool_outputs: [{ tool_call_id: id, output: 'yes' }],
    stream: true,
  });
  expectStatus('An answered run', status, 'completed');
  await closed(bench, run);
  return ((await stampsOf(bench, key))[1] ?? Number.NaN) - began;
};

const bareResumeOnce = async ({ temporal }: Bench): Promise<number> => {
  const handle = await temporal.workflow.start('bareResume', {
    workflowId: `bare-resume-${freshKey()}`,
    taskQueue: BARE_QUEUE,
  });
  // Answered by a worker that has the workflow: it waits now.
  await handle.query('__stack_trace');
  const began = wallClock();
  await handle.executeUpdate('bareAnswerUpdate', { args: ['yes'] });
  return ((await handle.result()) as number) - began;
};

export const submitToModel = async (bench: Bench, count: number): Promise<Figure[]> => {
  const bare: number[] = [];
  const ours: number[] = [];
  for (let index = 0; index < BLOCK; index += 1) {
    await bareResumeOnce(bench);
    await submitOnce(bench);
  }
  await inTurns(count, [
    async () => void bare.push(await bareResumeOnce(bench)),
    async () => void ours.push(await submitOnce(bench)),
  ]);
  return [
    {
      what: 'submit → model request p50',
      against: 'bare update → activity',
      reference: quantile(bare, 0.5),
      ours: quantile(ours, 0.5),
      unit: 'ms',
    },
  ];
};
