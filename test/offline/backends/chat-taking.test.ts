/** The model is asked while the run is being taken over; nothing of its answer passes before it is. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Backend } from '../../../protocol/ports/backend.ts';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import { StoreError } from '../../../protocol/ports/store-error.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { Database } from '../../../store/database.ts';
import { storeOn } from '../../../store/index.ts';
import { migrate, readMigrations } from '../../../store/migrate.ts';
import { openPglite } from '../../../store/pglite.ts';
import { fakeContext } from '../../support/backend-context.ts';
import { chatOnServer } from '../../support/chat-backend.ts';
import { refuses, says } from '../../support/chat-server.ts';
import { deferred } from '../../support/deferred.ts';
import { hang, json, scriptedHttp, type ScriptedHttp } from '../../support/scripted-http.ts';
import { createRequest, eventNames, image, startedRun } from '../../support/store.ts';

const T = 'tenant';
const NOW = 1_800_000_000_000;

let store: Store;
let server: ScriptedHttp;
let backend: Backend & { dispose(): Promise<void> };
/** Runs once, after the worker has read a run and before it takes the run over. */
let meanwhile: (() => Promise<unknown>) | null = null;

beforeAll(async () => {
  const db = await openPglite({ memory: true, image: await image() });
  await migrate(db, await readMigrations());
  store = storeOn({
    ...db,
    query: async <Row>(...args: Parameters<Database['query']>) => {
      const rows = await db.query<Row>(...args);
      const act = args[2] === 'look-run' ? meanwhile : null;
      if (act !== null) {
        meanwhile = null;
        await act();
      }
      return rows;
    },
    transaction: (body) => db.transaction(body),
  });
}, 60_000);
afterAll(() => store.close());
beforeEach(async () => {
  server = await scriptedHttp();
});
afterEach(async () => {
  await backend.dispose();
  await server.close();
  if (server.overrun > 0) throw new Error(`${server.overrun} requests beyond the script`);
});

/** A backend over the store with some of it exchanged, and a run to carry out. */
const opened = async (exchanged: Partial<Store> = {}) => {
  backend = chatOnServer({
    store: { ...store, ...exchanged },
    baseUrl: `${server.url}/v1`,
    flushMs: 1,
  });
  const run = await startedRun(store, T, NOW);
  return { ...run, request: createRequest(run, NOW) };
};
const context = () => fakeContext({ now: () => NOW + 1000 });

const said = async (threadId: string): Promise<string[]> => {
  const page = await store.listMessages(T, threadId, { limit: 100, order: 'asc' });
  return page.data.map(({ content }) =>
    content.map((part) => (part.type === 'text' ? part.text.value : '?')).join('|'),
  );
};

test('the model is asked before the run is taken, and its answer is shown after', async () => {
  const order: string[] = [];
  const asked = deferred();
  const run = await opened({
    claim: async (...args) => {
      const claim = await store.claim(...args);
      if (claim?.taken === undefined) throw new Error('not the short way');
      const taken = claim.taken;
      const later = async (): Promise<boolean> => {
        await asked.promise;
        // By way of the same server, so that the answer is here before.
        await (await fetch(server.url)).text();
        const held = await taken;
        order.push('taken');
        return held;
      };
      return { ...claim, taken: later() };
    },
    openMessage: async (...args) => {
      order.push('shown');
      return await store.openMessage(...args);
    },
  });
  server.script.push(async (request, socket) => {
    order.push('asked');
    await says(['Hello'])(request, socket);
    asked.resolve();
  }, json({}));
  expect(await backend.create(run.request, context())).toMatchObject({ status: 'completed' });
  expect(order).toEqual(['asked', 'taken', 'shown']);
});

test('a run that another writer changed meanwhile: that answer is dropped unseen, and the model asked again', async () => {
  const wanted: (number | undefined)[] = [];
  const run = await opened({
    claim: (runId, now, contextItems) => {
      wanted.push(contextItems);
      return store.claim(runId, now, contextItems);
    },
  });
  server.script.push(says(['stale']), says(['fresh']));
  meanwhile = () => store.updateRun(T, run.threadId, run.runId, { metadata: { changed: 'yes' } });
  expect(await backend.create(run.request, context())).toMatchObject({ status: 'completed' });
  expect(await said(run.threadId)).toEqual(['Hello', 'fresh']);
  expect(server.requests).toHaveLength(2);
  // The second time the row is held: nobody can be faster again.
  expect(wanted).toEqual([2_000, undefined]);
  const names = await eventNames(store, run.runId);
  expect(names.filter((name) => name === 'thread.message.created')).toHaveLength(1);
  expect(names.filter((name) => name === 'thread.run.in_progress')).toHaveLength(1);
});

test('a refusal of the model’s server says nothing about a run that was not taken', async () => {
  const refused = deferred();
  const run = await opened({
    claim: async (...args) => {
      const claim = await store.claim(...args);
      if (claim?.taken === undefined) return claim;
      const { taken } = claim;
      return { ...claim, taken: refused.promise.then(() => taken) };
    },
  });
  server.script.push(refuses(400, 'bad request'), says(['fresh']));
  meanwhile = () => store.updateRun(T, run.threadId, run.runId, { metadata: { changed: 'yes' } });
  const ctx = { ...context(), observe: () => refused.resolve() };
  expect(await backend.create(run.request, ctx)).toMatchObject({ status: 'completed' });
  expect(await said(run.threadId)).toEqual(['Hello', 'fresh']);
});

test('a run that was cancelled meanwhile is closed, also when the model never answers', async () => {
  const run = await opened();
  server.script.push(hang);
  meanwhile = () => store.markCancelling(T, run.threadId, run.runId, NOW);
  expect(await backend.create(run.request, context())).toMatchObject({ status: 'cancelled' });
  expect(await said(run.threadId)).toEqual(['Hello']);
  expect(server.requests.length).toBeLessThanOrEqual(1);
});

test('a database that goes away meanwhile ends the attempt, to be tried again; the answer is given up', async () => {
  const run = await opened({
    claim: async (...args) => {
      const claim = await store.claim(...args);
      if (claim === null) return null;
      const away = async (): Promise<boolean> => {
        await claim.taken;
        throw new StoreError('unavailable', "The database can't be reached.");
      };
      return { ...claim, taken: away() };
    },
  });
  server.script.push(hang);
  await expect(backend.create(run.request, context())).rejects.toMatchObject({
    type: FAILURES.backendUnavailable,
    retryable: true,
  });
  expect(await said(run.threadId)).toEqual(['Hello']);
});

test.each([
  ['before the model has answered', false],
  ['after it has', true],
])('an attempt that is cancelled meanwhile ends as such, %s', async (_, answered) => {
  const never = deferred<boolean>();
  const ctx = context();
  const run = await opened({
    claim: async (...args) => {
      const claim = await store.claim(...args);
      return claim === null ? null : { ...claim, taken: never.promise };
    },
  });
  const reason = new Error('cancelled by Temporal');
  server.script.push(async (asked, socket) => {
    if (answered) await says(['too soon'])(asked, socket);
    // By way of the same server, so that the answer is here before.
    await (await fetch(server.url)).text();
    ctx.abort(reason);
  }, json({}));
  await expect(backend.create(run.request, ctx)).rejects.toBe(reason);
  expect(await said(run.threadId)).toEqual(['Hello']);
});
