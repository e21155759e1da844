/** What is published, as a program that installs it finds it: built, without sources, entered by its exports. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildPackages, type BuiltPackages } from '../../support/packages.ts';
import { ROOT, textOf } from '../../support/sources.ts';

const run = promisify(execFile);
interface Manifest {
  name: string;
  version: string;
  exports: Record<string, unknown>;
  dependencies?: Record<string, string>;
  peerDependencies: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional: boolean }>;
}
const root = JSON.parse(textOf('package.json')) as Manifest;

const shared = (name: string): boolean => name === 'zod' || name.startsWith('@temporalio/');

let built: BuiltPackages;
let home: string;
let client: string;
const manifestOf = async (folder: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest;

beforeAll(async () => {
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  built = await buildPackages();
  // Below the checkout, so that the packages' dependencies are found in its node_modules.
  home = await mkdtemp(join(ROOT, '.cache', 'program-'));
  await writeFile(join(home, 'package.json'), '{ "name": "program" }');
  client = join(home, 'node_modules', 'durable-runs');
  await cp(built.folders.client, client, { recursive: true });
  await cp(built.folders.server, join(home, 'node_modules', 'durable-runs-server'), { recursive: true });
}, 180_000);
afterAll(async () => {
  await rm(home, { recursive: true, force: true });
  await built.remove();
});

const evaluate = async (script: string): Promise<string> => {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: home });
  return stdout.trim();
};

test.each(Object.keys(root.exports))('the entry %s of the checkout loads from the package', async (name) => {
  const specifier = name.replace(/^\./, 'durable-runs');
  expect(await evaluate(`console.log(Object.keys(await import('${specifier}')).length > 0)`)).toBe('true');
});

test('client and server share one class of errors', async () => {
  const script = `
    import { RunsError } from 'durable-runs';
    import { configFromEnv, runWorker } from 'durable-runs/worker';
    const error = await runWorker(configFromEnv({ RUNS_BACKEND: 'assistants' })).catch((reason) => reason);
    console.log(error instanceof RunsError, error.code);`;
  expect(await evaluate(script)).toBe('true config');
});

test('both packages have the version of the checkout, and the server needs exactly that client', async () => {
  const [one, other] = await Promise.all([
    manifestOf(built.folders.client),
    manifestOf(built.folders.server),
  ]);
  expect([one.version, other.version]).toEqual([root.version, root.version]);
  expect(other.dependencies?.['durable-runs']).toBe(root.version);
  expect(one.peerDependencies['durable-runs-server']).toBe(root.version);
});

test('zod and the Temporal packages are peers, and the client depends on nothing else', async () => {
  const [one, other] = await Promise.all([
    manifestOf(built.folders.client),
    manifestOf(built.folders.server),
  ]);
  expect(one.dependencies).toBeUndefined();
  expect(Object.keys(other.dependencies ?? {}).filter(shared)).toEqual([]);
  const optional = Object.keys(other.peerDependenciesMeta ?? {});
  expect(
    Object.keys(other.peerDependencies)
      .filter((name) => !optional.includes(name))
      .every(shared),
  ).toBe(true);
  expect(Object.keys(other.peerDependencies)).toContain('@temporalio/worker');
  expect(Object.keys(one.peerDependencies)).not.toContain('@temporalio/worker');
});

test('publint finds no problem in either package', async () => {
  for (const [name, pkgDir] of Object.entries(built.folders)) {
    const { messages } = await publint({ pkgDir, level: 'warning', strict: true });
    expect({ name, problems: messages.map(({ code, path }) => [code, path]) }).toEqual({
      name,
      problems: [],
    });
  }
});

test('types resolve from both packages for programs of ES modules', async () => {
  const attw = join(ROOT, 'node_modules', '@arethetypeswrong', 'cli', 'dist', 'index.js');
  for (const name of ['client', 'server'] as const) {
    const entries = Object.keys((await manifestOf(built.folders[name])).exports);
    const typed = entries.filter((entry) => !entry.includes('*') && !entry.endsWith('.json'));
    // A CommonJS program can't require an ES module on every Node of `engines`: the profile leaves that case out.
    const args = [attw, built.tarballs[name], '--profile', 'esm-only', '--entrypoints', ...typed];
    await expect(run(process.execPath, args, { cwd: home })).resolves.toBeDefined();
  }
});

/** Packages that the declarations of an entry import, with all that they reach. */
const typePackages = async (file: string, seen = new Set<string>()): Promise<Set<string>> => {
  const packages = new Set<string>();
  if (seen.has(file)) return packages;
  seen.add(file);
  for (const [, name = ''] of (await readFile(file, 'utf8')).matchAll(/(?:from |import\()'([^']+)'/g)) {
    const internal = /^durable-runs\/internal\/(.+)$/.exec(name)?.[1];
    const next = internal === undefined ? join(dirname(file), name) : join(client, 'dist', internal);
    if (internal === undefined && !name.startsWith('.')) packages.add(name);
    else for (const one of await typePackages(next.replace(/\.js$/, '.d.ts'), seen)) packages.add(one);
  }
  return packages;
};

