/** What the store promises between processes, on a real PostgreSQL: locks, compare-and-set, word of events, outages. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StoreError } from '../../../protocol/ports/store-error.ts';
import type { Claim } from '../../../protocol/ports/turn-store.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { openStore } from '../../../store/index.ts';
import { freshDatabase, startPostgres, type FreshDatabase } from '../../support/postgres.ts';
import { external, newRun, startedRun } from '../../support/store.ts';

const T = 'tenant';
const NOW = 1_800_000_000_000;

/** As a worker does it: when somebody was faster, it claims again, the long way. */
const claimed = async (store: Store, runId: string, contextItems?: number): Promise<Claim | null> => {
  const claim = await store.claim(runId, NOW, contextItems);
  return (await claim?.taken) === false ? store.claim(runId, NOW) : claim;
};

let database: FreshDatabase;
let here: Store;
let there: Store;

beforeAll(async () => {
  database = await freshDatabase();
  // All of them find an empty database at the same time.
  const stores = await Promise.all(Array.from({ length: 4 }, () => openStore({ databaseUrl: database.url })));
  const [first, second, ...rest] = stores;
  if (first === undefined || second === undefined) throw new Error('no store');
  here = first;
  there = second;
  await Promise.all(rest.map((store) => store.close()));
});
afterAll(async () => {
  await here.close();
  await there.close();
  await database.drop();
});

const outcomes = async <Value>(tries: Promise<Value>[]) => {
  const settled = await Promise.allSettled(tries);
  return {
    done: settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
    failed: settled.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : [])),
  };
};

const waitingRun = async () => {
  const run = await startedRun(here, T, NOW);
  const claim = await here.claim(run.runId, NOW);
  if (claim === null) throw new Error('no row');
  const calls = [external('call_1', 'a'), external('call_2', 'b')];
  await here.settleTurn(
    claim.lease,
    { outcome: { kind: 'calls', calls, expiresAt: null }, message: null, usage: null },
    NOW,
  );
  return run;
};

