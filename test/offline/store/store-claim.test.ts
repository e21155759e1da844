/** A start and a claim. The usual claim is one read and one write; it leaves what the transaction leaves. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mintId } from '../../../protocol/wire/ids.ts';
import type { RunParams } from '../../../protocol/ports/runs-service.ts';
import type { NewRun, Store } from '../../../protocol/ports/run-store.ts';
import type { Database } from '../../../store/database.ts';
import { claimStore } from '../../../store/claim-run.ts';
import { migrate, readMigrations } from '../../../store/migrate.ts';
import { openPglite } from '../../../store/pglite.ts';
import { storeOn } from '../../../store/index.ts';
import { automatic, external, image, newRun } from '../../support/store.ts';

const NOW = 1_800_000_000_000;
const T = 'tenant';
let db: Database;
let store: Store;
/** How many transactions were begun: the usual claim needs none. */
let transactions = 0;

beforeAll(async () => {
  const real = await openPglite({ memory: true, image: await image() });
  db = {
    ...real,
    query: (text, params, name) => real.query(text, params, name),
    transaction: (body) => {
      transactions += 1;
      return real.transaction(body);
    },
  };
  await migrate(db, await readMigrations());
  store = storeOn(db);
}, 60_000);
afterAll(() => db.close());

const counted = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
  const before = transactions;
  return [await work(), transactions - before];
};

const fresh = async () => {
  const assistant = await store.createAssistant(T, { model: 'm', instructions: 'Be brief.' }, NOW);
  const thread = await store.createThread(T, { messages: [{ role: 'user', content: 'hi' }] }, NOW);
  return { assistant_id: assistant.id, thread: { id: thread.id } };
};
const wish = (thread: NewRun['thread'], params: RunParams): NewRun =>
  newRun({ runId: mintId('run'), thread, params, now: NOW });

const PARAMS = {
  additional_messages: [
    { role: 'user', content: 'one\u0000' },
    { role: 'assistant', content: 'two', metadata: { a: 'b' } },
  ],
  metadata: { c: 'd' },
  instructions: 'Other.',
} satisfies Partial<RunParams>;

describe('a start', () => {
  test('by an assistant that has changed since uses it as it is now, and one that is gone is not found', async () => {
    const { assistant_id, thread } = await fresh();
    const first = await store.createRun(T, wish({ create: {} }, { assistant_id }));
    expect(first.run.instructions).toBe('Be brief.');
    await store.updateAssistant(T, assistant_id, { instructions: 'Be long.' });
    const second = await store.createRun(T, wish({ create: {} }, { assistant_id }));
    expect(second.run.instructions).toBe('Be long.');
    await store.deleteAssistant(T, assistant_id);
    await expect(store.createRun(T, wish(thread, { assistant_id }))).rejects.toMatchObject({ status: 404 });
    // And nothing of it is there.
    expect((await store.listRuns(T, thread.id, { limit: 1, order: 'asc' })).data).toEqual([]);
  });

  test('is refused while a run is live, by an unknown thread, and by an assistant of another tenant', async () => {
    const { assistant_id, thread } = await fresh();
    const live = await store.createRun(T, wish(thread, { assistant_id }));
    const again = store.createRun(T, wish(thread, { assistant_id, ...PARAMS }));
    await expect(again).rejects.toMatchObject({
      status: 400,
      message: `Thread ${thread.id} already has an active run ${live.run.id}.`,
    });
    expect((await store.listMessages(T, thread.id, { limit: 10, order: 'asc' })).data).toHaveLength(1);
    await expect(store.createRun(T, wish({ id: 'thread_none' }, { assistant_id }))).rejects.toMatchObject({
      status: 404,
    });
    await expect(store.createRun('other', wish(thread, { assistant_id }))).rejects.toMatchObject({
      status: 404,
      message: `No assistant found with id '${assistant_id}'.`,
    });
  });
});

const claim = async (runId: string, items?: number) => {
  const claimed = await claimStore(db).claim(runId, NOW + 5, items);
  expect(await claimed?.taken).not.toBe(false);
  return claimed;
};
const readContext = (threadId: string) => claimStore(db).readContext(threadId, 100);
const newest = async (runId: string) =>
  (await store.readEvents(runId, { after: 0, limit: 100, gaps: 'refuse' })).events.at(-1);

