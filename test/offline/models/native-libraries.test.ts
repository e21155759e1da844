/** Libraries of native adapters: optional, of one line, and said to be missing with the command that installs them. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { assertLine, loadSdk } from '../../../backends/models/ai-sdk/load-sdk.ts';
import { MODEL_KINDS, openModel, VENDOR_URLS } from '../../../backends/models/open-model.ts';

const failing = (error: Error) => async (): Promise<never> => {
  throw error;
};

test('a package that is not installed is named with the command that installs it', async () => {
  const missing = Object.assign(new Error('gone'), { code: 'ERR_MODULE_NOT_FOUND' });
  await expect(loadSdk('anthropic', '@ai-sdk/anthropic', '3', failing(missing))).rejects.toMatchObject({
    code: 'config',
    message:
      'A model of kind "anthropic" is configured, and the package @ai-sdk/anthropic is not installed. Run "npm install @ai-sdk/anthropic@3".',
  });
});

test('a package that this Node can’t load says so, and which one can be', async () => {
  await expect(
    loadSdk('google', '@ai-sdk/google', '3', failing(new SyntaxError('Unexpected token'))),
  ).rejects.toThrow(`can't be loaded by Node ${process.version}. Run "npm install @ai-sdk/google@3"`);
});

test('a library of another line is refused when it is opened', () => {
  expect(() => assertLine({ specificationVersion: 'v4' }, '@ai-sdk/openai', '3')).toThrow(
    'The installed @ai-sdk/openai has the model interface "v4", and this version needs "v3". Run "npm install @ai-sdk/openai@3".',
  );
});

test('every library is an optional peer, pinned for the tests within its range', () => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
    devDependencies: Record<string, string>;
    peerDependencies: Record<string, string>;
    peerDependenciesMeta: Record<string, { optional?: boolean }>;
  };
  const libraries = Object.keys(manifest.devDependencies).filter((name) => name.startsWith('@ai-sdk/'));
  expect(libraries.length).toBeGreaterThanOrEqual(4);
  for (const name of libraries) {
    expect(manifest.peerDependencies[name]).toBe(`^${manifest.devDependencies[name]}`);
    expect(manifest.peerDependenciesMeta[name]).toEqual({ optional: true });
  }
});

test.each(MODEL_KINDS)('%s opens with the vendor’s address and names its origin', async (kind) => {
  const model = await openModel(kind, { apiKey: 'key-1', images: false });
  expect(model.provider).toBe(new URL(VENDOR_URLS[kind]).origin);
  expect(model).toMatchObject({ supports: { images: false } });
  expect(model.learned()).toEqual([]);
  await model.dispose();
});
