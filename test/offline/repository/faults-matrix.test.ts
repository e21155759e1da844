/**
 * docs/contributing/faults.md against the tests: every fault has a row, every proof names a test that exists, every promise has a proof.
 *
 * That the tests also ran is asked by `npm test` (`test-command.test.ts`).
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BACKENDS, rowsOf, type Row } from '../../../scripts/proofs.mjs';
import { KINDS } from '../../chaos/kinds/index.ts';
import { ROOT } from '../../support/sources.ts';
import { testTitles } from '../../support/test-titles.ts';

/** Rows that must be there, whatever is added. */
const FAULTS = 44;

const page = readFileSync(join(ROOT, 'docs/contributing/faults.md'), 'utf8');

/** What is wrong with one proof; `titles` are the names in its file, undefined when there is no such file. */
const proofProblem = (name: string, titles: readonly string[] | undefined): string | undefined => {
  if (titles === undefined) return 'no such file';
  const found = titles.filter((title) => title.includes(name)).length;
  return found === 1 ? undefined : found === 0 ? 'no such test' : `${found} tests of that name`;
};

const rowProblems = (row: Row, titlesIn: (file: string) => readonly string[] | undefined): string[] => [
  ...(row.promise === '' ? ['promises nothing'] : []),
  ...row.stray.map((line) => `has a line that is neither a proof nor a word: ${line}`),
  ...BACKENDS.flatMap((backend) =>
    row.proofs.some(({ backends }) => backends.includes(backend)) || row.none[backend] !== undefined
      ? []
      : [`proves nothing for ${backend} and does not say why`],
  ),
  ...row.proofs.flatMap(({ file, name }) => {
    const problem = proofProblem(name, titlesIn(file));
    return problem === undefined ? [] : [`${problem}: ${file} › ${name}`];
  }),
];

const problemsOf = (text: string): string[] => {
  const rows = rowsOf(text);
  const numbers = rows.map(({ number }) => number);
  const read = new Map<string, readonly string[] | undefined>();
  const titlesIn = (file: string): readonly string[] | undefined => {
    const path = join(ROOT, file);
    if (!read.has(file))
      read.set(file, existsSync(path) ? testTitles(readFileSync(path, 'utf8')) : undefined);
    return read.get(file);
  };
  return [
    ...Array.from({ length: FAULTS }, (_, index) => index + 1)
      .filter((number) => !numbers.includes(number))
      .map((number) => `row ${number} is missing`),
    ...numbers.flatMap((number, index) => (number === index + 1 ? [] : [`row ${number} is out of order`])),
    ...rows.flatMap((row) => rowProblems(row, titlesIn).map((problem) => `row ${row.number}: ${problem}`)),
  ];
};

test('the fault matrix names tests that exist, for every fault and both backends', () => {
  expect(problemsOf(page)).toEqual([]);
});

test('drills are about rows that there are', () => {
  const numbers = rowsOf(page).map(({ number }) => number);
  expect(KINDS.flatMap(({ rows }) => rows).filter((number) => !numbers.includes(number))).toEqual([]);
});

const section = (number: number): RegExp => new RegExp(`### ${number}\\. [\\s\\S]*?(?=\\n##)`);
const withRow = (number: number, lines: readonly string[]): string =>
  page.replace(section(number), [`### ${number}. A fault`, '', 'A promise.', '', ...lines, ''].join('\n'));

describe('is refused', () => {
  const proof = '- both · `test/offline/backends/sse.test.ts` › line ends do not matter';

  test.each<[string, string, RegExp]>([
    ['a row is missing', page.replace(section(17), ''), /^row 17 is missing$/],
    ['a file is not there', withRow(3, ['- both · `test/live/none.test.ts` › x']), /^row 3: no such file/],
    ['a test is not there', withRow(3, [`${proof} to me`]), /^row 3: no such test/],
    [
      'a name fits several tests',
      withRow(3, [proof.replace(/›.*/, '› a')]),
      /^row 3: \d+ tests of that name/,
    ],
    ['nothing is proved', withRow(3, []), /^row 3: proves nothing for chat/],
    [
      'one backend is left out',
      withRow(3, [proof.replace('both', 'chat')]),
      /^row 3: proves nothing for assistants/,
    ],
    ['nothing is promised', withRow(3, [proof]).replace('A promise.', ''), /^row 3: promises nothing$/],
    ['a line is mistyped', withRow(3, [proof, '- bot · `x` › y']), /^row 3: has a line that is neither/],
  ])('when %s', (_what, text, problem) => {
    expect(text).not.toBe(page);
    expect(problemsOf(text)).toContainEqual(expect.stringMatching(problem));
  });

  test('but not when it says that there is nothing to prove', () => {
    const text = withRow(3, [proof.replace('both', 'chat'), '- assistants · none: no such thing.']);
    expect(problemsOf(text).filter((problem) => problem.startsWith('row 3:'))).toEqual([]);
  });
});

test('names of tests are read from their files, in any surrounding code', () => {
  const source = [
    `// test('in a comment', () => {});`,
    `test('plain', () => expect(/test('in a regex', /.source).toBe("test('in a string', "));`,
    `test.each<[string, () => void]>([['a)', () => {}], [\`\${'b'}(\`, () => {}]])('of %s', () => {});`,
    `  test.each(many)(\n    'on a line of its own, it\\'s',\n    { timeout: 1 }, () => {});`,
    `test.skip('left out', () => {}); test.todo('some day'); subtest('no test', 1);`,
    `it("short", async () => {}); test(\n  "long",\n  () => {});`,
  ].join('\n');
  expect(testTitles(source)).toEqual(['plain', 'of %s', "on a line of its own, it's", 'short', 'long']);
});