const started = async () => {
  const { assistant_id, thread } = await fresh();
  return (await store.createRun(T, wish(thread, { assistant_id }))).run;
};

describe('a claim', () => {
  test('of a queued run gives the same by either way, and the thread with it by the short one', async () => {
    const [one, two] = [await started(), await started()];
    const [long, begun] = await counted(() => claim(one.id));
    const [short, none] = await counted(() => claim(two.id, 100));
    expect([begun, none]).toEqual([1, 0]);
    expect(long?.context).toBeUndefined();
    expect(short?.context).toEqual(await readContext(two.thread_id));
    expect(short).toMatchObject({ next: 'turn', lease: { runId: two.id, epoch: 1 } });
    expect({ ...short?.state, runId: '', threadId: '', assistantId: '' }).toEqual({
      ...long?.state,
      runId: '',
      threadId: '',
      assistantId: '',
    });
    expect((await newest(two.id))?.event).toBe('thread.run.in_progress');
    expect((await newest(two.id))?.seq).toBe((await newest(one.id))?.seq);
    expect((await store.getRun(T, two.thread_id, two.id)).started_at).toBe(Math.floor((NOW + 5) / 1000));
  });

  test.each([
    ['of outputs from outside', [external('call_1', 'a')]],
    ['of a tool on the worker', [automatic('call_1', 'a')]],
  ])('after a round %s has the round in its context', async (_, calls) => {
    const run = await started();
    const first = await claim(run.id, 100);
    if (first === null) throw new Error('no row');
    const outcome = { kind: 'calls' as const, calls, expiresAt: null };
    await store.settleTurn(first.lease, { outcome, message: null, usage: null }, NOW);
    expect((await claim(run.id, 100))?.next).toBe('wait');
    await store.acceptOutputs(run.id, [{ tool_call_id: 'call_1', output: 'x\u0000' }], {
      now: NOW,
      by: null,
    });
    const [next, begun] = await counted(() => claim(run.id, 100));
    expect(begun).toBe(0);
    expect(next).toMatchObject({ next: 'turn', lease: { epoch: 3 }, state: { status: 'in_progress' } });
    expect(next?.context).toEqual(await readContext(run.thread_id));
    expect(next?.context?.at(-1)).toMatchObject({ kind: 'round', outputs: { call_1: 'x\u0000' } });
  });

  test('of a run whose attempt died in its turn closes what that one began', async () => {
    const run = await started();
    const first = await claim(run.id, 100);
    if (first === null) throw new Error('no row');
    const { messageId } = await store.openMessage(first.lease, NOW);
    const [second, begun] = await counted(() => claim(run.id, 100));
    expect(begun).toBe(1);
    expect(second?.lease.epoch).toBe(2);
    expect((await store.getMessage(T, run.thread_id, messageId)).status).toBe('incomplete');
  });

  test('of runs that have ended, are to be cancelled or are not there is left to the long way', async () => {
    const run = await started();
    await store.markCancelling(T, run.thread_id, run.id, NOW);
    expect((await claim(run.id, 100))?.next).toBe('cancel');
    await store.closeRun(run.id, { kind: 'cancel' }, NOW);
    expect((await claim(run.id, 100))?.next).toBe('ended');
    expect(await claim('run_none', 100)).toBeNull();
  });

  test('does nothing to a run that changed after it was looked at, says so, and the next one goes the long way', async () => {
    const run = await started();
    let looked = false;
    const slow = claimStore({
      ...db,
      query: async <Row>(...args: Parameters<Database['query']>) => {
        const rows = await db.query<Row>(...args);
        if (args[2] === 'look-run') {
          looked = true;
          await store.markCancelling(T, run.thread_id, run.id, NOW);
        }
        return rows;
      },
    });
    const claimed = await slow.claim(run.id, NOW, 100);
    expect(looked).toBe(true);
    expect(await claimed?.taken).toBe(false);
    expect(await slow.claim(run.id, NOW)).toMatchObject({ next: 'cancel', lease: { epoch: 1 } });
    const { events } = await store.readEvents(run.id, { after: 0, limit: 10, gaps: 'refuse' });
    expect(events.map(({ event }) => event)).not.toContain('thread.run.in_progress');
  });
});