test('no entry needs the types of the database packages', async () => {
  const entries = ['worker/public.d.ts', 'testing/public.d.ts'];
  for (const entry of entries) {
    const reached = await typePackages(join(home, 'node_modules', 'durable-runs-server', 'dist', entry));
    expect([...reached].filter((name) => /^(pg|drizzle-orm|@electric-sql)/.test(name))).toEqual([]);
    expect(reached.has('zod')).toBe(entry.startsWith('worker'));
  }
  const { dependencies = {} } = await manifestOf(built.folders.server);
  expect(Object.keys(dependencies).filter((name) => name.startsWith('@types/'))).toEqual([]);
});

test('the runs command works without sources', async () => {
  const { stdout } = await run(process.execPath, [join(client, 'bin', 'runs.mjs'), '--version'], {
    cwd: home,
  });
  expect(stdout.trim()).toBe(root.version);
});

test('a TypeScript tools file of a CommonJS folder loads after the HTTP client', async () => {
  await writeFile(
    join(home, 'tools.ts'),
    `import { defineTools } from 'durable-runs/worker';
     import { z } from 'zod';
     enum Word { hello = 'Says hello.' }
     export default defineTools({
       hello: { description: Word.hello, parameters: z.object({}), execute: (): string => 'hello' },
     });`,
  );
  // The doctor asks the model server by the HTTP client that a tools file reaches through the worker's entry, too.
  const { stdout } = await run(
    process.execPath,
    [join(client, 'bin', 'runs.mjs'), 'doctor', '--only', 'backend', '--only', 'tools', '--json'],
    {
      cwd: home,
      env: {
        ...process.env,
        RUNS_BACKEND: 'chat',
        OPENAI_BASE_URL: 'http://127.0.0.1:9/v1',
        RUNS_TOOLS: './tools.ts',
      },
    },
  ).catch((error: { stdout: string }) => error);
  const { checks } = JSON.parse(stdout) as { checks: { name: string; state: string; detail: string }[] };
  expect(checks.find(({ name }) => name === 'tools')).toMatchObject({
    state: 'ok',
    detail: expect.stringMatching(/: hello$/),
  });
});

test('the runs command refuses a server of another version and names the command that fixes it', async () => {
  const file = join(home, 'node_modules', 'durable-runs-server', 'package.json');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(`"version": "${root.version}"`, '"version": "99.0.0"'));
  try {
    await expect(run(process.execPath, [join(client, 'bin', 'runs.mjs'), 'dev'])).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        `npm install durable-runs@${root.version} durable-runs-server@${root.version}\n`,
      ),
    });
  } finally {
    await writeFile(file, text);
  }
});

test('the prebuilt workflow bundle holds no schema library and stays below its ceiling', async () => {
  const bundle = await readFile(join(built.folders.server, 'dist', 'workflow-bundle.js'), 'utf8');
  expect(bundle).not.toContain('node_modules/zod');
  expect(bundle.length).toBeLessThan(1_800_000);
});
