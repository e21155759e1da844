/**
 * Reads that meet: who asks later sees later data, one failure is everybody's who was in it and nobody else's, and a slow
 * statement holds up those who came later for a moment only.
 */
import { expect, test } from 'vitest';
import { batchLoader } from '../../../store/batch-loader.ts';
import { deferred } from '../../support/deferred.ts';

interface Row {
  id: string;
  version: number;
}

/** A database whose statements come back when the test says so. */
const scripted = () => {
  const clock = { now: 0 };
  const statements: {
    keys: string[];
    answer: (rows: Row[]) => void;
    fail: (error: Error) => void;
  }[] = [];
  const find = batchLoader<Row>(
    (keys) => {
      const result = deferred<Row[]>();
      statements.push({
        keys,
        answer: (rows) => result.resolve(rows),
        fail: (error) => result.reject(error),
      });
      return result.promise;
    },
    ({ id }) => id,
    () => clock.now,
  );
  const statement = (index: number) => {
    const found = statements[index];
    if (found === undefined) throw new Error(`No statement ${index} was sent.`);
    return found;
  };
  return { statements, statement, find, clock };
};

const row = (id: string, version = 1): Row => ({ id, version });

/** After everything that has arrived by now. */
const soon = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

test('a read that comes alone goes out at once', async () => {
  const { statement, find } = scripted();
  const read = find('a');
  await soon();
  expect(statement(0).keys).toEqual(['a']);
  statement(0).answer([row('a')]);
  expect(await read).toEqual(row('a'));
});

test('reads that arrive together share a statement; those that come meanwhile share the next one, each key once', async () => {
  const { statements, statement, find } = scripted();
  const first = [find('a'), find('b')];
  await soon();
  const later = ['c', 'd', 'c'].map((id) => find(id));
  await soon();
  expect(statements.map(({ keys }) => keys)).toEqual([['a', 'b']]);
  statement(0).answer([row('b'), row('a')]);
  expect(await Promise.all(first)).toEqual([row('a'), row('b')]);
  expect(statement(1).keys).toEqual(['c', 'd']);
  statement(1).answer([row('d'), row('c')]);
  expect(await Promise.all(later)).toEqual([row('c'), row('d'), row('c')]);
});

test('a slow statement does not hold up the reads that come later', async () => {
  const { statements, statement, find, clock } = scripted();
  const slow = find('slow');
  await soon();
  clock.now = 10;
  const quick = find('quick');
  await soon();
  statement(1).answer([row('quick')]);
  expect(await quick).toEqual(row('quick'));
  statement(0).answer([row('slow')]);
  expect(await slow).toEqual(row('slow'));
  expect(statements.length).toBe(2);
});

test('statements that all hang are no more than four, and what gathered behind them goes when one comes back', async () => {
  const { statements, statement, find, clock } = scripted();
  const reads: Promise<Row | undefined>[] = [];
  for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) {
    reads.push(find(id));
    await soon();
    clock.now += 20_000;
  }
  expect(statements.map(({ keys }) => keys)).toEqual([['a'], ['b'], ['c'], ['d']]);
  statement(2).answer([row('c')]);
  await reads[2];
  expect(statement(4).keys).toEqual(['e', 'f']);
  for (const [index, ids] of [['a'], ['b'], [], ['d'], ['e', 'f']].entries())
    statement(index).answer(ids.map((id) => row(id)));
  expect((await Promise.all(reads)).map((found) => found?.id)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
});

test('a read is never answered by a statement that was sent before it', async () => {
  const { statement, find } = scripted();
  const early = find('a');
  await soon();
  const late = find('a');
  await soon();
  statement(0).answer([row('a', 1)]);
  expect(await early).toEqual(row('a', 1));
  statement(1).answer([row('a', 2)]);
  expect(await late).toEqual(row('a', 2));
});

test('a failed statement fails its own reads, and the next ones go on', async () => {
  const { statement, find } = scripted();
  const first = find('a');
  await soon();
  const later = find('b');
  statement(0).fail(new Error('away'));
  await expect(first).rejects.toThrow('away');
  expect(statement(1).keys).toEqual(['b']);
  statement(1).answer([]);
  expect(await later).toBeUndefined();
});

test('a statement has a bounded number of rows', async () => {
  const { statements, statement, find } = scripted();
  const ids = Array.from({ length: 150 }, (_, index) => `run_${index}`);
  const reads = ids.map((id) => find(id));
  await soon();
  for (let index = 0; index < 3; index += 1) {
    const { keys, answer } = statement(index);
    expect(keys.length).toBeLessThanOrEqual(64);
    answer(keys.map((id) => row(id)));
    await reads[ids.indexOf(keys.at(-1) ?? '')];
    await soon();
  }
  expect(statements.length).toBe(3);
  expect(await Promise.all(reads)).toEqual(ids.map((id) => row(id)));
});
