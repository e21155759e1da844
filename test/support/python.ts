/**
 * The official Python client, for the tests that drive our server with it.
 *
 * Rule: one pinned version, kept in `.cache/` of this checkout; nothing is installed into the user's Python.
 * `pip install --target` needs nothing but pip (a virtual environment needs a package that Debian leaves out).
 * The directory is complete or absent, and two test files at once get the same one.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url));
const OPENAI = 'openai==3.54.0';
const INSTALL_TIMEOUT_MS = 5 * 60_000;

export interface PythonClient {
  /** The interpreter. */
  command: string;
  /** Lay over the environment of the child: makes `import openai` find the pinned client. */
  env: NodeJS.ProcessEnv;
}

/** Installs on first use (seconds); give the hook that calls it a timeout of minutes. */
export async function pythonClient(): Promise<PythonClient> {
  const command = 'python3';
  const { stdout } = await run(command, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']);
  // Some dependencies are compiled for one Python version.
  const place = join(CACHE, `python${stdout.trim()}-${OPENAI}`);
  if (!existsSync(place)) await install(command, place);
  return { command, env: { PYTHONPATH: place, PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1' } };
}

async function install(command: string, place: string): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, '.python-'));
  try {
    const flags = ['--quiet', '--disable-pip-version-check', '--no-input', '--only-binary', ':all:'];
    await run(command, ['-m', 'pip', 'install', ...flags, '--target', join(work, 'site'), OPENAI], {
      timeout: INSTALL_TIMEOUT_MS,
    });
    await rename(join(work, 'site'), place);
  } catch (error) {
    if (existsSync(place)) return;
    throw new Error(
      `Cannot install ${JSON.stringify(OPENAI)} with \`${command} -m pip\`: ` +
        `${error instanceof Error ? error.message : String(error)}. To fix it, install Python 3.9+ with pip.`,
      { cause: error },
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
