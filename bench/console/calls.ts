/**
 * Calls that wait for a person: runs of a gated tool, followed over the API as a program does. Imported by the suite of the console
 * and by the suite of waiting runs.
 */
import type { Page } from '../../protocol/wire/objects.ts';
import type { Approval } from '../../protocol/wire/decisions.ts';
import type { Http } from '../server-http.ts';
import { freshKey, threadWith, type Bench } from '../server-latency.ts';
import { GATED_TOOL } from '../server-stage.ts';

export interface GatedRun {
  run: string;
  thread: string;
  /** Names the run's requests at the model server. */
  key: string;
}

/** Starts a run whose first turn makes one call of the gated tool; does not wait for it. */
export const startGated = async (bench: Bench): Promise<GatedRun> => {
  const key = freshKey();
  const thread = await threadWith(bench, key);
  const { id } = await bench.api.post<{ id: string }>(`/threads/${thread}/runs`, {
    assistant_id: bench.assistantId,
    model: 'zero_k1_t1_g0',
    tools: [GATED_TOOL],
    expires_in: 86_400,
  });
  return { run: id, thread, key };
};

const PAUSE_MS = 10;
const LONGEST_MS = 60_000;

/** The call of a run, as soon as the API lists it. `person`: a client with the role `approver`. */
export const waitingCall = async (person: Http, { thread, run }: GatedRun): Promise<Approval> => {
  const until = performance.now() + LONGEST_MS;
  while (performance.now() < until) {
    const { data } = JSON.parse(await person.get(`/approvals?thread_id=${thread}`)) as Page<Approval>;
    const call = data.find(({ run_id: of, status }) => of === run && status === 'waiting');
    if (call !== undefined) return call;
    await new Promise((resolve) => {
      setTimeout(resolve, PAUSE_MS);
    });
  }
  throw new Error(`No call of run ${JSON.stringify(run)} waited within ${LONGEST_MS / 1_000} s.`);
};
