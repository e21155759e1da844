import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PageQuery } from '../../../protocol/ports/runs-service.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { Page } from '../../../protocol/wire/objects.ts';
import { eventNames, memoryStore, newRun, startedRun } from '../../support/store.ts';

let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

const T = 'tenant';
const NOW = 1_800_000_000_000;

describe('assistants', () => {
  test('keep what they were given, show defaults for the rest, and change only what is named', async () => {
    const made = await store.createAssistant(T, { model: 'm', name: 'N', temperature: 0 }, NOW);
    expect(made).toEqual({
      id: made.id,
      object: 'assistant',
      created_at: NOW / 1000,
      name: 'N',
      description: null,
      model: 'm',
      instructions: null,
      tools: [],
      tool_resources: {},
      metadata: {},
      temperature: 0,
      top_p: 1,
      response_format: 'auto',
    });
    const changed = await store.updateAssistant(T, made.id, { name: null, metadata: { a: 'b' } });
    expect(changed).toEqual({ ...made, name: null, metadata: { a: 'b' } });
    expect(await store.getAssistant(T, made.id)).toEqual(changed);
    expect(await store.deleteAssistant(T, made.id)).toMatchObject({ deleted: true });
    await expect(store.getAssistant(T, made.id)).rejects.toMatchObject({ status: 404 });
  });
});

describe('text of any kind', () => {
  test('comes back as it was, NUL, lone surrogates and prototype keys included', async () => {
    const odd = 'a\u0000b\ud800c"\\\n__proto__😀';
    const thread = await store.createThread(
      T,
      { messages: [{ role: 'user', content: odd }], metadata: { __proto: odd } },
      NOW,
    );
    const page = await store.listMessages(T, thread.id, { limit: 1, order: 'asc' });
    expect(page.data[0]?.content).toEqual([{ type: 'text', text: { value: odd, annotations: [] } }]);
    expect((await store.getThread(T, thread.id)).metadata).toEqual({ __proto: odd });
    const { runId, threadId } = await startedRun(store, T, NOW, { assistant: { instructions: odd } });
    expect((await store.getRun(T, threadId, runId)).instructions).toBe(odd);
    const claim = await store.claim(runId, NOW);
    if (claim === null) throw new Error('no row');
    const { messageId } = await store.openMessage(claim.lease, NOW);
    await store.appendDeltas(claim.lease, [
      {
        event: 'thread.message.delta',
        data: {
          id: messageId,
          object: 'thread.message.delta',
          delta: { content: [{ index: 0, type: 'text', text: { value: odd } }] },
        },
      },
    ]);
    await store.closeRun(runId, { kind: 'cancel' }, NOW);
    expect((await store.getMessage(T, threadId, messageId)).content).toEqual([
      { type: 'text', text: { value: odd, annotations: [] } },
    ]);
  });
});

const ids = <T extends { id: string }>(page: Page<T>): string[] => page.data.map(({ id }) => id);

const thread = async () => {
  const { id } = await store.createThread(T, {}, NOW);
  const messages: string[] = [];
  for (let index = 0; index < 7; index += 1)
    messages.push((await store.createMessage(T, id, { role: 'user', content: `${index}` }, NOW)).id);
  return { id, messages };
};

describe('pages', () => {
  test.each(['asc', 'desc'] as const)(
    'walk all of it once, %s, although all times are equal',
    async (order) => {
      const { id, messages } = await thread();
      const expected = order === 'asc' ? messages : messages.toReversed();
      const seen: string[] = [];
      let query: PageQuery = { limit: 3, order };
      for (;;) {
        const page = await store.listMessages(T, id, query);
        seen.push(...ids(page));
        expect(page.first_id).toBe(page.data[0]?.id);
        expect(page.last_id).toBe(page.data.at(-1)?.id);
        if (!page.has_more) break;
        query = { ...query, after: page.last_id ?? '' };
      }
      expect(seen).toEqual(expected);
    },
  );

  test('before gives the page that ends at the cursor', async () => {
    const { id, messages } = await thread();
    const page = await store.listMessages(T, id, { limit: 2, order: 'asc', before: messages[4] ?? '' });
    expect(ids(page)).toEqual(messages.slice(2, 4));
    expect(page.has_more).toBe(true);
    const first = await store.listMessages(T, id, { limit: 5, order: 'asc', before: messages[2] ?? '' });
    expect(ids(first)).toEqual(messages.slice(0, 2));
    expect(first.has_more).toBe(false);
    const desc = await store.listMessages(T, id, { limit: 2, order: 'desc', before: messages[2] ?? '' });
    expect(ids(desc)).toEqual([messages[4], messages[3]]);
  });

  test('an unknown cursor, or one of another thread, is not found', async () => {
    const one = await thread();
    const other = await thread();
    await expect(
      store.listMessages(T, one.id, { limit: 2, order: 'asc', after: other.messages[0] ?? '' }),
    ).rejects.toMatchObject({ status: 404 });
  });

  test('an empty list has no ids', async () => {
    const { id } = await store.createThread(T, {}, NOW);
    expect(await store.listRuns(T, id, { limit: 2, order: 'asc' })).toEqual({
      object: 'list',
      data: [],
      first_id: null,
      last_id: null,
      has_more: false,
    });
  });
});

