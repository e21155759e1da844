/** A run once it is no longer polled: what wakes the wait, and what does not. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { awaitRun, type AwaitRunOptions } from '../../../service/await-run.ts';
import type { RunLease } from '../../../protocol/ports/turn-store.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { deferred } from '../../support/deferred.ts';
import { external, memoryStore, startedRun } from '../../support/store.ts';

const NOW = 1_800_000_000_000;
const TENANT = 'tenant';
let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

const claimed = async (): Promise<{ runId: string; threadId: string; lease: RunLease }> => {
  const run = await startedRun(store, TENANT, NOW);
  const claim = await store.claim(run.runId, NOW);
  if (claim === null) throw new Error('no row');
  return { ...run, lease: claim.lease };
};

/** The wait on a run, with the number of its reads. */
const waitOn = (
  run: { runId: string; threadId: string },
  options: Partial<AwaitRunOptions> = {},
  over: Pick<Store, 'watchEvents' | 'receivesNotifications'> = store,
) => {
  let reads = 0;
  const first = deferred();
  const read = async () => {
    const found = await store.getRun(TENANT, run.threadId, run.runId);
    reads += 1;
    first.resolve();
    return found;
  };
  const signal = new AbortController().signal;
  const waited = awaitRun(over, run.runId, read, { timeoutMs: 60_000, signal, ...options });
  return { waited, first: first.promise, reads: () => reads };
};

test('it wakes when the run comes to wait for its caller', async () => {
  const run = await claimed();
  const { waited, first, reads } = waitOn(run);
  await first;
  const outcome = { kind: 'calls' as const, calls: [external('call_1', 'a')], expiresAt: null };
  await store.settleTurn(run.lease, { outcome, message: null, usage: null }, NOW);
  expect((await waited).status).toBe('requires_action');
  expect(reads()).toBe(2);
});

test('deltas do not wake it', async () => {
  const run = await claimed();
  const { messageId } = await store.openMessage(run.lease, NOW);
  const { waited, first, reads } = waitOn(run);
  await first;
  for (let count = 0; count < 20; count += 1)
    await store.appendDeltas(run.lease, [
      {
        event: 'thread.message.delta',
        data: {
          id: messageId,
          object: 'thread.message.delta',
          delta: { content: [{ index: 0, type: 'text', text: { value: 'x' } }] },
        },
      },
    ]);
  expect(reads()).toBe(1);
  await store.closeRun(run.runId, { kind: 'cancel' }, NOW);
  expect((await waited).status).toBe('cancelled');
  expect(reads()).toBe(2);
});

test('a change between the watch and the first read is not missed', async () => {
  const run = await claimed();
  const { waited } = waitOn(
    run,
    {},
    {
      watchEvents: (runId) => store.watchEvents(runId),
      receivesNotifications: () => true,
    },
  );
  await store.closeRun(run.runId, { kind: 'cancel' }, NOW);
  expect((await waited).status).toBe('cancelled');
});

test('while no notifications arrive it reads by the clock', async () => {
  const run = await claimed();
  const silent = {
    watchEvents: (): ReturnType<Store['watchEvents']> => ({
      wait: () => Promise.reject(new Error('not used')),
      nextChange: ({ timeoutMs }) => new Promise((resolve) => setTimeout(resolve, timeoutMs)),
      close: () => undefined,
    }),
    receivesNotifications: () => false,
  };
  const { waited, first } = waitOn(run, { pollMs: 1 }, silent);
  await first;
  await store.closeRun(run.runId, { kind: 'cancel' }, NOW);
  expect((await waited).status).toBe('cancelled');
});

test.each(['timeout', 'abort'] as const)(
  'it ends with the run as it is on %s, and watches no more',
  async (how) => {
    const run = await claimed();
    const abort = new AbortController();
    let watching = 0;
    const counted = {
      watchEvents: (runId: string) => {
        const watch = store.watchEvents(runId);
        watching += 1;
        return {
          ...watch,
          close: () => {
            watching -= 1;
            watch.close();
          },
        };
      },
      receivesNotifications: () => true,
    };
    const { waited, first } = waitOn(
      run,
      { signal: abort.signal, timeoutMs: how === 'timeout' ? 5 : 60_000 },
      counted,
    );
    await first;
    if (how === 'abort') abort.abort();
    expect((await waited).status).toBe('in_progress');
    expect(watching).toBe(0);
  },
);

test('a run that may not be seen is refused', async () => {
  const run = await claimed();
  const waited = awaitRun(store, run.runId, () => store.getRun('other', run.threadId, run.runId), {
    timeoutMs: 60_000,
    signal: new AbortController().signal,
  });
  await expect(waited).rejects.toMatchObject({ status: 404 });
});
