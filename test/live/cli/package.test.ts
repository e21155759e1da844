/** What is published, as whoever installs it meets it: built, without sources, entered by its exports. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from '../../support/sources.ts';

const run = promisify(execFile);
const manifest: { exports: Record<string, unknown>; version: string } = JSON.parse(
  await readFile(join(ROOT, 'package.json'), 'utf8'),
);

let home: string;
let installed: string;
beforeAll(async () => {
  // Below the checkout, so that the dependencies are found in its node_modules.
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  home = await mkdtemp(join(ROOT, '.cache', 'package-'));
  installed = join(home, 'node_modules', 'durable-runs');
  await mkdir(installed, { recursive: true });
  // A package of its own: inside ours, our name would mean the checkout.
  await writeFile(join(home, 'package.json'), '{ "name": "somebody" }');
  await run(process.execPath, [join(ROOT, 'scripts', 'build.mjs'), join(installed, 'dist')]);
  for (const part of ['package.json', 'bin']) {
    await cp(join(ROOT, part), join(installed, part), { recursive: true });
  }
}, 180_000);
afterAll(() => rm(home, { recursive: true, force: true }));

test.each(Object.keys(manifest.exports))('the export %s loads', async (name) => {
  const specifier = name.replace(/^\./, 'durable-runs');
  // Workflow code loads outside the sandbox too, as far as its definitions go.
  const script = `console.log(Object.keys(await import(${JSON.stringify(specifier)})).length > 0)`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: home });
  expect(stdout.trim()).toBe('true');
});

test('the runs command works without sources', async () => {
  const { stdout } = await run(process.execPath, [join(installed, 'bin', 'runs.mjs'), '--version']);
  expect(stdout.trim()).toBe(manifest.version);
});

test('the prebuilt workflow bundle holds no schema library and stays below its ceiling', async () => {
  const bundle = await readFile(join(installed, 'dist', 'workflow-bundle.js'), 'utf8');
  expect(bundle).not.toContain('node_modules/zod');
  expect(bundle.length).toBeLessThan(1_800_000);
});
