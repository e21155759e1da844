/**
 * The official Python client, for the tests that drive the server with it: the oldest version that speaks this API, one of
 * the middle, and the newest.
 *
 * Rule: pinned versions, kept in `.cache/` of this checkout; nothing is installed into the user's Python.
 * `pip install --target` needs nothing but pip (a virtual environment needs a package that Debian leaves out).
 * A directory is complete or absent, and two test files at once get the same one.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url));
/** openai-python by its age, and what pip must install for it. Version 1.20 calls httpx as httpx 0.28 no longer allows. */
const RELEASES = {
  oldest: ['openai==1.20.0', 'httpx==0.27.2'],
  middle: ['openai==1.109.1'],
  newest: ['openai==3.57.0'],
} as const;
export type PythonRelease = keyof typeof RELEASES;
export const PYTHON_RELEASES = Object.keys(RELEASES) as PythonRelease[];

const INSTALL_TIMEOUT_MS = 5 * 60_000;

export interface PythonClient {
  /** The interpreter. */
  command: string;
  /** Lay over the environment of the child: makes `import openai` find the pinned client. */
  env: NodeJS.ProcessEnv;
}

/** `1.20.0` */
export const pythonVersion = (release: PythonRelease): string => RELEASES[release][0].replace('openai==', '');
/** `openai-python 1.20.0` */
export const pythonTitle = (release: PythonRelease): string => RELEASES[release][0].replace('==', '-python ');

/** Installs on first use (seconds); give the hook that calls it a timeout of minutes. */
export async function pythonClient(release: PythonRelease = 'newest'): Promise<PythonClient> {
  const command = 'python3';
  const { stdout } = await run(command, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']);
  // Some dependencies are compiled for one Python version.
  const place = join(CACHE, `python${stdout.trim()}-${RELEASES[release].join('-')}`);
  if (!existsSync(place)) await install(command, place, RELEASES[release]);
  return { command, env: { PYTHONPATH: place, PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1' } };
}

async function install(command: string, place: string, packages: readonly string[]): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, '.python-'));
  try {
    const flags = ['--quiet', '--disable-pip-version-check', '--no-input', '--only-binary', ':all:'];
    await run(command, ['-m', 'pip', 'install', ...flags, '--target', join(work, 'site'), ...packages], {
      timeout: INSTALL_TIMEOUT_MS,
    });
    await rename(join(work, 'site'), place);
  } catch (error) {
    if (existsSync(place)) return;
    throw new Error(
      `Cannot install ${JSON.stringify(packages.join(' '))} with \`${command} -m pip\`: ` +
        `${error instanceof Error ? error.message : String(error)}. To fix it, install Python 3.9+ with pip.`,
      { cause: error },
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
