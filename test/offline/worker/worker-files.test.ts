/** What a worker loads from disk: tools files, data converters, the cached bundle. Real files, real compiler. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunsError } from '../../../protocol/index.ts';
import { loadDataConverter } from '../../../worker/data-converter.ts';
import { hooksOf, loadTools, loadToolsFile } from '../../../worker/tools-file.ts';

let dir: string;
const define = new URL('../../../activities/tools/define.ts', import.meta.url).href;
const zod = import.meta.resolve('zod');

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durable-runs-tools-'));
});
afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

const put = async (name: string, text: string): Promise<string> => {
  await writeFile(join(dir, name), text);
  return name;
};

const refusal = async (work: Promise<unknown>): Promise<string> => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RunsError)) throw new Error(`expected a refusal, got ${String(error)}`);
  expect(error.code).toBe('config');
  return error.message;
};

describe('a tools file', () => {
  test('in TypeScript gives its tools', async () => {
    const file = await put(
      'tools.ts',
      `import { defineTools } from ${JSON.stringify(define)};
       import { z } from ${JSON.stringify(zod)};
       const city: string = 'city';
       export default defineTools({
         weather: { description: 'Weather.', parameters: z.object({ [city]: z.string() }), execute: () => 'sunny' },
       });`,
    );
    const tools = await loadTools(file, dir);
    expect(tools.names).toEqual(['weather']);
    expect(await tools.get('weather')?.execute?.({}, {} as never)).toBe('sunny');
    expect(tools.definitions()[0]?.function.parameters).toMatchObject({ required: ['city'] });
  });

  test('gives its hooks, and says which of them a run must be asked for', async () => {
    const tools = `import { defineTools } from ${JSON.stringify(define)};
       export default defineTools({});`;
    const file = await put(
      'hooks.ts',
      `${tools}\nexport const hooks = { onEnd: (end: { runId: string }) => end.runId };`,
    );
    const loaded = await loadToolsFile(file, dir);
    expect(Object.keys(loaded.hooks)).toEqual(['onEnd']);
    expect(await hooksOf(join(dir, file))).toEqual({ onWaiting: false, onEnd: true });
    expect(await hooksOf(null)).toEqual({ onWaiting: false, onEnd: false });

    const strange = await put('strange-hooks.ts', `${tools}\nexport const hooks = { onStart: () => {} };`);
    expect(await refusal(loadTools(strange, dir))).toContain(
      'hooks has no "onStart": it may have onWaiting and onEnd',
    );
    const wrong = await put('wrong-hooks.ts', `${tools}\nexport const hooks = { onEnd: 'post' };`);
    expect(await refusal(loadTools(wrong, dir))).toContain('hooks.onEnd must be a function, got "post"');
  });

  test.each<[string, string, string, RegExp]>([
    ['of another kind', 'tools.json', '{}', /must be a \.ts, \.mts, \.js, \.mjs file/],
    [
      'without default export',
      'named.mjs',
      'export const tools = 1;',
      /has no default export \(it exports \["tools"\]\)/,
    ],
    [
      'with another default export',
      'plain.mjs',
      'export default { weather: {} };',
      /an object that defineTools did not return/,
    ],
    [
      'with a default export of text',
      'text.mjs',
      'export default "weather";',
      /"weather" that defineTools did not return/,
    ],
    ['that throws', 'throws.mjs', 'throw new Error("no licence");', /loading it failed: no licence/],
    ['that does not parse', 'broken.mjs', 'export default {', /loading it failed/],
    [
      'that does not parse as TypeScript',
      'broken.ts',
      'const a: = 1;',
      /loading it failed.*broken\.ts:1:(?:9|10)/s,
    ],
    [
      'that imports an unknown package',
      'unknown.ts',
      'import "no-such-package"',
      /find (?:module|package) 'no-such-package'/,
    ],
    ['that imports what is not there', 'lost.mjs', 'import "./nowhere.mjs";', /loading it failed.*nowhere/],
  ])('%s is refused', async (_what, name, text, expected) => {
    await put(name, text);
    const message = await refusal(loadTools(name, dir));
    expect(message).toMatch(expected);
    expect(message).toContain(`RUNS_TOOLS="${name}"`);
  });

  test('that is not there is refused with the place that was looked at', async () => {
    expect(await refusal(loadTools('none.ts', dir))).toContain(join(dir, 'none.ts'));
  });

  test('with bad tools names their problems', async () => {
    const file = await put(
      'bad.ts',
      `import { defineTools } from ${JSON.stringify(define)};
       import { z } from ${JSON.stringify(zod)};
       export default defineTools({ weather: { description: '', parameters: z.object({}) } });`,
    );
    expect(await refusal(loadTools(file, dir))).toMatch(
      /Tool "weather": description must describe.*\n.*execute is missing/,
    );
  });
});

describe('a data converter', () => {
  test('is the export of that name', async () => {
    await put('codec.mjs', 'export const dataConverter = { payloadCodecs: [] };');
    expect(await loadDataConverter('codec.mjs', dir)).toEqual({ payloadCodecs: [] });
  });

  test.each([
    ['nothing.mjs', 'export const other = 1;', /must export "dataConverter"/],
    [
      'misspelt.mjs',
      'export const dataConverter = { codecs: [] };',
      /payloadCodecs.*this one has \["codecs"\]/,
    ],
  ])('%s is refused', async (name, text, expected) => {
    await put(name, text);
    expect(await refusal(loadDataConverter(name, dir))).toMatch(expected);
  });
});

describe('the workflow bundle', () => {
  test('is made once and found again under the digest of its sources', { timeout: 60_000 }, async () => {
    const { workflowCode } = await import('../../../worker/bundle.ts');
    const cacheDir = join(dir, 'cache');
    const first = await workflowCode({ cacheDir });
    const second = await workflowCode({ cacheDir });
    expect(second).toEqual(first);
    expect(await readdir(cacheDir)).toEqual([expect.stringMatching(/^workflows-[0-9a-f]{24}\.js$/)]);
    expect(first).toEqual({ codePath: join(cacheDir, (await readdir(cacheDir))[0] ?? '') });
  });
});
