/**
 * What is read from the store at once is bounded in bytes: rows of docs/contributing/faults.md about large threads and pages.
 *
 * Proves: sizes of rows are kept whoever writes them, pages, event batches and what a model is given to read end where they
 * would be too large, nothing is lost or repeated between pages, and of a run's rounds only those are read that matter.
 * Does not prove: times.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { READ_BYTES } from '../../../protocol/limits.ts';
import type { ContextItem } from '../../../protocol/ports/turn-store.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { tailEvents } from '../../../service/tail-events.ts';
import type { Database } from '../../../store/database.ts';
import { storeOn } from '../../../store/index.ts';
import { migrate, readMigrations } from '../../../store/migrate.ts';
import { openPglite } from '../../../store/pglite.ts';
import { ROW_BYTES } from '../../../store/within-bytes.ts';
import { approval } from '../../support/run-stubs.ts';
import { automatic, external, image, newRun, startedRun } from '../../support/store.ts';

const NOW = 1_800_000_000_000;
const T = 'tenant';
const CHARS = 250_000;
/** As many messages of this size as a page and a prompt hold. */
const FITTING = Math.floor(READ_BYTES.page / (CHARS + 60));

let db: Database;
let store: Store;
/** Rows that came from the database, by the name of the statement. */
const rowsRead = new Map<string, number>();

beforeAll(async () => {
  const real = await openPglite({ memory: true, image: await image() });
  db = {
    ...real,
    async query<Row>(text: string, params?: Parameters<Database['query']>[1], name?: string) {
      const rows = await real.query<Row>(text, params, name);
      if (name !== undefined) rowsRead.set(name, (rowsRead.get(name) ?? 0) + rows.length);
      return rows;
    },
  };
  await migrate(db, await readMigrations());
  store = storeOn(db);
}, 60_000);
afterAll(() => db.close());

const said = (index: number, chars = CHARS) => ({
  role: 'user' as const,
  content: `${index} `.padEnd(chars, 'x'),
});
const threadOf = async (count: number): Promise<string> => {
  const messages = Array.from({ length: count }, (_, index) => said(index));
  return (await store.createThread(T, { messages }, NOW)).id;
};

/** A round of one call that the worker carries out, with an output of this size. */
const round = async (runId: string, callId: string, output: string): Promise<void> => {
  const claim = await store.claim(runId, NOW);
  if (claim === null) throw new Error('no row');
  const outcome = { kind: 'calls' as const, calls: [automatic(callId, 'lookup')], expiresAt: null };
  await store.settleTurn(claim.lease, { outcome, message: null, usage: null }, NOW);
  await store.acceptOutputs(runId, [{ tool_call_id: callId, output }], { now: NOW, by: null });
};

describe('pages', () => {
  let threadId = '';
  let ids: string[] = [];

  beforeAll(async () => {
    threadId = await threadOf(30);
    const rows = await db.query<{ id: string }>(
      'select id from messages where thread_id = $1 order by position',
      [threadId],
    );
    ids = rows.map(({ id }) => id);
  });

  const walk = async (order: 'asc' | 'desc', limit: number): Promise<{ ids: string[]; sizes: number[] }> => {
    const seen: string[] = [];
    const sizes: number[] = [];
    for (let after: string | undefined; ; after = seen.at(-1)) {
      const page = await store.listMessages(T, threadId, {
        limit,
        order,
        ...(after === undefined ? {} : { after }),
      });
      seen.push(...page.data.map(({ id }) => id));
      sizes.push(page.data.length);
      if (!page.has_more) return { ids: seen, sizes };
    }
  };

  test.each([
    ['asc', 100, [FITTING, 30 - FITTING]],
    ['desc', 100, [FITTING, 30 - FITTING]],
    ['asc', 10, [10, 10, 10]],
    ['asc', 30, [FITTING, 30 - FITTING]],
  ] as const)('%s by %d: as many as fit, and all of them in the end', async (order, limit, sizes) => {
    const walked = await walk(order, limit);
    expect(walked.ids).toEqual(order === 'asc' ? ids : ids.toReversed());
    expect(walked.sizes).toEqual(sizes);
  });

  test('a page before a cursor has those next to it', async () => {
    const page = await store.listMessages(T, threadId, { limit: 100, order: 'asc', before: ids[25] ?? '' });
    expect(page.data.map(({ id }) => id)).toEqual(ids.slice(25 - FITTING, 25));
    expect(page.has_more).toBe(true);
  });

  test('one object that is larger than a page comes alone', async () => {
    const images = Array.from({ length: 5 }, () => ({
      type: 'image_url' as const,
      image_url: { url: 'x'.repeat(1_000_000) },
    }));
    const content = { role: 'user' as const, content: images };
    const { id } = await store.createThread(T, { messages: [content, content] }, NOW);
    const first = await store.listMessages(T, id, { limit: 100, order: 'asc' });
    expect([first.data.length, first.has_more]).toEqual([1, true]);
    const rest = await store.listMessages(T, id, { limit: 100, order: 'asc', after: first.last_id ?? '' });
    expect([rest.data.length, rest.has_more]).toEqual([1, false]);
  });

  test('rows without a size, of an older version, are measured', async () => {
    const measured = await walk('asc', 100);
    await db.query('update messages set bytes = null where thread_id = $1', [threadId]);
    expect(await walk('asc', 100)).toEqual(measured);
  });
});

