/**
 * The published packages in tests: built from this checkout, packed, and installed as a user installs them.
 *
 * Rule: an installation is in a folder outside the checkout, so a file that the package lacks is not found.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CLIENT, SERVER } from '../../scripts/packages.mjs';
import { ROOT } from './sources.ts';

const run = promisify(execFile);
const INSTALL_TIMEOUT_MS = 4 * 60_000;

export interface BuiltPackages {
  /** Folder of a package, as it is published. */
  folders: Record<'client' | 'server', string>;
  /** `npm pack` of a package. */
  tarballs: Record<'client' | 'server', string>;
  remove(): Promise<void>;
}

/** Builds the checkout into a folder of its own and packs both packages. Takes half a minute. */
export const buildPackages = async (): Promise<BuiltPackages> => {
  // Below the checkout, so that the build's dependencies are found in its node_modules.
  const dist = await mkdtemp(join(ROOT, '.cache', 'packages-'));
  await run(process.execPath, [join(ROOT, 'scripts', 'build.mjs'), dist]);
  const folderOf = (name: string): string => join(dist, 'packages', name);
  const pack = async (name: string): Promise<string> => {
    const { stdout } = await run('npm', ['pack', folderOf(name), '--json', '--pack-destination', dist]);
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    return join(dist, filename);
  };
  return {
    folders: { client: folderOf(CLIENT), server: folderOf(SERVER) },
    tarballs: { client: await pack(CLIENT), server: await pack(SERVER) },
    remove: () => rm(dist, { recursive: true, force: true }),
  };
};

export interface Installation {
  /** The user's folder; `node_modules` is in it. */
  folder: string;
  /** What npm printed to stderr: warnings. */
  warnings: string;
  /** Of everything below `node_modules`. */
  bytes: number;
  /** Packages that npm installed. */
  packages: string[];
  /** Runs a program in the folder with this Node. */
  node(script: string, env?: Record<string, string>): Promise<string>;
  remove(): Promise<void>;
}

/** `npm install` of these into an empty folder, as a user types it. */
export const installPackages = async (specifiers: readonly string[]): Promise<Installation> => {
  const folder = await mkdtemp(join(tmpdir(), 'durable-runs-install-'));
  await writeFile(join(folder, 'package.json'), '{"name":"program","private":true,"type":"module"}\n');
  const { stderr } = await run('npm', ['install', '--no-audit', '--no-fund', ...specifiers], {
    cwd: folder,
    timeout: INSTALL_TIMEOUT_MS,
  });
  const modules = join(folder, 'node_modules');
  return {
    folder,
    warnings: stderr,
    bytes: await bytesOf(modules),
    packages: await packagesIn(modules),
    node: async (script, env = {}) => {
      const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
        cwd: folder,
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
      });
      return stdout.trim();
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
};

const bytesOf = async (folder: string): Promise<number> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
};

/** Folders of packages, nested ones included. */
const packagesIn = async (modules: string): Promise<string[]> => {
  const names = (await readdir(modules)).filter((name) => !name.startsWith('.'));
  const found: string[] = [];
  for (const name of names) {
    const scoped = name.startsWith('@')
      ? (await readdir(join(modules, name))).map((one) => join(name, one))
      : [name];
    for (const one of scoped) {
      found.push(one);
      const nested = join(modules, one, 'node_modules');
      if (existsSync(nested)) found.push(...(await packagesIn(nested)).map((inner) => join(one, inner)));
    }
  }
  return found;
};
