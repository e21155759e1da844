/** What a reconciling pass asks of Temporal, and that one process at a time does it. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { Workflows } from '../../../service/index.ts';
import { reconcile } from '../../../service/reconciler.ts';
import { memoryStore, startedRun } from '../../support/store.ts';
import { workflowsThat } from '../../support/workflows-that.ts';

const NOW = 1_800_000_000_000;
const T = 'tenant';

const ownStore = async (): Promise<Store> => {
  const own = await memoryStore();
  onTestFinished(() => own.close());
  return own;
};
const waiting = async (own: Store, count: number): Promise<string[]> => {
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const run = await startedRun(own, T, NOW);
    await own.claim(run.runId, NOW);
    ids.push(run.runId);
  }
  return ids;
};
/** Counts requests to Temporal. */
const counted = (more: Partial<Workflows> = {}) => {
  const asked = { looks: 0, lists: 0 };
  const workflows = workflowsThat({
    look: async () => {
      asked.looks += 1;
      return 'running';
    },
    ...more,
  });
  const count =
    <In, Out>(call: (value: In) => Promise<Out>) =>
    async (value: In): Promise<Out> => {
      asked.lists += 1;
      return await call(value);
    };
  return {
    asked,
    workflows: {
      ...workflows,
      running: count((ids: readonly string[]) => workflows.running(ids)),
      brokenOffSince: count((since: number) => workflows.brokenOffSince(since)),
    },
  };
};

describe('the cost of a pass', () => {
  test('is two list requests, however many runs wait', async () => {
    const own = await ownStore();
    await waiting(own, 5);
    const { asked, workflows } = counted();
    const options = { store: own, workflows, now: () => NOW + 60_000, pageSize: 4 };
    await reconcile(options);
    expect(asked).toEqual({ looks: 0, lists: 2 });
    // Four at a time: the second pass ends the sweep, the third begins anew.
    const pages: number[] = [];
    for (let pass = 0; pass < 3; pass += 1) {
      const running = async (runIds: readonly string[]) => {
        pages.push(runIds.length);
        return new Set(runIds);
      };
      await reconcile({ ...options, workflows: { ...workflows, running } });
    }
    expect(pages).toEqual([1, 4, 1]);
  });

  test('does not delay the end of a run whose workflow was terminated, wherever the sweep stands', async () => {
    const own = await ownStore();
    const ids = await waiting(own, 3);
    const [first, second] = ids as [string, string];
    const since: number[] = [];
    const { workflows } = counted({
      look: async (runId) => (runId === first ? { ended: 'TERMINATED' } : 'running'),
      brokenOffSince: async (time) => {
        since.push(time);
        return [first, 'run_of_somebody_else'];
      },
    });
    const counts = await reconcile({ store: own, workflows, now: () => NOW + 60_000, since: NOW + 30_000 });
    expect(counts).toMatchObject({ close: 1 });
    // Temporal's list is behind: a minute and the grace of young rows are asked for again.
    expect(since).toEqual([NOW + 30_000 - 75_000]);
    expect((await own.findRun(first))?.run.status).toBe('failed');
    expect((await own.findRun(second))?.run.status).toBe('in_progress');
  });

  test('grows with the number of lost runs: a sweep that repairs goes on to the end', async () => {
    const own = await ownStore();
    await waiting(own, 10);
    const { workflows } = counted({
      look: async () => ({ ended: 'TERMINATED' }),
      running: async () => new Set(),
    });
    const counts = await reconcile({ store: own, workflows, now: () => NOW + 60_000, pageSize: 4 });
    expect(counts.close).toBe(10);
  });

  test('is paid by one process at a time', async () => {
    const store = await ownStore();
    expect(await store.claimPass('test', 60_000)).toEqual({ previous: null });
    const claims = await Promise.all([1, 2, 3].map(() => store.claimPass('test', 60_000)));
    expect(claims).toEqual([null, null, null]);
    const [one, two] = await Promise.all([store.claimPass('test', 0), store.claimPass('other', 60_000)]);
    expect(one?.previous).toBeGreaterThan(0);
    expect(two).toEqual({ previous: null });
  });
});