describe('a thread with a live run', () => {
  test('takes no message, is not deleted, and its open message is not deleted', async () => {
    const { runId, threadId } = await startedRun(store, T, NOW);
    await expect(store.createMessage(T, threadId, { role: 'user', content: 'x' }, NOW)).rejects.toMatchObject(
      {
        status: 400,
        message: `Can't add messages to ${threadId} while a run ${runId} is active.`,
      },
    );
    await expect(store.deleteThread(T, threadId)).rejects.toMatchObject({ status: 400 });
    const claim = await store.claim(runId, NOW);
    if (claim === null) throw new Error('no row');
    const { messageId } = await store.openMessage(claim.lease, NOW);
    await expect(store.deleteMessage(T, threadId, messageId)).rejects.toMatchObject({ status: 400 });
    await store.closeRun(runId, { kind: 'cancel' }, NOW);
    await store.deleteMessage(T, threadId, messageId);
    await store.createMessage(T, threadId, { role: 'user', content: 'x' }, NOW);
    await store.deleteThread(T, threadId);
    await expect(store.getRun(T, threadId, runId)).rejects.toMatchObject({ status: 404 });
    await expect(store.readEvents(runId, { after: 0, limit: 1, gaps: 'allow' })).rejects.toMatchObject({
      code: 'no_such_run',
    });
  });

  test('metadata may change all the same', async () => {
    const { runId, threadId } = await startedRun(store, T, NOW, { params: { metadata: { a: '1' } } });
    expect((await store.updateRun(T, threadId, runId, { metadata: { b: '2' } })).metadata).toEqual({
      b: '2',
    });
    expect((await store.updateRun(T, threadId, runId, {})).metadata).toEqual({ b: '2' });
    expect((await store.updateRun(T, threadId, runId, { metadata: null })).metadata).toEqual({});
    expect((await store.updateThread(T, threadId, { metadata: { c: '3' } })).metadata).toEqual({ c: '3' });
  });
});

const ended = async (endedAt: number) => {
  const { runId, threadId } = await startedRun(store, T, NOW);
  const claim = await store.claim(runId, NOW);
  if (claim === null) throw new Error('no row');
  const { messageId } = await store.openMessage(claim.lease, NOW);
  for (const value of ['a', 'b', 'c'])
    await store.appendDeltas(claim.lease, [
      {
        event: 'thread.message.delta',
        data: {
          id: messageId,
          object: 'thread.message.delta',
          delta: { content: [{ index: 0, type: 'text', text: { value } }] },
        },
      },
    ]);
  await store.closeRun(runId, { kind: 'cancel' }, endedAt);
  return { runId, threadId };
};
const read = (runId: string, after: number, gaps: 'refuse' | 'allow' = 'refuse') =>
  store.readEvents(runId, { after, limit: 100, gaps });

describe('the event log', () => {
  test('has no gaps, and goes on behind any number', async () => {
    const { runId } = await ended(NOW);
    const { events } = await read(runId, 0);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    expect(await read(runId, 5)).toEqual({ events: events.slice(5), more: false, ended: true });
    expect(await read(runId, events.length)).toEqual({ events: [], more: false, ended: true });
    expect((await store.readEvents(runId, { after: 0, limit: 2, gaps: 'refuse' })).ended).toBe(false);
  });

  test('deletes deltas of ended runs first, reports readers that could have missed some, and is complete from the start', async () => {
    const { runId } = await ended(NOW - 1000);
    const live = await startedRun(store, T, NOW - 100_000);
    const all = (await read(runId, 0)).events;
    const firstDelta = all.findIndex(({ event }) => event === 'thread.message.delta') + 1;
    const keep = { keysBefore: 0, limit: 100 };
    await store.prune({ ...keep, deltasOfRunsEndedBefore: NOW, eventsOfRunsEndedBefore: 0 });
    const left = (await read(runId, 0, 'allow')).events;
    expect(left.map(({ event }) => event)).toEqual(
      all.map(({ event }) => event).filter((name) => !name.endsWith('.delta')),
    );
    await expect(read(runId, firstDelta)).rejects.toMatchObject({ status: 410, code: 'events_pruned' });
    expect((await read(runId, firstDelta + 2)).events).toEqual(left.slice(firstDelta - 1));
    await store.prune({ ...keep, deltasOfRunsEndedBefore: NOW, eventsOfRunsEndedBefore: NOW });
    await expect(read(runId, 0, 'allow')).rejects.toMatchObject({ code: 'events_pruned' });
    expect(await eventNames(store, live.runId)).toHaveLength(2);
  });

  test('wakes every watcher, and loses no notification between a read and a wait', async () => {
    const { runId } = await startedRun(store, T, NOW);
    const watch = store.watchEvents(runId);
    const signal = new AbortController().signal;
    const { events } = await read(runId, 0);
    await store.claim(runId, NOW);
    // Said before we began to wait: no timeout of a test is long enough to hide a lost word.
    await watch.wait(events.length, { timeoutMs: 2 ** 30, signal });
    const more = (await read(runId, events.length)).events;
    expect(more.map(({ event }) => event)).toEqual(['thread.run.in_progress']);
    const waiting = watch.wait(events.length + 1, { timeoutMs: 2 ** 30, signal });
    await store.closeRun(runId, { kind: 'cancel' }, NOW);
    await waiting;
    watch.close();
  });

  test('old idempotency keys are forgotten', async () => {
    const assistant = await store.createAssistant(T, { model: 'm' }, NOW);
    const create = async (now: number) =>
      store.createRun(
        T,
        newRun({
          thread: { create: {} },
          params: { assistant_id: assistant.id },
          idempotency: { key: 'old', request: 'r' },
          now,
        }),
      );
    const first = await create(NOW);
    expect((await create(NOW + 1)).run.id).toBe(first.run.id);
    await store.prune({
      deltasOfRunsEndedBefore: 0,
      eventsOfRunsEndedBefore: 0,
      keysBefore: NOW + 1,
      limit: 10,
    });
    expect((await create(NOW + 2)).run.id).not.toBe(first.run.id);
  });
});