describe('many at once', () => {
  test('of concurrent starts on one thread, one succeeds', async () => {
    const assistant = await here.createAssistant(T, { model: 'm' }, NOW);
    for (let repeat = 0; repeat < 10; repeat += 1) {
      const thread = await here.createThread(T, {}, NOW);
      const { done, failed } = await outcomes(
        Array.from({ length: 8 }, (_, index) =>
          (index % 2 === 0 ? here : there).createRun(
            T,
            newRun({
              thread: { id: thread.id },
              params: {
                assistant_id: assistant.id,
                additional_messages: [{ role: 'user', content: `${index}` }],
              },
              now: NOW,
            }),
          ),
        ),
      );
      expect(done).toHaveLength(1);
      for (const error of failed)
        expect(error).toMatchObject({
          status: 400,
          message: `Thread ${thread.id} already has an active run ${done[0]?.run.id}.`,
        });
      const page = await here.listMessages(T, thread.id, { limit: 10, order: 'asc' });
      expect(page.data).toHaveLength(1);
    }
  });

  test('concurrent starts with one Idempotency-Key all get the same run', async () => {
    const assistant = await here.createAssistant(T, { model: 'm' }, NOW);
    for (const place of ['thread', 'new thread'] as const) {
      const thread = await here.createThread(T, {}, NOW);
      const created = await Promise.all(
        Array.from({ length: 6 }, (_, index) =>
          (index % 2 === 0 ? here : there).createRun(
            T,
            newRun({
              thread: place === 'thread' ? { id: thread.id } : { create: {} },
              params: { assistant_id: assistant.id },
              idempotency: { key: `key of ${place}`, request: 'r' },
              now: NOW,
            }),
          ),
        ),
      );
      expect(new Set(created.map(({ run }) => run.id)).size).toBe(1);
      expect(created.filter(({ existing }) => existing === null)).toHaveLength(1);
    }
  });

  test('of concurrent submits one is accepted; a different one changes nothing', async () => {
    for (let repeat = 0; repeat < 10; repeat += 1) {
      const { runId } = await waitingRun();
      const { done, failed } = await outcomes(
        Array.from({ length: 6 }, (_, index) =>
          (index % 2 === 0 ? here : there).acceptOutputs(
            runId,
            [
              { tool_call_id: 'call_1', output: `${index % 3}` },
              { tool_call_id: 'call_2', output: 'same' },
            ],
            { now: NOW, by: `req_${index}` },
          ),
        ),
      );
      expect(done.filter(({ result }) => result === 'accepted')).toHaveLength(1);
      expect(done.filter(({ result }) => result === 'repeated')).toHaveLength(1);
      expect(failed.every((error) => error instanceof StoreError && error.code === 'output_conflict')).toBe(
        true,
      );
      expect(failed).toHaveLength(4);
      const { events } = await here.readEvents(runId, { after: 0, limit: 100, gaps: 'refuse' });
      expect(events.filter(({ event }) => event === 'thread.run.queued')).toHaveLength(2);
    }
  });

  test('a message is either before the run or refused', async () => {
    const assistant = await here.createAssistant(T, { model: 'm' }, NOW);
    for (let repeat = 0; repeat < 10; repeat += 1) {
      const thread = await here.createThread(T, {}, NOW);
      const [run, ...messages] = await Promise.allSettled([
        here.createRun(
          T,
          newRun({ thread: { id: thread.id }, params: { assistant_id: assistant.id }, now: NOW }),
        ),
        ...Array.from({ length: 4 }, (_, index) =>
          there.createMessage(T, thread.id, { role: 'user', content: `${index}` }, NOW),
        ),
      ]);
      if (run.status === 'rejected') throw run.reason;
      const claim = await here.claim(run.value.run.id, NOW, 100);
      if (claim === null) throw new Error('no row');
      const seen = await here.readContext(thread.id, 100);
      expect(claim.context).toEqual(seen);
      const written = messages.filter(({ status }) => status === 'fulfilled');
      expect(seen).toHaveLength(written.length);
      for (const one of messages) expect(one.status === 'fulfilled' || one.reason.status === 400).toBe(true);
    }
  });

  test('a run that one process keeps is read by it as another one has just left it, hundreds of times', async () => {
    const { threadId, runId } = await startedRun(here, T, NOW);
    const read = () => here.getRun(T, threadId, runId);
    for (let round = 0; round < 200; round += 1) {
      // Readers that keep it current in between, so that there is always something old to show.
      const others = [read(), read()];
      const metadata = { round: String(round) };
      await there.updateRun(T, threadId, runId, { metadata });
      expect((await read()).metadata).toEqual(metadata);
      await Promise.all(others);
    }
    await there.closeRun(runId, { kind: 'cancel' }, NOW);
    expect((await read()).status).toBe('cancelled');
  });

  test('concurrent claims each get a lease, and only the last one’s is valid', async () => {
    const { runId } = await startedRun(here, T, NOW);
    const claims = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        // Some the short way, some the long one.
        claimed(index % 2 === 0 ? here : there, runId, index % 3 === 0 ? undefined : 100),
      ),
    );
    const epochs = claims.map((claim) => claim?.lease.epoch ?? 0).toSorted((a, b) => a - b);
    expect(epochs).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const { done, failed } = await outcomes(
      claims.map((claim) => here.openMessage(claim?.lease ?? { runId, epoch: 0 }, NOW)),
    );
    expect(done).toHaveLength(1);
    expect(failed).toHaveLength(7);
    const { events } = await here.readEvents(runId, { after: 0, limit: 100, gaps: 'refuse' });
    expect(events.filter(({ event }) => event === 'thread.run.in_progress')).toHaveLength(1);
  });
});

const delta = (value: string) => ({
  event: 'thread.message.delta' as const,
  data: {
    id: 'msg',
    object: 'thread.message.delta' as const,
    delta: { content: [{ index: 0, type: 'text' as const, text: { value } }] },
  },
});
const untilHeard = async (store: Store): Promise<void> => {
  while (!store.receivesNotifications())
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
};

