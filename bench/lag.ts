/** How late a backend adapter notices that the server changed a run's status: wall clocks of one machine compared. */
import type { Pool } from 'undici';
import type { Backend, BackendContext } from '../protocol/ports/backend.ts';
import { mintId } from '../protocol/wire/ids.ts';

export interface Lag {
  how: 'auto' | 'never';
  /** Age of the run when its status changed, ms. */
  ageMs: number;
  lagMs: number;
}

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const context = (): BackendContext => ({
  signal: new AbortController().signal,
  attempt: 1,
  heartbeat: () => {},
  previous: null,
  fence: () => {},
  now: () => Date.now(),
  sleep: (ms) =>
    new Promise((resolve) => {
      setTimeout(resolve, ms);
    }),
  plan: (calls) =>
    calls.map((call) => ({
      ...call,
      plan: { kind: 'external', wait: { onDeadline: 'fail', answerWithinMs: null } },
    })),
  log: quiet,
});

/** One run whose status changes after 0.5 to 4.5 s. */
export const lagOfOneRun = async (
  backend: Backend,
  how: Lag['how'],
  pool: Pool,
  prefix: string,
  index: number,
  stampsOf: (pool: Pool, prefix: string, thread: string, run: string) => Promise<{ changedAt: number }>,
): Promise<Lag> => {
  const delay = 500 + ((index * 977) % 4000);
  const threadId = `thread_lag_${how}_${index}`;
  const began = Date.now();
  const settled = await backend.create(
    {
      runId: mintId('run'),
      threadId,
      assistantId: `asst_k1_r1_d${delay}`,
      params: {},
      busy: 'fail',
      startedAt: began,
      expiresAt: null,
    },
    context(),
  );
  const seen = Date.now();
  const { changedAt } = await stampsOf(pool, prefix, threadId, settled.run?.backendRunId ?? '');
  return { how, ageMs: changedAt - began, lagMs: seen - changedAt };
};