const texts = (items: readonly ContextItem[]): string[] =>
  items.map((item) =>
    item.kind === 'round'
      ? item.round.toString()
      : item.content.map((part) => (part.type === 'text' ? part.text.value.slice(0, 3) : '')).join(''),
  );

describe('what a model is given to read', () => {
  test('are the newest messages that fit, the same to both ways of reading', async () => {
    const { runId, threadId } = await startedRun(store, T, NOW, {
      messages: Array.from({ length: 30 }, (_, index) => said(index)),
    });
    const context = await store.readContext(threadId, 100);
    expect(context).toHaveLength(FITTING);
    expect(texts(context)).toEqual(
      Array.from({ length: FITTING }, (_, index) => `${30 - FITTING + index} `.padEnd(3, 'x')),
    );
    expect((await store.claim(runId, NOW, 100))?.context).toEqual(context);
  });

  test('never has a hole: nothing older than a message that did not fit', async () => {
    const { runId, threadId } = await startedRun(store, T, NOW, { messages: [said(1, 10)] });
    await round(runId, 'call_hole_1', 'x');
    await store.closeRun(runId, { kind: 'cancel' }, NOW);
    // Ten messages that fit alone, and one before them that does not.
    await store.createMessage(T, threadId, said(2), NOW);
    await db.query(
      'update messages set bytes = $2 where thread_id = $1 and position = (select max(position) from messages where thread_id = $1)',
      [threadId, READ_BYTES.prompt],
    );
    await store.createMessage(T, threadId, said(3, 10), NOW);
    expect(texts(await store.readContext(threadId, 100))).toEqual(['3 x']);
  });

  test('counts messages and rounds together', async () => {
    const { runId, threadId } = await startedRun(store, T, NOW, {
      messages: Array.from({ length: 10 }, (_, index) => said(index)),
    });
    for (let index = 0; index < 10; index += 1)
      await round(runId, `call_together_${index}`, 'x'.repeat(CHARS));
    const context = await store.readContext(threadId, 100);
    const rounds = context.filter(({ kind }) => kind === 'round').length;
    expect(rounds).toBe(10);
    expect(context.length - rounds).toBe(FITTING - 10);
  });

  test('a message that is larger than all may be comes alone', async () => {
    const { threadId } = await startedRun(store, T, NOW, { messages: [said(1, 10), said(2, 10)] });
    await db.query('update messages set bytes = $2 where thread_id = $1', [threadId, READ_BYTES.prompt + 1]);
    expect(texts(await store.readContext(threadId, 100))).toEqual(['2 x']);
  });
});

