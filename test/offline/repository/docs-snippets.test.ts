/** The TypeScript in the documents and in `examples/` compiles, strictly, against what the package exports. */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT } from '../../support/sources.ts';

const run = promisify(execFile);

/** What a reader brings along: functions of their own, and what an earlier snippet of the page has made. */
const BROUGHT: Record<string, string> = {
  pay: 'declare const pay: (order: string, amount: number, idempotencyKey: string) => Promise<string>;',
  postToChat: 'declare const postToChat: (text: string) => Promise<void>;',
  ask: 'declare const ask: (question: string) => Promise<boolean>;',
  assistant: 'declare const assistant: { id: string };',
  OpenAI: `import OpenAI from 'openai';`,
  createSandbox: `import { createSandbox } from 'durable-runs/testing';`,
  sandbox: `declare const sandbox: Awaited<ReturnType<typeof import('durable-runs/testing').createSandbox>>;`,
};

const snippetsOf = (text: string): string[] =>
  [...text.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code = '']) => {
    const brought = Object.entries(BROUGHT).filter(
      ([name]) =>
        new RegExp(`\\b${name}\\b(?!')`).test(code) &&
        !new RegExp(`\\b(?:const|import)\\b[^=;]*\\b${name}\\b`).test(code),
    );
    return [...brought.map(([, line]) => line), code, 'export {};\n'].join('\n');
  });

/** The package's name as its sources, so that no build is needed. */
const PATHS = Object.fromEntries(
  ['client', 'client/http', 'worker', 'workflows', 'protocol', 'testing'].map((room) => [
    room === 'client' ? 'durable-runs' : `durable-runs/${room.replace('client/', '')}`,
    [join(ROOT, room, 'public.ts')],
  ]),
);

test('every snippet compiles', { timeout: 120_000 }, async () => {
  const folders = ['docs/tutorial', 'docs/how-to', 'docs/reference'];
  const listed = await Promise.all(
    folders.map(async (folder) => (await readdir(join(ROOT, folder))).map((name) => `${folder}/${name}`)),
  );
  const names = ['README.md', ...listed.flat()];
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  // Below the checkout, so that the dependencies are found in its node_modules.
  const dir = await mkdtemp(join(ROOT, '.cache', 'snippets-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  let count = 0;
  for (const name of names.filter((file) => file.endsWith('.md'))) {
    for (const [index, code] of snippetsOf(await readFile(join(ROOT, name), 'utf8')).entries()) {
      await writeFile(join(dir, `${name.replaceAll(/[/.]/g, '-')}-${index + 1}.ts`), code);
      count += 1;
    }
  }
  expect(count).toBeGreaterThan(6);
  const examples = (await readdir(join(ROOT, 'examples'), { recursive: true })).filter((name) =>
    name.endsWith('.ts'),
  );
  expect(examples.length).toBeGreaterThan(5);
  for (const name of examples)
    await copyFile(join(ROOT, 'examples', name), join(dir, `example-${name.replaceAll('/', '-')}`));
  await writeFile(
    join(dir, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../tsconfig.json',
      compilerOptions: {
        noUnusedLocals: false,
        noUnusedParameters: false,
        paths: { ...PATHS, ms: [join(ROOT, 'node_modules/ms/dist/index.d.ts')] },
      },
      include: ['*.ts'],
      exclude: [],
    }),
  );
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
  const compiled = await run(process.execPath, [join(typescript, 'bin', 'tsc'), '-p', dir], {
    cwd: dir,
  }).then(
    () => '',
    (failure: { stdout?: string; message: string }) => failure.stdout ?? failure.message,
  );
  // Sources are checked with the snippets; what is wrong in them is for the type check of the sources to say.
  const wrong = compiled.split('\n').filter((line) => /^(?:\.\/)?[\w-]+\.ts\(/.test(line));
  expect(wrong).toEqual([]);
});
