/** A run that is kept between reads: shown only in the version that the database has, to whom it belongs. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../../store/database.ts';
import { runReader } from '../../../store/read-run.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { memoryStore, startedRun } from '../../support/store.ts';

const NOW = 1_800_000_000_000;
const T = 'tenant';
let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

test('an unchanged run is not made anew, and every change of it shows at the next read', async () => {
  const { threadId, runId } = await startedRun(store, T, NOW);
  const read = () => store.getRun(T, threadId, runId);
  const first = await read();
  expect(await read()).toBe(first);
  // None of these tells the reader anything: the row does.
  await store.updateRun(T, threadId, runId, { metadata: { a: 'b' } });
  expect((await read()).metadata).toEqual({ a: 'b' });
  await store.claim(runId, NOW);
  expect((await read()).status).toBe('in_progress');
  await store.closeRun(runId, { kind: 'cancel' }, NOW);
  const last = await read();
  expect(last.status).toBe('cancelled');
  expect(await read()).toBe(last);
  await store.deleteThread(T, threadId);
  await expect(read()).rejects.toMatchObject({ status: 404 });
});

test('reads of one statement may be of changed, unchanged and unknown runs', async () => {
  const runs = await Promise.all([1, 2, 3].map(() => startedRun(store, T, NOW)));
  const all = () =>
    Promise.allSettled([
      ...runs.map(({ threadId, runId }) => store.getRun(T, threadId, runId)),
      store.getRun(T, 'thread_none', 'run_none'),
    ]);
  const before = await all();
  const changed = runs[1];
  if (changed !== undefined) await store.claim(changed.runId, NOW);
  const after = await all();
  expect(after.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
  expect(after[0]).toEqual(before[0]);
  expect(after[2]).toEqual(before[2]);
  expect(after[1]).toMatchObject({ value: { status: 'in_progress' } });
});

test('a kept run is shown neither to another tenant nor under another thread', async () => {
  const { threadId, runId } = await startedRun(store, T, NOW);
  await store.getRun(T, threadId, runId);
  await expect(store.getRun('other', threadId, runId)).rejects.toMatchObject({ status: 404 });
  await expect(store.getRun(T, 'thread_other', runId)).rejects.toMatchObject({ status: 404 });
});

test('nothing is shown without a statement that was sent for it', async () => {
  const { threadId, runId } = await startedRun(store, T, NOW);
  let up = true;
  let asked = 0;
  // The row as the real store shows it, in a version that never changes.
  const row = { id: runId, tenant: T, thread_id: threadId };
  const { metadata, ...config } = await store.getRun(T, threadId, runId);
  const db = {
    query: async (_text: string, [, known]: [string[], string[]]) => {
      asked += 1;
      if (!up) throw new Error('away');
      const whole = { ...row, metadata, config, status: 'queued', created_at: NOW, started_at: null };
      const found = { asked: runId, version: '7', row: { ...whole, expires_at: null } };
      return known[0] === '7' ? [] : [found];
    },
  } as unknown as Database;
  const read = runReader(db);
  const first = await read(T, threadId, runId);
  expect(await read(T, threadId, runId)).toBe(first);
  expect(asked).toBe(2);
  up = false;
  await expect(read(T, threadId, runId)).rejects.toThrow('away');
});
