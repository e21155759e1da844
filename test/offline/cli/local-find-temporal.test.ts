import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DownloadError } from '../../../dev-server/download-error.ts';
import { firstOf, onPath, type Place } from '../../../dev-server/find-temporal.ts';
import { sdkDownload, sdkDownloaded } from '../../../dev-server/sdk-download.ts';
import { ROOT } from '../../support/sources.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'durable-runs-find-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const place = (label: string, look: () => string | undefined): Place => ({
  label,
  source: 'wheel',
  look: async () => look(),
});

describe('looking for a binary', () => {
  test('takes the first place that has it, and does not ask the ones behind it', async () => {
    const asked: string[] = [];
    const found = await firstOf(
      'it',
      [
        place('a', () => void asked.push('a')),
        place('b', () => {
          asked.push('b');
          throw new Error('offline');
        }),
        { label: 'c', source: 'PATH', look: async () => '/c/it' },
        place('d', () => {
          asked.push('d');
          return '/d/it';
        }),
      ],
      ['buy one'],
    );
    expect(found).toEqual({ path: '/c/it', source: 'PATH' });
    expect(asked).toEqual(['a', 'b']);
  });

  test('names every place, its reason and the fix when no place has it', async () => {
    const places = [
      place('the shelf', () => undefined),
      place('the shop', () => {
        throw new DownloadError('closed on "Sunday"', 'wait for Monday');
      }),
    ];
    await expect(firstOf('the thing', places, ['make one'])).rejects.toThrow(
      'the thing is not on this machine and could not be downloaded. Tried:\n  - the shelf: not there\n' +
        '  - the shop: closed on "Sunday"\nAny one of these helps:\n  - make one\n  - wait for Monday',
    );
  });
});

describe('PATH', () => {
  test('is searched in order, for files that can be run', async () => {
    const dirs = ['one', 'two', 'three'].map((name) => join(root, name));
    for (const dir of dirs) {
      await mkdir(dir);
      await writeFile(join(dir, 'tool'), '', { mode: 0o644 });
    }
    const path = dirs.join(delimiter);
    expect(await onPath('tool', path)).toBeUndefined();
    await chmod(join(root, 'three', 'tool'), 0o755);
    await chmod(join(root, 'two', 'tool'), 0o755);
    expect(await onPath('tool', path)).toBe(join(root, 'two', 'tool'));
  });

  test('is not followed into directories that depend on where we are', async () => {
    expect(await onPath('runs.mjs', join(ROOT, 'bin'))).toBe(join(ROOT, 'bin', 'runs.mjs'));
    const here = relative(process.cwd(), join(ROOT, 'bin'));
    expect(await onPath('runs.mjs', ['', here, `./${here}`].join(delimiter))).toBeUndefined();
  });
});

describe("the SDK's download", () => {
  test('is kept, and found again without the SDK', async () => {
    expect(await sdkDownloaded('cli', root)).toBeUndefined();
    const path = await sdkDownload('cli', { root, sdk: await sdk(`fs.writeFileSync(file, 'x');`) });
    expect(path).toBe(join(root, 'sdk-cli', 'temporal-sdk-typescript-9.9.9'));
    expect(await sdkDownloaded('cli', root)).toBe(path);
  });

  test('is given up when it has not begun in time', async () => {
    const silent = await sdk(`await pause(60_000);`);
    await expect(sdkDownload('cli', { root, sdk: silent, connectMs: 50 })).rejects.toThrow(
      'gave up after 0 s',
    );
  });

  test('is waited for once it has begun', async () => {
    // Begun before the first look, so that no clock decides.
    await mkdir(join(root, 'sdk-cli'));
    await writeFile(join(root, 'sdk-cli', 'temporal-sdk-typescript-9.9.9.downloading'), '');
    const slow = await sdk(`await pause(300); fs.renameSync(file + '.downloading', file);`);
    const path = await sdkDownload('cli', { root, sdk: slow, connectMs: 0 });
    expect(await readdir(join(root, 'sdk-cli'))).toEqual(['temporal-sdk-typescript-9.9.9']);
    expect(path).toContain('sdk-cli');
  });

  test("reports the SDK's own words when it fails", async () => {
    const closed = await sdk(`throw new Error('dns error: no such host');`);
    await expect(sdkDownload('cli', { root, sdk: closed })).rejects.toThrow('dns error: no such host');
  });
});

/** Stands in for the SDK's testing package, which downloads while it starts a server. */
async function sdk(body: string): Promise<string> {
  const file = join(root, 'sdk.cjs');
  await writeFile(
    file,
    `const fs = require('node:fs'); const path = require('node:path');
     const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
     const create = async ({ server: { executable } }) => {
       const file = path.join(executable.downloadDir, 'temporal-sdk-typescript-9.9.9');
       ${body}
       return { teardown: async () => {} };
     };
     module.exports = { TestWorkflowEnvironment: { createLocal: create } };`,
  );
  return file;
}
