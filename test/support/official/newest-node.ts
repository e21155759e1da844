/**
 * The newest official Node client. It asks for a Node newer than this project's oldest, so it is no dependency of the
 * checkout (`npm ci` would warn every user): the tests that use it install it into `.cache/`, pinned.
 *
 * Rule: a directory is complete or absent, and two test files at once get the same one.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type OpenAI from 'openai';

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL('../../../.cache/', import.meta.url));
export const NEWEST_NODE_CLIENT = '7.57.0';
const INSTALL_TIMEOUT_MS = 2 * 60_000;

/** The directory of its modules. Installs on first use (seconds). */
export const newestNodeModules = async (): Promise<string> => {
  const place = join(CACHE, `node-openai-${NEWEST_NODE_CLIENT}`);
  if (!existsSync(place)) await install(place);
  return join(place, 'node_modules', 'openai');
};

/** Rejects where this Node does not load the client. */
export const newestNodeClient = async (): Promise<typeof OpenAI> => {
  const entry = pathToFileURL(join(await newestNodeModules(), 'index.mjs')).href;
  const { default: Newest }: { default: typeof OpenAI } = await import(entry);
  return Newest;
};

const install = async (place: string): Promise<void> => {
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, '.node-'));
  try {
    await writeFile(join(work, 'package.json'), '{"private":true}\n');
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--save-exact', '--omit=peer'];
    await run('npm', ['install', ...flags, `openai@${NEWEST_NODE_CLIENT}`], {
      cwd: work,
      timeout: INSTALL_TIMEOUT_MS,
    });
    await rename(work, place);
  } catch (error) {
    if (!existsSync(place)) throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
};
