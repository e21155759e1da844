import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ROOT } from '../../support/sources.ts';

const run = promisify(execFile);

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'durable-runs-bin-'));
  cpSync(join(ROOT, 'bin'), join(root, 'bin'), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  write('package.json', '{ "type": "module" }', 0);
});
afterEach(() => rmSync(root, { recursive: true }));

/** `age` in seconds before now. */
function write(path: string, text: string, age: number): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  const time = Date.now() / 1000 - age;
  utimesSync(join(root, path), time, time);
}

const sources = (age: number): void => {
  write('cli/main.ts', `const from: string = 'source'; console.log(from, process.argv.slice(2));`, age);
  write('workflows/run/machine.ts', '', age);
};
const build = (age: number): void => {
  write('dist/cli/main.js', `console.log('build', process.argv.slice(2));`, age);
  write('dist/built.json', '{}', age);
};

async function runs(): Promise<string> {
  const { stdout } = await run(process.execPath, [join(root, 'bin', 'runs.mjs'), 'list', '--json']);
  return stdout.trim();
}

describe('the runs command', () => {
  test('runs the sources of a checkout that was never built', async () => {
    sources(10);
    expect(await runs()).toBe(`source [ 'list', '--json' ]`);
  });

  test('runs a build that is younger than every source', async () => {
    sources(20);
    build(10);
    expect(await runs()).toBe(`build [ 'list', '--json' ]`);
  });

  test('runs the sources when one of them, anywhere, is younger than the build', async () => {
    sources(20);
    build(10);
    write('workflows/run/machine.ts', '', 5);
    expect(await runs()).toContain('source');
  });

  test('does not run a build that was not finished', async () => {
    sources(20);
    build(10);
    rmSync(join(root, 'dist', 'built.json'));
    expect(await runs()).toContain('source');
  });

  test('runs the build of a package, which has no sources', async () => {
    build(10);
    expect(await runs()).toContain('build');
  });

  test('says what to do when there is neither', async () => {
    await expect(runs()).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('install the package again, or clone the repository'),
    });
  });
});