describe('the event log', () => {
  test('comes in batches that are no larger than their limit, and whole', async () => {
    const { runId } = await startedRun(store, T, NOW, { params: { instructions: 'x'.repeat(120_000) } });
    await store.claim(runId, NOW);
    await store.closeRun(runId, { kind: 'cancel' }, NOW);
    const first = await store.readEvents(runId, { after: 0, limit: 100, gaps: 'refuse' });
    expect(first.events.map(({ seq }) => seq)).toEqual([1, 2]);
    expect([first.more, first.ended]).toEqual([true, false]);
    const seen: number[] = [];
    const { signal } = new AbortController();
    for await (const { seq } of tailEvents(store, runId, { after: 0, signal })) seen.push(seq);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  test('an event that is larger than a batch comes alone', async () => {
    const { runId } = await startedRun(store, T, NOW, {
      params: { instructions: 'x'.repeat(256_000), additional_instructions: 'y'.repeat(256_000) },
    });
    const first = await store.readEvents(runId, { after: 0, limit: 100, gaps: 'refuse' });
    expect(first.events.map(({ seq }) => seq)).toEqual([1]);
    expect(first.more).toBe(true);
  });
});

test('of the rounds of a run only the newest is read, and the one that has the call', async () => {
  const { runId, threadId } = await startedRun(store, T, NOW);
  for (let index = 1; index <= 6; index += 1) await round(runId, `call_many_${index}`, 'x');
  const claim = await store.claim(runId, NOW);
  if (claim === null) throw new Error('no row');
  const outcome = { kind: 'calls' as const, calls: [external('call_many_7', 'ask')], expiresAt: null };
  await store.settleTurn(claim.lease, { outcome, message: null, usage: null }, NOW);
  const look = async (callId: string | null) => {
    rowsRead.clear();
    const { round: newest, asked } = await store.runForSubmit(T, threadId, runId, { callId, key: null });
    const read = (rowsRead.get('newest-round') ?? 0) + (rowsRead.get('round-of-call') ?? 0);
    return { newest: newest?.round, asked: asked?.round ?? null, read };
  };
  expect(await look('call_many_7')).toEqual({ newest: 7, asked: 7, read: 1 });
  expect(await look('call_many_3')).toEqual({ newest: 7, asked: 3, read: 2 });
  // Ids that begin like others, that are not there, and that no database takes.
  for (const id of ['call_many', 'call_x', 'a\0b', '\ud800', '%', null])
    expect(await look(id)).toEqual({ newest: 7, asked: null, read: 1 });
  const late = { now: NOW, by: 'req_1' };
  expect(
    (await store.acceptOutputs(runId, [{ tool_call_id: 'call_many_3', output: 'x' }], late)).result,
  ).toBe('repeated');
  await expect(
    store.acceptOutputs(runId, [{ tool_call_id: 'call_many_3', output: 'y' }], late),
  ).rejects.toMatchObject({ code: 'output_conflict' });
});

test("a tenant's own objects are counted, and deleted ones no longer", async () => {
  expect([await store.storedBytesOf('new'), await store.countLiveRunsOf('new')]).toEqual([0, 0]);
  const { threadId, runId } = await startedRun(store, 'new', NOW, { messages: [said(1, 100_000)] });
  const held = await store.storedBytesOf('new');
  expect(held).toBeGreaterThan(100_000);
  expect(held).toBeLessThan(110_000);
  expect([await store.countLiveRunsOf('new'), await store.countLiveRunsOf('none')]).toEqual([1, 0]);
  expect(await store.storedBytesOf('none')).toBe(0);
  await store.closeRun(runId, { kind: 'cancel' }, NOW);
  expect(await store.countLiveRunsOf('new')).toBe(0);
  await store.deleteThread('new', threadId);
  expect(await store.storedBytesOf('new')).toBeLessThan(2_000);
});

// Last: by now every kind of write has been made.
test('every row has its size, from any writer', async () => {
  const { runId, assistantId, threadId } = await startedRun(store, T, NOW, {
    params: { additional_messages: [said(1, 10)] },
  });
  await store.updateAssistant(T, assistantId, { instructions: 'Be brief.' });
  const asking = await store.claim((await startedRun(store, T, NOW)).runId, NOW);
  if (asking === null) throw new Error('no row');
  const calls = { kind: 'calls' as const, calls: [approval('ça')], expiresAt: null };
  await store.settleTurn(asking.lease, { outcome: calls, message: null, usage: null }, NOW);
  const claim = await store.claim(runId, NOW);
  if (claim === null) throw new Error('no row');
  const { messageId } = await store.openMessage(claim.lease, NOW);
  const content = [{ type: 'text' as const, text: { value: 'Hello — ça va?', annotations: [] } }];
  await store.settleTurn(
    claim.lease,
    { outcome: { kind: 'completed' }, message: { id: messageId, content }, usage: null },
    NOW,
  );
  await store.createRun(
    T,
    newRun({
      thread: { create: { messages: [said(1, 5)] } },
      params: { assistant_id: assistantId },
      now: NOW,
    }),
  );
  await store.createRun(
    T,
    newRun({ thread: { id: threadId }, params: { assistant_id: assistantId }, now: NOW }),
  );
  await db.query('update messages set content = content where bytes is null or bytes > 1000000');
  await db.query('update messages set content = content');
  const kept = Object.entries(ROW_BYTES).filter(([, size]) => size.includes('bytes,'));
  for (const [table, measured] of kept) {
    const own = measured.replace('coalesce(bytes, ', '').replace(/\)$/, '');
    const [row] = await db.query<{ all: number; wrong: number }>(
      `select count(*) as all, count(*) filter (where bytes is distinct from ${own}) as wrong from ${table}`,
    );
    expect({ table, any: (row?.all ?? 0) > 0, wrong: row?.wrong }).toEqual({ table, any: true, wrong: 0 });
  }
});
