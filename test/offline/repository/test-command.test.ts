/** `npm test` decides what counts as green, so it is itself put to the test, with a vitest project of its own. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { rowsOf, unproved } from '../../../scripts/proofs.mjs';
import { ROOT } from '../../support/sources.ts';

let dir: string;
beforeEach(() => {
  // Inside the checkout, so that vitest is found.
  mkdirSync(join(ROOT, '.cache'), { recursive: true });
  dir = mkdtempSync(join(ROOT, '.cache', 'test-command-'));
  writeFileSync(join(dir, 'vitest.config.mjs'), 'export default {};');
});
afterEach(() => rmSync(dir, { recursive: true }));

const IMPORT = `import { expect, test } from 'vitest';\n`;
const GREEN = `${IMPORT}test('green', () => { expect(1).toBe(1); });`;

/** The last line printed and the exit code of a run over these test files. */
async function outcome(files: Record<string, string>): Promise<{ last: string; code: number }> {
  const { lines, code } = await run(files);
  return { last: lines.at(-1) ?? '', code };
}

/** All lines printed, and the exit code. */
function run(files: Record<string, string>, ...more: string[]): Promise<{ lines: string[]; code: number }> {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, `${name}.test.mjs`), text);
  const args = [join(ROOT, 'scripts', 'test.mjs'), '--root', dir, '--config', join(dir, 'vitest.config.mjs')];
  return new Promise((resolve) => {
    execFile(process.execPath, [...args, ...more], { env: environment() }, (error, stdout) => {
      const code = error === null ? 0 : Number(error.code);
      resolve({ lines: stdout.trimEnd().split('\n'), code });
    });
  });
}

/** Without what this very vitest tells its children. */
const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/VITEST|^TEST$|NODE_ENV/.test(name)));

const matrix = (name: string): string =>
  `### 1. A fault\n\nA promise.\n\n- both · \`test/a.test.ts\` › ${name}\n`;

describe('npm test', () => {
  test('ends with the totals and 0 when all is green', async () => {
    expect(await outcome({ a: GREEN, b: GREEN })).toEqual({ last: '2 passed, 0 failed', code: 0 });
  });

  test('counts a failed test, and a file that does not load, as failures', async () => {
    const red = `${GREEN}\ntest('red', () => { expect(1).toBe(2); });`;
    const broken = `${IMPORT}throw new Error('at import');`;
    expect(await outcome({ red, broken })).toEqual({ last: '1 passed, 2 failed', code: 1 });
  });

  test('counts an error outside every test as a failure', async () => {
    const stray = `${IMPORT}test('ends too early', () => { setTimeout(() => { throw new Error('stray'); }, 0); });
      test('waits', () => new Promise((resolve) => { setTimeout(resolve, 50); }));`;
    expect(await outcome({ a: stray })).toEqual({ last: '2 passed, 1 failed', code: 1 });
  });

  test('fails when nothing ran', async () => {
    expect(await outcome({})).toEqual({ last: '0 passed, 1 failed', code: 1 });
    const skipping = `${IMPORT}test.skip('later', () => {});`;
    expect(await outcome({ a: skipping })).toEqual({ last: '0 passed, 0 failed', code: 1 });
  });

  test('fails when a proof that the fault matrix names did not run', async () => {
    const page = join(dir, 'faults.md');
    mkdirSync(join(dir, 'test'), { recursive: true });
    writeFileSync(join(dir, 'test', 'a.test.ts'), `${GREEN}\ntest.skip('later on', () => {});`);
    writeFileSync(page, `${matrix('gree')}\n${matrix('later')}`);
    const { lines, code } = await run({}, `--proofs=${page}`);
    expect(lines.filter((line) => /^not proved|passed, /.test(line))).toEqual([
      'not proved: row 1: "test/a.test.ts › later" did not run',
      '1 passed, 1 failed',
    ]);
    expect(code).toBe(1);
  });
});

/** A report of one file. */
const reportOf = (statuses: readonly (readonly [title: string, status: string])[]) => [
  {
    name: '/checkout/test/a.test.ts',
    assertionResults: statuses.map(([title, status]) => ({ title, status })),
  },
];

describe('a proof of the fault matrix', () => {
  test.each([
    ['is shown by a test whose title has its words', 'gree', [['green', 'passed']], true],
    ['counts as run when its test failed, which is reported by itself', 'red', [['red', 'failed']], true],
    ['is missing when its test was skipped', 'later', [['later on', 'skipped']], false],
    [
      'is missing when one of several tests of its name was skipped',
      'n ',
      [
        ['n 1', 'passed'],
        ['n 2', 'skipped'],
      ],
      false,
    ],
    ['is missing when no test has its words', 'unheard of', [['green', 'passed']], false],
    ['may be named as in the sources, with its placeholder', 'n %i', [['n 1', 'passed']], true],
    ['is missing when the words behind the placeholder differ', 'n %i of %s', [['n 1', 'passed']], false],
  ] as const)('%s', (_what, name, statuses, shown) => {
    const missing = unproved(rowsOf(matrix(name)), reportOf(statuses), '/checkout');
    expect(missing).toEqual(shown ? [] : [`row 1: "test/a.test.ts › ${name}" did not run`]);
  });
});
