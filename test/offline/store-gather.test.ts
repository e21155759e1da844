/** Reads that meet: who asks later sees later data, one failure is everybody's who was in it and nobody else's. */
import { expect, test } from 'vitest';
import { gatherer } from '../../store/gather.ts';
import { deferred } from '../support/deferred.ts';

interface Row {
  id: string;
  version: number;
}

/** A database whose statements come back when the test says so. */
const scripted = () => {
  const statements: {
    keys: string[];
    answer: (rows: Row[]) => void;
    fail: (error: Error) => void;
  }[] = [];
  const find = gatherer<Row>(
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
  );
  const statement = (index: number) => {
    const found = statements[index];
    if (found === undefined) throw new Error(`No statement ${index} was sent.`);
    return found;
  };
  return { statements, statement, find };
};

const row = (id: string, version = 1): Row => ({ id, version });

test('a read that comes alone goes out at once', async () => {
  const { statement, find } = scripted();
  const read = find('a');
  expect(statement(0).keys).toEqual(['a']);
  statement(0).answer([row('a')]);
  expect(await read).toEqual(row('a'));
});

test('reads that come while two statements are under way share the next one, each key once', async () => {
  const { statements, statement, find } = scripted();
  const reads = ['a', 'b', 'c', 'd', 'c'].map((id) => find(id));
  expect(statements.map(({ keys }) => keys)).toEqual([['a'], ['b']]);
  statement(0).answer([row('a')]);
  await reads[0];
  statement(1).answer([row('b')]);
  await reads[1];
  expect(statement(2).keys).toEqual(['c', 'd']);
  statement(2).answer([row('d'), row('c')]);
  expect(await Promise.all(reads)).toEqual([row('a'), row('b'), row('c'), row('d'), row('c')]);
});

test('a read is never answered by a statement that was sent before it', async () => {
  const { statement, find } = scripted();
  const early = find('a');
  const other = find('b');
  const late = find('a');
  statement(0).answer([row('a', 1)]);
  expect(await early).toEqual(row('a', 1));
  statement(1).answer([]);
  expect(await other).toBeUndefined();
  statement(2).answer([row('a', 2)]);
  expect(await late).toEqual(row('a', 2));
});

test('a failed statement fails its own reads, and the next ones go on', async () => {
  const { statement, find } = scripted();
  const first = find('a');
  const second = find('b');
  const later = find('c');
  statement(0).fail(new Error('away'));
  await expect(first).rejects.toThrow('away');
  expect(statement(2).keys).toEqual(['c']);
  statement(2).answer([row('c')]);
  statement(1).answer([row('b')]);
  expect(await Promise.all([second, later])).toEqual([row('b'), row('c')]);
});

test('a statement has a bounded number of rows', async () => {
  const { statements, statement, find } = scripted();
  const ids = Array.from({ length: 150 }, (_, index) => `run_${index}`);
  const reads = ids.map((id) => find(id));
  for (let index = 0; index < 5 && index < statements.length; index += 1) {
    const { keys, answer } = statement(index);
    expect(keys.length).toBeLessThanOrEqual(64);
    answer(keys.map((id) => row(id)));
    await reads[ids.indexOf(keys.at(-1) ?? '')];
    await Promise.resolve();
  }
  expect(await Promise.all(reads)).toEqual(ids.map((id) => row(id)));
});