describe('word of events', () => {
  test('reaches another process, and numbers stay without gaps with several writers', async () => {
    await untilHeard(there);
    const { runId } = await startedRun(here, T, NOW);
    const claim = await here.claim(runId, NOW);
    if (claim === null) throw new Error('no row');
    const watch = there.watchEvents(runId);
    const { signal } = new AbortController();
    let after = 0;
    const reader = (async () => {
      for (;;) {
        const batch = await there.readEvents(runId, { after, limit: 100, gaps: 'refuse' });
        after = batch.events.at(-1)?.seq ?? after;
        if (batch.ended) return;
        // Far longer than the test may take: only word ends this wait.
        if (batch.events.length === 0) await watch.wait(after, { timeoutMs: 2 ** 30, signal });
      }
    })();
    for (let index = 0; index < 20; index += 1) await here.appendDeltas(claim.lease, [delta(`${index}`)]);
    await here.closeRun(runId, { kind: 'cancel' }, NOW);
    await reader;
    watch.close();
    expect(after).toBe(3 + 20 + 2);
  });

  test('a process without readers does not listen, and others are notified of its writes', async () => {
    const own = await freshDatabase();
    const writer = await openStore({ databaseUrl: own.url, listens: false });
    const reader = await openStore({ databaseUrl: own.url });
    try {
      await untilHeard(reader);
      expect(writer.receivesNotifications()).toBe(false);
      const { runId } = await startedRun(writer, T, NOW);
      const watch = reader.watchEvents(runId);
      const { signal } = new AbortController();
      const heard = watch.wait(2, { timeoutMs: 2 ** 30, signal });
      await writer.claim(runId, NOW);
      await heard;
      watch.close();
    } finally {
      await Promise.all([writer.close(), reader.close()]);
      await own.drop();
    }
  });

  test('a process that is killed in the middle of a change leaves nothing of it', async () => {
    const { runId, threadId } = await startedRun(here, T, NOW);
    const script = `
      const { Client } = require('pg');
      const client = new Client({ connectionString: ${JSON.stringify(database.url)} });
      (async () => {
        await client.connect();
        await client.query('begin');
        await client.query("select * from runs where id = '${runId}' for update");
        await client.query("update runs set status = 'completed' where id = '${runId}'");
        process.stdout.write('locked');
        setInterval(() => {}, 1000);
      })();`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    const blocked = here.claim(runId, NOW);
    child.kill('SIGKILL');
    expect((await blocked)?.next).toBe('turn');
    expect((await here.getRun(T, threadId, runId)).status).toBe('in_progress');
  });
});

describe('a database that dies', () => {
  test('is told as unavailable, then works again without a restart, listener included', async () => {
    const server = await startPostgres();
    const store = await openStore({ databaseUrl: server.url });
    try {
      const { runId, threadId } = await startedRun(store, T, NOW);
      const claim = await store.claim(runId, NOW);
      if (claim === null) throw new Error('no row');
      await server.kill();
      const failures = await outcomes<unknown>([
        store.ping(),
        store.getRun(T, threadId, runId),
        store.openMessage(claim.lease, NOW),
        store.createThread(T, {}, NOW),
      ]);
      expect(failures.failed).toHaveLength(4);
      for (const error of failures.failed) expect(error).toMatchObject({ code: 'unavailable' });
      await server.restart();
      expect((await store.getRun(T, threadId, runId)).status).toBe('in_progress');
      await store.openMessage(claim.lease, NOW);
      while (!store.receivesNotifications())
        await new Promise((resolve) => {
          setTimeout(resolve, 20);
        });
    } finally {
      await store.close();
      await server.remove();
    }
  });

  test('that is not there at all is told at once', async () => {
    await expect(openStore({ databaseUrl: 'postgres://x@127.0.0.1:1/x' })).rejects.toMatchObject({
      code: 'unavailable',
    });
  });
});
